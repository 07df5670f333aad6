// Asks before unsaved work is left behind.
import * as React from "react"
import {Confirm} from "./modal.jsx"
import {useKit} from "./wire.jsx"

/** Whether a window holds an element, through shadow roots. */
function holds(window, element) {
  for (let at = element; at; at = at.parentNode ?? at.host) if (at === window) return true
  return false
}

export function LeaveGuard({active, box}) {
  const {t} = useKit(), [target, setTarget] = React.useState(null)
  React.useEffect(() => {
    if (!active) return
    const onScreen = () => box.current?.checkVisibility?.() ?? true
    const leaving = e => {
      const {within, leave} = e.detail
      if (onScreen() && (!within || holds(within, box.current))) { e.preventDefault(); setTarget(() => leave) }
    }
    const unload = e => { if (onScreen()) e.preventDefault() }
    addEventListener("console:leaving", leaving)
    addEventListener("beforeunload", unload)
    return () => { removeEventListener("console:leaving", leaving); removeEventListener("beforeunload", unload) }
  }, [active])
  if (target === null) return null
  return <Confirm title={t("unsaved")} text={t("unsaved.text")} yes={t("unsaved.leave")} no={t("unsaved.stay")} tone="danger" onAnswer={yes => { setTarget(null); if (yes) target() }}/>
}
