import {Modal} from "./kit/modal.jsx"
import {component, useBothWays, useKit, useParam} from "./kit/wire.jsx"

const WIDTHS = {small: 440, medium: 600, large: 880}

function Dialog({model}) {
  const {send} = useKit()
  const [open, setOpen] = useBothWays(model, "open")
  const title = useParam(model, "title"), text = useParam(model, "text"), size = useParam(model, "size"), closable = useParam(model, "closable"), side = useParam(model, "side")
  const content = model.get_child("content")
  const close = () => { setOpen(false); send("closed") }
  if (!open) return null
  return <div className="k"><Modal title={title} text={text} size={WIDTHS[size]} closable={closable} side={side} onClose={close}>{content}</Modal></div>
}

export const render = component(Dialog)
