import {Bubble} from "./kit/bubble.jsx"
import bubble from "./kit/bubble.css"
import {Failure, Skeleton, Waiting} from "./kit/parts.jsx"
import {component, useData, useKit, useParam} from "./kit/wire.jsx"

function MessagePreview({model}) {
  const {t} = useKit(), sender = useParam(model, "sender"), caption = useParam(model, "caption")
  const [{data, error}] = useData("message", m => m.message)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting><div className="chat"><div className="paper"><div className="bub"><div className="in"><Skeleton width={190}/><Skeleton width={230} style={{marginTop: 9}}/><Skeleton width={120} style={{marginTop: 9}}/></div></div></div></div></Waiting></div>
  return <div className="k"><Bubble message={data} sender={sender} caption={caption} label={t("preview")} empty={t("empty")}/></div>
}

export const render = component(MessagePreview, bubble)
