import * as React from "react"
import {Cell, isNumeric} from "./kit/cells.jsx"
import {Menu} from "./kit/floating.jsx"
import {Icon} from "./kit/icons.jsx"
import {Blank, Button, Failure, GivenBlank, IconButton, Skeleton} from "./kit/parts.jsx"
import {useRows} from "./kit/rows.js"
import {Link, component, navigate, phone, useKit, useMedia, useMessages, useParam} from "./kit/wire.jsx"
import select from "./kit/select.css"
import css from "./LiveTable.css"

function SearchBox({value, onChange, label}) {
  const {t} = useKit()
  return <div className="search input"><Icon name="Search" size={15}/><input type="search" aria-label={label} placeholder={label} value={value} onChange={e => onChange(e.target.value)} onKeyDown={e => { if (e.key === "Escape" && value) { e.stopPropagation(); onChange("") } }}/>
    {value && <IconButton small icon="X" label={t("search.clear")} onClick={() => onChange("")}/>}</div>
}

function Chips({filter, value, onPick}) {
  const {t, f} = useKit()
  const chip = (v, label, n) => <button key={v ?? ""} type="button" className="chip" aria-pressed={(value ?? null) === v} onClick={() => onPick(v)}>{label}{n != null && <small className="num">{f.count(n)}</small>}</button>
  return <div className="chips" role="group" aria-label={filter.label ?? t("filters")}>{chip(null, filter.all ?? t("all"))}{filter.options.map(o => chip(o.value, o.label, o.n))}</div>
}

function Check({checked, mixed, label, onChange}) {
  const box = React.useRef(null)
  React.useEffect(() => { box.current.indeterminate = !!mixed }, [mixed])
  return <label className="ck" onClick={e => e.stopPropagation()}><input ref={box} type="checkbox" className="sr" checked={checked} aria-label={label} onChange={e => onChange(e.target.checked)}/><i aria-hidden="true"><Icon name={mixed ? "Minus" : "Check"} size={12} strokeWidth={3.2}/></i></label>
}

const allowed = (action, row) => Object.entries(action.when ?? {}).every(([key, values]) => values.includes(row[key]))

function RowMenu({actions, row, name}) {
  const {t, send} = useKit(), items = actions.filter(a => allowed(a, row))
  if (!items.length) return null
  return <Menu end label={t("row_actions", {name})} items={items} onPick={key => send("action", {key, id: row.id})}
    button={props => <IconButton small icon="Ellipsis" label={t("row_actions", {name})} {...props}/>}/>
}

function Head({columns, rows, selectable, menu, picked, setPicked}) {
  const {t} = useKit(), {want, sortBy} = rows, ids = (rows.rows ?? []).map(r => r.id), chosen = ids.filter(id => picked.has(id)).length
  return <thead><tr>
    {selectable && <th className="pick"><Check checked={chosen > 0 && chosen === ids.length} mixed={chosen > 0 && chosen < ids.length} label={t("select_all")} onChange={on => setPicked(new Set(on ? [...picked, ...ids] : [...picked].filter(id => !ids.includes(id))))}/></th>}
    {columns.map(c => {
      const dir = want.sort?.key === c.key ? (want.sort.descending ? "descending" : "ascending") : undefined
      return <th key={c.key} scope="col" style={{width: c.width}} className={isNumeric(c) ? "r" : ""} aria-sort={c.sortable ? dir ?? "none" : undefined}>
        {c.sortable ? <button type="button" title={t("sort", {column: c.label})} onClick={() => sortBy(c.key)}>{c.label}<Icon name={dir === "descending" ? "ArrowDown" : dir ? "ArrowUp" : "ArrowUpDown"} size={12} className={dir ? "" : "idle"}/></button> : c.label}</th>
    })}
    {menu && <th className="menu"><span className="sr">{t("row_actions", {name: ""})}</span></th>}</tr></thead>
}

const pathOf = (row, rowPath) => row.path ?? (rowPath ? rowPath.replace("{id}", encodeURIComponent(row.id)) : "")

function useOpen(rowPath) {
  const {send} = useKit()
  return row => {
    const path = pathOf(row, rowPath)
    send("open", {id: row.id})
    if (path) navigate(path)
  }
}

/** The name of a row as what opens it: a link that a new tab or a screen reader can follow. */
function Name({row, rowPath, open, children}) {
  const {send} = useKit(), path = pathOf(row, rowPath)
  if (path) return <Link className="nm" path={path} onClick={e => { e.stopPropagation(); send("open", {id: row.id}) }}>{children}</Link>
  return <button type="button" className="nm" onClick={e => { e.stopPropagation(); open(row) }}>{children}</button>
}

