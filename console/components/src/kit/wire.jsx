// What a component needs to live in Panel: its styles, its words, and messages both ways.
import * as React from "react"
import base from "./base.css"
import {formats} from "./format.js"

const Kit = React.createContext(null)
const sheets = new Map()

function sheet(css) {
  let made = sheets.get(css)
  if (!made) {
    made = new CSSStyleSheet()
    made.replaceSync(css)
    sheets.set(css, made)
  }
  return made
}

/** Shares one parsed style sheet between all shadow roots that want it. */
function adopt(root, css) {
  const wanted = [base, css].filter(Boolean).map(sheet)
  const missing = wanted.filter(s => !root.adoptedStyleSheets.includes(s))
  if (missing.length) root.adoptedStyleSheets = [...root.adoptedStyleSheets, ...missing]
}

/** Words by key; `{name}` filled in, `key.one` / `key.other` chosen by `n`. */
function translator(labels, f) {
  return (key, values) => {
    let text = labels[key]
    if (values && "n" in values) text = labels[`${key}.${f.plural(values.n)}`] ?? labels[`${key}.other`] ?? text
    if (text === undefined) {
      console.warn(`No label for “${key}”`)
      return key
    }
    return values ? text.replace(/\{(\w+)\}/g, (_, name) => {
      const v = values[name]
      return v === undefined ? "" : typeof v === "number" ? f.count(v) : v
    }) : text
  }
}

/**
 * A param as it is now, only read. Panel's own `useState` loses what changes between the first render and its
 * effect, and writes each value back after it was drawn, which undoes a newer one that arrived meanwhile.
 */
export function useParam(model, name) {
  const [value, set] = React.useState(() => model[name])
  React.useEffect(() => {
    const read = () => set(() => model[name])
    read()
    model.on(name, read)
    return () => model.off(name, read)
  }, [model, name])
  return value
}

/** A param both ways, as `[value, set]`: read as `useParam` does, and written to the model once, when it is set. */
export function useBothWays(model, name) {
  const value = useParam(model, name)
  const set = React.useCallback(next => { model[name] = next }, [model, name])
  return [value, set]
}

/** Makes Panel's `render` of a body: styles adopted, kit provided, `ready` said once everything listens. */
export function component(Body, css = "") {
  return function Root({model, view}) {
    const adopted = React.useRef(false)
    if (!adopted.current) {
      adopt(view.shadow_el, css)
      adopted.current = true
    }
    const labels = useParam(model, "labels"), locale = useParam(model, "locale")
    const timeZone = useParam(model, "time_zone"), currency = useParam(model, "currency")
    const kit = React.useMemo(() => {
      const f = formats(locale, timeZone, currency)
      return {model, view, f, locale, timeZone, t: translator(labels, f), send: (type, fields) => model.send_msg({type, ...fields})}
    }, [labels, locale, timeZone, currency])
    // Children's effects run first, so every listener is in place.
    React.useEffect(() => { kit.send("ready") }, [])
    return <Kit.Provider value={kit}><Body model={model} view={view}/></Kit.Provider>
  }
}

export const useKit = () => React.useContext(Kit)

/** Calls `handlers[type]` with each message of that type; the handlers of the latest render are used. */
export function useMessages(handlers) {
  const {model} = useKit()
  const latest = React.useRef(handlers)
  latest.current = handlers
  React.useEffect(() => {
    const listen = event => {
      const message = event?.data ?? event
      latest.current[message.type]?.(message)
    }
    model.on("msg:custom", listen)
    return () => model.off("msg:custom", listen)
  }, [model])
}

/** State that arrives as one message: null while waiting; `error` when it failed. */
export function useData(kind, pick) {
  const [state, set] = React.useState({data: null, error: null})
  useMessages({
    [kind]: m => set({data: pick(m), error: null}),
    error: m => set(s => ({...s, error: m})),
    wait: () => set({data: null, error: null}),
  })
  const change = React.useCallback(fn => set(s => (s.data === null ? s : {...s, data: fn(s.data)})), [])
  return [state, change]
}

export const prefix = () => document.documentElement.dataset.prefix ?? ""

/** Asks the shell to go to a route. */
export function navigate(path, options = {}) {
  window.dispatchEvent(new CustomEvent("console:navigate", {detail: {path, ...options}}))
}

/**
 * Whether nobody with unsaved changes objects to leaving for a route, or to closing the window `within`. Who objects
 * asks the user, and then calls `leave` of the detail.
 */
export function mayLeave(detail) {
  return window.dispatchEvent(new CustomEvent("console:leaving", {cancelable: true, detail}))
}

/** A link to a route: a real address for a new tab, a message to the shell for a click. */
export const Link = React.forwardRef(({path, onClick, children, ...rest}, ref) => (
  <a ref={ref} href={prefix() + path} {...rest} onClick={event => {
    onClick?.(event)
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return
    event.preventDefault()
    navigate(path)
  }}>{children}</a>
))

export function useDebounced(fn, ms) {
  const timer = React.useRef(0), latest = React.useRef(fn)
  latest.current = fn
  React.useEffect(() => () => clearTimeout(timer.current), [])
  return React.useCallback((...args) => {
    clearTimeout(timer.current)
    timer.current = setTimeout(() => latest.current(...args), ms)
  }, [ms])
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches

let ids = 0
export const useKey = name => React.useMemo(() => `${name}-${++ids}`, [name])

export const phone = "(max-width: 760px)"
export function useMedia(query) {
  const [match, set] = React.useState(() => matchMedia(query).matches)
  React.useEffect(() => {
    const media = matchMedia(query), on = () => set(media.matches)
    media.addEventListener("change", on)
    return () => media.removeEventListener("change", on)
  }, [query])
  return match
}
