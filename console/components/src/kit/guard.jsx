// Asks before unsaved work is left behind.
import * as React from "react"
import {Confirm} from "./modal.jsx"
import {navigate, useKit} from "./wire.jsx"

export function LeaveGuard({active, box}) {
  const {t} = useKit(), [target, setTarget] = React.useState(null)
  React.useEffect(() => {
    if (!active) return
    const onScreen = () => box.current?.checkVisibility?.() ?? true
    const leaving = e => { if (onScreen()) { e.preventDefault(); setTarget(e.detail.path) } }
    const unload = e => { if (onScreen()) e.preventDefault() }
    addEventListener("console:leaving", leaving)
    addEventListener("beforeunload", unload)
    return () => { removeEventListener("console:leaving", leaving); removeEventListener("beforeunload", unload) }
  }, [active])
  if (target === null) return null
  return <Confirm title={t("unsaved")} text={t("unsaved.text")} yes={t("unsaved.leave")} no={t("unsaved.stay")} tone="danger" onAnswer={yes => { setTarget(null); if (yes) navigate(target, {force: true}) }}/>
}
