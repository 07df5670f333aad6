// Things that open over the page beside what opened them: menus and lists.
import * as React from "react"
import {createPortal} from "react-dom"
import {Icon} from "./icons.jsx"
import {Link, useKey} from "./wire.jsx"

const GAP = 5

function place(float, anchor, {end, match}) {
  const a = anchor.getBoundingClientRect()
  if (match) float.style.minWidth = a.width + "px"
  const w = float.offsetWidth, h = float.offsetHeight
  const below = innerHeight - a.bottom - GAP, above = a.top - GAP
  const top = h <= below || below >= above ? a.bottom + GAP : a.top - GAP - h
  const left = end ? a.right - w : a.left
  float.style.top = Math.max(8, Math.min(top, innerHeight - h - 8)) + "px"
  float.style.left = Math.max(8, Math.min(left, innerWidth - w - 8)) + "px"
}

/** A box in the top layer beside `anchor`; closes on Esc, on a press elsewhere and when the anchor goes away. */
export function Floating({anchor, onClose, end, match, className = "", children, ...rest}) {
  const box = React.useRef(null)
  React.useLayoutEffect(() => {
    const float = box.current, from = anchor.current
    float.showPopover()
    const set = () => (from.isConnected ? place(float, from, {end, match}) : onClose())
    set()
    const press = e => { const path = e.composedPath(); if (!path.includes(float) && !path.includes(from)) onClose() }
    const key = e => { if (e.key === "Escape") { e.preventDefault(); e.stopPropagation(); onClose(true) } }
    const scroll = e => { if (!float.contains(e.target)) set() }
    const sizes = new ResizeObserver(set)
    sizes.observe(float)
    addEventListener("pointerdown", press, true)
    addEventListener("keydown", key, true)
    addEventListener("scroll", scroll, true)
    addEventListener("resize", set)
    return () => {
      sizes.disconnect()
      removeEventListener("pointerdown", press, true)
      removeEventListener("keydown", key, true)
      removeEventListener("scroll", scroll, true)
      removeEventListener("resize", set)
    }
  }, [])
  return <div ref={box} popover="manual" className={"float " + className} {...rest}>{children}</div>
}

/** A button with a menu. Items: {key, label, icon?, hint?, tone?, disabled?, checked?, path?} or {caption} or {rule}. */
export function Menu({items, onPick, button, label, end, className}) {
  const [open, setOpen] = React.useState(false)
  const anchor = React.useRef(null), list = React.useRef(null), id = useKey("menu")
  const close = back => { setOpen(false); if (back) anchor.current?.focus() }
  React.useEffect(() => { if (open) list.current?.querySelector("[role^=menuitem]:not([disabled])")?.focus() }, [open])
  const keys = e => {
    const all = [...list.current.querySelectorAll("[role^=menuitem]:not([disabled])")]
    const at = all.indexOf(list.current.getRootNode().activeElement)
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[e.key]
    if (to !== undefined) { e.preventDefault(); all[(to + all.length) % all.length]?.focus() }
    else if (e.key === "Tab") close(true)
  }
  const pick = item => { close(true); if (!item.path) onPick(item.key, item) }
  return <>
    {button({ref: anchor, onClick: e => { e.stopPropagation(); e.preventDefault(); setOpen(!open) }, "aria-haspopup": "menu", "aria-expanded": open, "aria-controls": open ? id : undefined})}
    {open && <Floating anchor={anchor} onClose={close} end={end} className={className}>
      <div ref={list} id={id} role="menu" aria-label={label} onKeyDown={keys} onClick={e => e.stopPropagation()}>
        {items.map((item, i) => {
          if (item.rule) return <hr key={"rule" + i}/>
          if (item.caption) return <div key={"caption" + i} className="cap">{item.caption}</div>
          const inner = <>{item.icon && <Icon name={item.icon}/>}<span className="grow">{item.label}{item.hint && <small>{item.hint}</small>}</span>{item.checked && <Icon name="Check" className="tick"/>}</>
          const shared = {className: "opt", role: item.checked === undefined ? "menuitem" : "menuitemradio", "aria-checked": item.checked, "data-tone": item.tone, tabIndex: -1}
          return item.path && !item.disabled
            ? <Link key={item.key} {...shared} path={item.path} onClick={() => close()}>{inner}</Link>
            : <button key={item.key} type="button" {...shared} disabled={item.disabled} onClick={() => pick(item)}>{inner}</button>
        })}
      </div>
    </Floating>}
  </>
}

/** Draws children at the end of the component's own shadow root, out of any clipping parent. */
export function AtRoot({view, children}) {
  return createPortal(children, view.shadow_el)
}
