// Windows over the page. The browser's own <dialog> keeps the focus inside and the page behind it still.
import * as React from "react"
import {IconButton, Button} from "./parts.jsx"
import {mayLeave, useKey, useKit} from "./wire.jsx"

/** Where the focus goes back to: the innermost active element, through shadow roots. */
function activeElement() {
  let active = document.activeElement
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement
  return active
}

/** `closable`: by the cross and a press outside; `onEscape` (default: closing, where that is allowed) hears Escape. */
export function Modal({title, text, onClose, closable = true, onEscape, side, size, footer, children, role, className = ""}) {
  const box = React.useRef(null), {t, f} = useKit(), id = useKey("modal")
  React.useLayoutEffect(() => {
    const before = activeElement(), dialog = box.current
    dialog.showModal()
    dialog.querySelector("[data-first]")?.focus()
    return () => { dialog.close(); before?.focus?.({preventScroll: true}) }
  }, [])
  const close = () => { if (mayLeave({within: box.current, leave: onClose})) onClose() }
  const escape = onEscape ?? (closable ? close : () => {})
  // A press that began inside (selecting text) and ends on the backdrop must not close.
  const began = React.useRef(null)
  return <dialog ref={box} role={role} className={`modal${side ? " side" : ""} ${className}`} style={size ? {"--w": size + "px"} : undefined} aria-labelledby={title ? id : undefined} aria-describedby={text ? id + "-text" : undefined}
    onCancel={e => { if (e.target !== box.current) return; e.preventDefault(); escape() }}
    onKeyDown={e => { if (e.key === "Escape" && !e.defaultPrevented) { e.preventDefault(); e.stopPropagation(); escape() } }}
    onPointerDown={e => { began.current = e.target }}
    onClick={e => { if (closable && e.target === box.current && began.current === box.current) close() }}>
    {(title || closable) && <header><div><h2 id={id}>{f.phones(title)}</h2>{text && <p id={id + "-text"}>{f.phones(text)}</p>}</div>
      {closable && <IconButton icon="X" label={t("close")} onClick={close}/>}</header>}
    {children && <div className="body">{children}</div>}
    {footer && <footer>{footer}</footer>}
  </dialog>
}

/** A question with two answers; Escape says no. */
export function Confirm({title, text, yes, no, tone, onAnswer}) {
  return <Modal title={title} text={text} closable={false} onEscape={() => onAnswer(false)} size={440} role="alertdialog" className="ask"
    footer={<><Button label={no} data-first onClick={() => onAnswer(false)}/><Button kind={tone === "danger" ? "danger" : "primary"} label={yes} onClick={() => onAnswer(true)}/></>}>
    {null}
  </Modal>
}
