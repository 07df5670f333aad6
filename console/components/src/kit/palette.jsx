// Ctrl-K: go anywhere, do anything, find anyone.
import * as React from "react"
import {Icon} from "./icons.jsx"
import {Blank} from "./parts.jsx"
import {matching} from "./select.jsx"
import {navigate, useDebounced, useKey, useKit, useMessages} from "./wire.jsx"

const SEARCH_FROM = 2, PAUSE_MS = 180

export function Palette({nav, actions, searchable, onClose}) {
  const {t, f, send} = useKit()
  const box = React.useRef(null), list = React.useRef(null), seq = React.useRef(0), id = useKey("palette")
  const [text, setText] = React.useState(""), [at, setAt] = React.useState(0), [hits, setHits] = React.useState([]), [asking, setAsking] = React.useState(false)
  const ask = useDebounced(words => send("search", {seq: seq.current, text: words}), PAUSE_MS)
  useMessages({hits: m => { if (m.seq === seq.current) { setHits(m.items); setAsking(false) } }})
  React.useLayoutEffect(() => { box.current.showModal(); return () => box.current?.close() }, [])
  const type = words => {
    setText(words)
    setAt(0)
    seq.current += 1
    const worth = searchable && words.trim().length >= SEARCH_FROM
    setAsking(worth)
    if (worth) ask(words.trim())
    else setHits([])
  }
  const groups = [
    [t("palette.pages"), matching(nav, text)],
    [t("palette.actions"), matching(actions.map(a => ({...a, hint: a.keywords})), text)],
    [t("palette.results"), text.trim().length >= SEARCH_FROM ? hits.map(h => ({...h, key: h.id, label: h.title})) : []],
  ].filter(([, items]) => items.length)
  const all = groups.flatMap(([, items]) => items), current = Math.min(at, all.length - 1)
  React.useEffect(() => { list.current?.querySelector(".on")?.scrollIntoView({block: "nearest"}) }, [current])
  const pick = item => { onClose(); if (item.path) navigate(item.path); else send("action", {key: item.key}) }
  const keys = e => {
    const step = {ArrowDown: 1, ArrowUp: -1}[e.key]
    if (step && all.length) { e.preventDefault(); setAt((current + step + all.length) % all.length) }
    else if (e.key === "Enter" && all[current]) { e.preventDefault(); pick(all[current]) }
  }
  let i = -1
  return <dialog ref={box} className="pal" aria-label={t("palette")} onCancel={e => { e.preventDefault(); onClose() }} onClick={e => e.target === box.current && onClose()}>
    <div className="ask"><Icon name={asking ? "LoaderCircle" : "Search"} className={asking ? "spin" : ""} size={17}/>
      <input autoFocus role="combobox" aria-expanded="true" aria-controls={id} aria-activedescendant={current >= 0 ? `${id}-${current}` : undefined} aria-label={t("palette.placeholder")} placeholder={t("palette.placeholder")} value={text} onChange={e => type(e.target.value)} onKeyDown={keys}/></div>
    <div ref={list} id={id} role="listbox" aria-label={t("palette")} className="res">
      {groups.map(([name, items]) => <div key={name} role="group" aria-label={name}><div className="cap" aria-hidden="true">{name}</div>
        {items.map(item => { i += 1; const n = i
          return <div key={item.key} id={`${id}-${n}`} role="option" aria-selected={n === current} className={"opt" + (n === current ? " on" : "")} onPointerMove={() => setAt(n)} onClick={() => pick(item)}>
            <Icon name={item.icon ?? "ArrowRight"}/><span className="grow">{f.phones(item.label)}{item.subtitle && <small>{f.phones(item.subtitle)}</small>}</span></div> })}</div>)}
      {all.length === 0 && (asking ? <div className="cap" role="status">{t("palette.searching")}</div> : <Blank icon="Search" title={t("palette.none")} text={t("palette.none.text")}/>)}
    </div>
    <footer aria-hidden="true"><kbd>↑</kbd><kbd>↓</kbd> {t("palette.hint")}</footer>
  </dialog>
}
