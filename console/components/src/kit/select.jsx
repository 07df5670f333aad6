// Choosing from a list: one (Select), several words (TagInput).
import * as React from "react"
import {Floating} from "./floating.jsx"
import {Icon} from "./icons.jsx"
import {useDebounced, useKey, useKit} from "./wire.jsx"

const plain = s => String(s ?? "").normalize("NFD").replace(/\p{M}/gu, "").toLowerCase()

/** Options whose label or hint holds every word typed, accents and case aside. */
export function matching(options, text) {
  const words = plain(text).split(/\s+/).filter(Boolean)
  return words.length ? options.filter(o => words.every(w => plain(o.label ?? o.value).includes(w) || plain(o.hint).includes(w))) : options
}

function useList(options, onPick, onLeave) {
  const [at, setAt] = React.useState(0), list = React.useRef(null)
  React.useEffect(() => { list.current?.querySelector(".on")?.scrollIntoView({block: "nearest"}) }, [at, options])
  const clamped = Math.min(at, options.length - 1)
  const keys = e => {
    const to = {ArrowDown: clamped + 1, ArrowUp: clamped - 1, Home: 0, End: options.length - 1}[e.key]
    if (to !== undefined && options.length) { e.preventDefault(); setAt((to + options.length) % options.length) }
    else if (e.key === "Enter") { e.preventDefault(); if (options[clamped]) onPick(options[clamped]) }
    else if (e.key === "Tab") onLeave()
  }
  return {at: clamped, setAt, list, keys}
}

function Options({options, list, at, setAt, chosen, onPick, id, label, none}) {
  let group = null
  return <div ref={list} id={id} role="listbox" aria-label={label}>
    {options.map((o, i) => {
      const head = o.group && o.group !== group ? <div className="cap" role="presentation">{(group = o.group)}</div> : null
      return <React.Fragment key={o.value}>{head}
        <div id={`${id}-${i}`} role="option" aria-selected={chosen.includes(o.value)} className={"opt" + (i === at ? " on" : "")} onPointerMove={() => setAt(i)}
          onPointerDown={e => e.preventDefault()} onClick={() => onPick(o)}>
          {o.icon && <Icon name={o.icon}/>}<span className="grow">{o.label ?? o.value}{o.hint && <small>{o.hint}</small>}</span>
          {chosen.includes(o.value) && <Icon name="Check" className="tick"/>}
        </div></React.Fragment>
    })}
    {options.length === 0 && <div className="cap">{none}</div>}
  </div>
}

const SEARCH_FROM = 8  // a shorter list is read faster than searched
const PAUSE_MS = 150
const isLetter = e => e.key.length === 1 && e.key !== " " && !e.ctrlKey && !e.metaKey && !e.altKey

/**
 * One of a list. With `onSearch` the server is asked too; `answered` is the text that `options` are the answer to, and
 * until it is what was typed, Enter chooses nothing: what is wanted may be about to appear.
 */
