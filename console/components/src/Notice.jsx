import {Icon} from "./kit/icons.jsx"
import {Button} from "./kit/parts.jsx"
import {component, useKit, useParam} from "./kit/wire.jsx"
import css from "./Notice.css"

const ICONS = {info: "Info", success: "CheckCircle2", warning: "AlertTriangle", danger: "AlertCircle"}

function Notice({model}) {
  const {send} = useKit()
  const tone = useParam(model, "tone"), title = useParam(model, "title"), text = useParam(model, "text"), actions = useParam(model, "actions")
  return <div className="k n" data-tone={tone} role={tone === "danger" || tone === "warning" ? "alert" : "status"}>
    <Icon name={ICONS[tone]} size={17}/><div className="tx">{title && <b>{title}</b>}{text && <p>{text}</p>}</div>
    {actions.length > 0 && <div className="ac">{actions.map(a => <Button key={a.key} small label={a.label} icon={a.icon} path={a.path} onClick={() => send("action", {key: a.key})}/>)}</div>}
  </div>
}

export const render = component(Notice, css)
