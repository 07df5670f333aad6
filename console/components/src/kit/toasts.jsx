// Passing messages in the corner, above everything, dialogs too.
import * as React from "react"
import {Icon} from "./icons.jsx"
import {Button, IconButton} from "./parts.jsx"
import {navigate, useKit, useMessages} from "./wire.jsx"

const STAY_MS = {info: 5000, success: 5000, error: 9000}, WITH_BUTTON_MS = 9000, AT_MOST = 4
const ICONS = {info: "Info", success: "CheckCircle2", error: "AlertCircle"}
const TONES = {info: "info", success: "success", error: "danger"}

function Toast({toast, onGone}) {
  const {t, f, send} = useKit(), [held, hold] = React.useState(false)
  React.useEffect(() => {
    if (held) return
    const timer = setTimeout(onGone, toast.action ? WITH_BUTTON_MS : STAY_MS[toast.kind])
    return () => clearTimeout(timer)
  }, [held])
  const act = () => { onGone(); if (toast.action.path) navigate(toast.action.path); else send("action", {key: toast.action.key}) }
  return <div className="toast" data-tone={TONES[toast.kind]} role={toast.kind === "error" ? "alert" : "status"} onPointerEnter={() => hold(true)} onPointerLeave={() => hold(false)} onFocus={() => hold(true)} onBlur={() => hold(false)}>
    <Icon name={ICONS[toast.kind]} size={17}/><span>{f.phones(toast.text)}</span>
    {toast.action && <Button small kind="ghost" label={toast.action.label} onClick={act}/>}
    <IconButton small icon="X" label={t("dismiss")} onClick={onGone}/></div>
}

export function Toasts() {
  const {t} = useKit(), [all, set] = React.useState([]), box = React.useRef(null), ids = React.useRef(0)
  useMessages({toast: m => set(old => [...old, {...m, id: ++ids.current}].slice(-AT_MOST))})
  // The last to enter the top layer lies on top: enter again for each new toast.
  React.useLayoutEffect(() => { if (all.length) { box.current.hidePopover(); box.current.showPopover() } }, [all.at(-1)?.id])
  return <section ref={box} popover="manual" className="toasts" aria-label={t("notifications")}>
    {all.map(toast => <Toast key={toast.id} toast={toast} onGone={() => set(old => old.filter(o => o.id !== toast.id))}/>)}</section>
}