export function Select({id, value, options, onChange, placeholder, disabled, invalid, describedBy, label, searchable, onSearch, answered = ""}) {
  const {t} = useKit()
  const [open, setOpen] = React.useState(false), [text, setText] = React.useState("")
  const anchor = React.useRef(null), field = React.useRef(null), listId = useKey("list")
  const search = searchable ?? options.length >= SEARCH_FROM
  const shown = matching(options, text)
  const pending = !!onSearch && text !== answered
  const tell = useDebounced(words => onSearch?.(words), PAUSE_MS)
  const type = words => { setText(words); nav.setAt(0); tell(words) }
  const close = () => { setOpen(false); if (text) { setText(""); tell("") } anchor.current?.focus({preventScroll: true}) }
  const pick = o => { onChange(o.value); close() }
  const nav = useList(shown, pick, () => setOpen(false))
  const keys = e => { if (pending && e.key === "Enter") e.preventDefault(); else nav.keys(e) }
  const show = () => { if (!disabled) { nav.setAt(Math.max(0, options.findIndex(o => o.value === value))); setOpen(true) } }
  React.useLayoutEffect(() => { if (open) (field.current ?? nav.list.current)?.focus({preventScroll: true}) }, [open])
  const current = options.find(o => o.value === value)
  const active = open && shown.length ? `${listId}-${nav.at}` : undefined
  return <>
    <button ref={anchor} id={id} type="button" className="input sel" role="combobox" aria-haspopup="listbox" aria-expanded={open} aria-controls={open ? listId : undefined}
      aria-invalid={invalid || undefined} aria-describedby={describedBy} aria-label={label} disabled={disabled} aria-activedescendant={search ? undefined : active}
      onClick={() => (open ? close() : show())} onKeyDown={e => { if (!open && ["ArrowDown", "ArrowUp"].includes(e.key)) { e.preventDefault(); show() } else if (open && search && isLetter(e)) { e.preventDefault(); type(text + e.key) } else if (open) keys(e) }}>
      {current?.icon && <Icon name={current.icon}/>}<span className={"grow" + (current ? "" : " ph")}>{current ? current.label ?? current.value : placeholder ?? t("choose")}</span>
      <Icon name="ChevronDown" size={15}/></button>
    {open && <Floating anchor={anchor} match onClose={close}>
      {search && <div className="find"><Icon name="Search" size={14}/><input ref={field} role="combobox" aria-expanded="true" aria-controls={listId} aria-activedescendant={active} aria-label={t("search")} placeholder={t("search")} value={text}
        onChange={e => type(e.target.value)} onKeyDown={keys}/></div>}
      <Options {...nav} options={shown} chosen={[value]} onPick={pick} id={listId} label={label} none={t(pending ? "searching" : "none")}/>
    </Floating>}
  </>
}

export function TagInput({id, value, suggestions = [], free = true, onChange, placeholder, disabled, invalid, describedBy, label}) {
  const {t} = useKit()
  const [text, setText] = React.useState(""), [open, setOpen] = React.useState(false)
  const anchor = React.useRef(null), field = React.useRef(null), listId = useKey("tags")
  const typed = text.trim()
  const left = matching(suggestions.filter(s => !value.includes(s.value)), typed).slice(0, 50)
  const fresh = free && typed && ![...value, ...suggestions.map(s => s.value)].some(v => plain(v) === plain(typed))
  const shown = fresh ? [...left, {value: typed, label: t("add_tag", {text: typed}), icon: "Plus"}] : left
  // The list goes once a word is chosen: it would lie over the next field. Typing, clicking or an arrow brings it back.
  const add = o => { onChange([...value, o.value]); setText(""); nav.setAt(0); setOpen(false); field.current.focus() }
  const nav = useList(shown, add, () => setOpen(false))
  const keys = e => {
    if (e.key === "Backspace" && !text && value.length) onChange(value.slice(0, -1))
    else if (e.key === "," && typed && free) { e.preventDefault(); add(shown.find(o => plain(o.value) === plain(typed)) ?? {value: typed}) }
    else if (open) nav.keys(e)
    else if (["ArrowDown", "ArrowUp"].includes(e.key)) { e.preventDefault(); setOpen(true) }
    else if (e.key === "Enter") e.preventDefault()
  }
  return <>
    <div ref={anchor} className="input tags" aria-disabled={disabled || undefined} aria-invalid={invalid || undefined} onPointerDown={e => { if (e.target === anchor.current) { e.preventDefault(); field.current.focus() } }}>
      {value.map(v => <span key={v} className="tag">{suggestions.find(s => s.value === v)?.label ?? v}<button type="button" aria-label={t("remove_tag", {text: v})} disabled={disabled} onClick={() => onChange(value.filter(x => x !== v))}><Icon name="X" size={12}/></button></span>)}
      <input ref={field} id={id} role="combobox" aria-expanded={open} aria-controls={open ? listId : undefined} aria-activedescendant={open && shown.length ? `${listId}-${nav.at}` : undefined} aria-describedby={describedBy} aria-label={label}
        disabled={disabled} value={text} placeholder={value.length ? "" : placeholder ?? t("tags.placeholder")} onFocus={() => setOpen(true)} onBlur={() => setOpen(false)} onClick={() => setOpen(true)}
        onChange={e => { setText(e.target.value); nav.setAt(0); setOpen(true) }} onKeyDown={keys}/>
    </div>
    {open && shown.length > 0 && <Floating anchor={anchor} match onClose={() => setOpen(false)}>
      <Options {...nav} options={shown} chosen={[]} onPick={add} id={listId} label={label} none={t("none")}/>
    </Floating>}
  </>
}
