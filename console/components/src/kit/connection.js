// What the browser knows of its connection, and how it gets back.
import * as React from "react"
import {useKit, useMessages} from "./wire.jsx"

const SETTLE_MS = 1000      // right after a reconnect the session does not answer yet
const ANSWER_MS = 4000      // no answer to `resync`: the session is gone
const KNOCK_MS = 2500

async function reloadWhenBack(path) {
  for (;;) {
    await new Promise(done => setTimeout(done, KNOCK_MS))
    const answer = await fetch(path, {redirect: "manual", cache: "no-store"}).catch(() => null)
    if (answer && answer.status < 500) return location.reload()
  }
}

/** "live", "reconnecting" or "paused". After a reconnect the views are asked to fetch again (`resync`). */
export function useConnection(prefix) {
  const {view, send} = useKit()
  const [up, setUp] = React.useState(true), [server, setServer] = React.useState("live"), waiting = React.useRef(0)
  useMessages({live: m => setServer(m.state), resynced: () => clearTimeout(waiting.current)})
  React.useEffect(() => {
    const doc = view.model.document
    let knocking = false
    const lost = (_, event) => {
      setUp(false)
      if (event.timeout == null && !knocking) { knocking = true; reloadWhenBack(prefix) }
    }
    const back = () => {
      setUp(true)
      setTimeout(() => {
        send("resync")
        waiting.current = setTimeout(() => location.reload(), ANSWER_MS)
      }, SETTLE_MS)
    }
    doc?.on_event?.("connection_lost", lost)
    doc?.on_event?.("client_reconnected", back)
  }, [])
  return up ? server : "reconnecting"
}