function Table({columns, rows, skeleton, rowActions, rowPath, selectable, picked, setPicked}) {
  const {t} = useKit(), open = useOpen(rowPath), body = React.useRef(null)
  const name = row => String(row[columns[0]?.key] ?? "")
  const pick = (id, on) => { const next = new Set(picked); if (on) next.add(id); else next.delete(id); setPicked(next) }
  const keys = (e, row) => {
    if (!e.target.closest(".nm")) return
    const to = {ArrowDown: e.currentTarget.nextElementSibling, ArrowUp: e.currentTarget.previousElementSibling}[e.key]
    if (to) { e.preventDefault(); to.querySelector(".nm").focus() }
    else if (e.key === " " && selectable) { e.preventDefault(); pick(row.id, !picked.has(row.id)) }
  }
  return <table><Head {...{columns, rows, selectable, menu: rowActions.length > 0, picked, setPicked}}/>
    <tbody ref={body}>{rows.rows === null
      ? Array.from({length: skeleton}, (_, i) => <tr key={i} className="wait" aria-hidden="true">{selectable && <td/>}{columns.map((c, j) => <td key={c.key}><Skeleton width={38 + ((i * 37 + j * 53) % 45) + "%"}/></td>)}{rowActions.length > 0 && <td/>}</tr>)
      : rows.rows.map(row => <tr key={row.id} data-row={row.id} aria-selected={selectable ? picked.has(row.id) : undefined} onClick={() => open(row)} onKeyDown={e => keys(e, row)}>
        {selectable && <td className="pick"><Check checked={picked.has(row.id)} label={t("select_row", {name: name(row)})} onChange={on => pick(row.id, on)}/></td>}
        {columns.map((c, i) => { const n = rows.hot[`${row.id} ${c.key}`], cell = <Cell column={c} row={row}/>; return <td key={c.key + (n ?? "")} data-col={c.key} className={(isNumeric(c) ? "r" : "") + (n ? " hot" : "")}>{i === 0 ? <Name {...{row, rowPath, open}}>{cell}</Name> : cell}</td> })}
        {rowActions.length > 0 && <td className="menu"><RowMenu actions={rowActions} row={row} name={name(row)}/></td>}</tr>)}</tbody></table>
}

const told = value => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length)

function Cards({columns, rows, skeleton, rowActions, rowPath, selectable, picked, setPicked}) {
  const {t} = useKit(), open = useOpen(rowPath)
  const title = columns.find(c => c.phone === "title") ?? columns[0], side = columns.filter(c => c.phone === "side"), rest = columns.filter(c => c !== title && !side.includes(c) && c.phone !== "hide")
  if (rows.rows === null) return <div className="cards" aria-hidden="true">{Array.from({length: Math.min(skeleton, 7)}, (_, i) => <div key={i} className="cd"><Skeleton width={50 + ((i * 13) % 30) + "%"}/><Skeleton width="34%" style={{marginTop: 12}}/></div>)}</div>
  return <ul className="cards">{rows.rows.map(row => <li key={row.id} className="cd" data-row={row.id} onClick={() => open(row)}>
    <div className="up">{selectable && <Check checked={picked.has(row.id)} label={t("select_row", {name: String(row[title.key] ?? "")})} onChange={on => { const next = new Set(picked); if (on) next.add(row.id); else next.delete(row.id); setPicked(next) }}/>}
      <Name {...{row, rowPath, open}}><Cell column={{...title, kind: title.kind === "text" ? "strong" : title.kind}} row={row}/></Name>
      {side.map(c => <Cell key={c.key} column={c} row={row}/>)}{rowActions.length > 0 && <RowMenu actions={rowActions} row={row} name={String(row[title.key] ?? "")}/>}</div>
    <dl>{rest.filter(c => told(row[c.key])).map(c => { const n = rows.hot[`${row.id} ${c.key}`]; return <div key={c.key + (n ?? "")} className={(n ? "hot " : "") + (c.kind === "progress" || c.kind === "tags" ? "wide" : "")}><dt>{c.label}</dt><dd><Cell column={c} row={row}/></dd></div> })}</dl></li>)}</ul>
}

function Foot({rows, limit, paging, noun}) {
  const {t, f} = useKit(), {want, total, capped, hasNext, next, previous, busy} = rows, count = rows.rows?.length ?? 0
  if (rows.rows === null || (!count && want.cursors.length === 1)) return null
  const from = paging === "more" ? 1 : (want.cursors.length - 1) * limit + 1, to = from + count - 1
  const all = !hasNext && want.cursors.length === 1
  const words = all && noun.other ? (f.plural(count) === "one" ? noun.one : noun.other).replace("{n}", f.count(count))
    : total != null ? t(capped ? "range.capped" : "range", {from, to, total}) : t("range.unknown", {from, to})
  return <div className="ft"><span className="num" role="status">{words}</span>
    {paging === "more" ? hasNext && <Button small busy={busy} label={t("load_more")} onClick={next}/>
      : (want.cursors.length > 1 || hasNext) && <div><IconButton icon="ChevronLeft" label={t("previous")} disabled={want.cursors.length < 2 || busy} onClick={previous}/><IconButton icon="ChevronRight" label={t("next")} disabled={!hasNext || busy} onClick={next}/></div>}</div>
}

