// The page of rows a table shows: asking for it, stepping through it, changing it as facts arrive.
import * as React from "react"
import {useKit, useMessages} from "./wire.jsx"

const SEARCH_PAUSE_MS = 220

export function useRows({limit, paging, sort: firstSort, filters: firstFilters}) {
  const {send} = useKit()
  const [want, setWant] = React.useState(() => ({search: "", filters: firstFilters, sort: firstSort?.key ? firstSort : null, cursors: [null]}))
  const [got, setGot] = React.useState({rows: null, next: null, total: null, capped: false, error: null, busy: true})
  const [hot, setHot] = React.useState({}), seq = React.useRef(0), timer = React.useRef(0), more = React.useRef(false)

  const ask = (query, pause = 0) => {
    const n = ++seq.current
    clearTimeout(timer.current)
    setGot(g => ({...g, busy: true}))
    timer.current = setTimeout(() => send("query", {seq: n, search: query.search, filters: query.filters, sort: query.sort, after: query.cursors.at(-1), limit}), pause)
  }
  const go = (change, pause) => {
    const query = {...want, ...change}
    more.current = false
    setWant(query)
    ask(query, pause)
  }
  React.useEffect(() => { ask(want); return () => clearTimeout(timer.current) }, [limit])

  useMessages({
    page: m => {
      if (m.seq !== seq.current) return
      const add = more.current
      more.current = false
      if (!add) setHot({})
      setGot(g => ({rows: add ? [...(g.rows ?? []), ...m.rows.filter(r => !g.rows?.some(o => o.id === r.id))] : m.rows, next: m.next, total: m.total, capped: m.capped, error: null, busy: false}))
    },
    page_error: m => { if (m.seq === seq.current) setGot(g => ({...g, busy: false, error: m})) },
    error: m => setGot(g => ({...g, busy: false, error: m})),
    patch: m => {
      setGot(g => ({...g, rows: g.rows?.map(r => (m.rows[r.id] ? {...r, ...m.rows[r.id]} : r)) ?? null}))
      setHot(h => {
        const next = {...h}
        for (const [id, cells] of Object.entries(m.rows)) for (const key of Object.keys(cells)) next[`${id} ${key}`] = (next[`${id} ${key}`] ?? 0) + 1
        return next
      })
    },
    remove: m => setGot(g => ({...g, total: g.total === null ? null : Math.max(0, g.total - m.ids.length), rows: g.rows?.filter(r => !m.ids.includes(r.id)) ?? null})),
    refresh: () => (paging === "more" && want.cursors.length > 1 ? go({cursors: [null]}) : ask(want)),
    reset: m => go({search: m.search, filters: m.filters, cursors: [null]}),
    wait: () => setGot(g => ({...g, rows: null})),
  })

  return {
    ...got, hasNext: !!got.next, hot, want,
    search: text => go({search: text, cursors: [null]}, SEARCH_PAUSE_MS),
    filter: (key, value) => go({filters: {...want.filters, [key]: value ?? undefined}, cursors: [null]}),
    clear: () => go({search: "", filters: {}, cursors: [null]}),
    sortBy: key => go({sort: want.sort?.key === key ? (want.sort.descending ? null : {key, descending: true}) : {key, descending: false}, cursors: [null]}),
    next: () => {
      const query = {...want, cursors: [...want.cursors, got.next]}
      more.current = paging === "more"
      setWant(query)
      ask(query)
    },
    previous: () => go({cursors: want.cursors.slice(0, -1)}),
    again: () => ask(want),
  }
}
