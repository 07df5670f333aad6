import {Blank} from "./kit/parts.jsx"
import {component, useKit, useParam} from "./kit/wire.jsx"

function EmptyState({model}) {
  const {send} = useKit()
  return <div className="k"><Blank icon={useParam(model, "icon")} title={useParam(model, "title")} text={useParam(model, "text")} actions={useParam(model, "actions")} onAction={key => send("action", {key})}/></div>
}

export const render = component(EmptyState, ".k { padding: 6vh 0; }")