function Nothing({rows, empty}) {
  const {t} = useKit(), {search, filters} = rows.want, narrowed = search || Object.values(filters).some(Boolean)
  if (!narrowed && empty.title) return <GivenBlank empty={empty}/>
  return <Blank icon="Search" title={t("none.title")} text={narrowed ? t("none.text") : ""} actions={narrowed ? [{key: "clear", label: t("none.clear"), kind: "secondary"}] : []} onAction={rows.clear}/>
}

function Bulk({actions, picked, setPicked}) {
  const {t, send} = useKit()
  return <div className="bulk" role="toolbar" aria-label={t("selected", {n: picked.size})}><b className="num">{t("selected", {n: picked.size})}</b>
    {actions.map(a => <Button key={a.key} small icon={a.icon} kind={a.tone === "danger" ? "danger-quiet" : "secondary"} label={a.label} onClick={() => send("bulk", {key: a.key, ids: [...picked]})}/>)}
    <IconButton small icon="X" label={t("clear_selection")} onClick={() => setPicked(new Set())}/></div>
}

function LiveTable({model}) {
  const {t, send} = useKit(), isPhone = useMedia(phone)
  const columns = useParam(model, "columns"), filters = useParam(model, "filters"), searchable = useParam(model, "searchable"), searchLabel = useParam(model, "search_label"), toolbar = useParam(model, "toolbar")
  const rowActions = useParam(model, "row_actions"), bulkActions = useParam(model, "bulk_actions"), selectable = useParam(model, "selectable"), rowPath = useParam(model, "row_path")
  const paging = useParam(model, "paging"), limit = useParam(model, "page_size"), empty = useParam(model, "empty"), noun = useParam(model, "noun"), sort = useParam(model, "sort")
  const first = Object.fromEntries(filters.filter(x => x.value != null).map(x => [x.key, x.value]))
  const rows = useRows({limit, paging, sort, filters: first})
  const [picked, setRaw] = React.useState(() => new Set()), box = React.useRef(null)
  const setPicked = next => { setRaw(next); send("selection", {ids: [...next]}) }
  const drop = gone => { if (picked.size) setPicked(new Set([...picked].filter(id => !gone(id)))) }
  useMessages({remove: m => drop(id => m.ids.includes(id))})
  // What was chosen may not be among what is found now: nobody shall delete whom they do not see.
  const sought = JSON.stringify([rows.want.search, rows.want.filters])
  React.useEffect(() => drop(() => true), [sought])
  React.useEffect(() => { box.current?.scrollTo?.(0, 0) }, [rows.want.cursors.length, rows.want.search])
  const shared = {columns, rows, rowActions, rowPath, selectable, picked, setPicked, skeleton: Math.min(limit, 12)}
  return <div className="k w" aria-busy={rows.busy}>
    <div className={"bar" + (toolbar.length > 2 ? " tall" : "")}>
      {searchable && <SearchBox value={rows.want.search} onChange={rows.search} label={searchLabel || t("search")}/>}
      {filters.map(x => <Chips key={x.key} filter={x} value={rows.want.filters[x.key]} onPick={v => rows.filter(x.key, v)}/>)}
      {toolbar.length > 0 && <div className="tools">{toolbar.map(a => <Button key={a.key} kind={a.kind} icon={a.icon} label={a.label} path={a.path} href={a.href} onClick={() => send("toolbar", {key: a.key})}/>)}</div>}
    </div>
    {selectable && picked.size > 0 && <Bulk actions={bulkActions} picked={picked} setPicked={setPicked}/>}
    <div ref={box} className={"bx" + (rows.busy && rows.rows ? " dim" : "")}>
      {rows.error ? <Failure error={rows.error} onRetry={rows.again}/> : rows.rows?.length === 0 ? <Nothing rows={rows} empty={empty}/> : isPhone ? <Cards {...shared}/> : <Table {...shared}/>}</div>
    {rows.rows === null && !rows.error && <span className="sr" role="status">{t("loading")}</span>}
    {!rows.error && <Foot rows={rows} limit={limit} paging={paging} noun={noun}/>}
  </div>
}

export const render = component(LiveTable, select + css)
