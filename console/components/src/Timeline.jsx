import {Ago, Blank, Failure, GivenBlank, Skeleton, Waiting} from "./kit/parts.jsx"
import {Icon} from "./kit/icons.jsx"
import {Link, component, useData, useKit, useParam} from "./kit/wire.jsx"
import css from "./Timeline.css"

function Timeline({model}) {
  const {t} = useKit(), empty = useParam(model, "empty")
  const [{data, error}] = useData("items", m => m.items)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting>{[70, 52, 61].map(w => <div key={w} className="w"><Skeleton width={26} height={26} radius="50%"/><Skeleton width={w + "%"}/></div>)}</Waiting></div>
  if (!data.length) return <div className="k">{empty.title ? <GivenBlank empty={empty}/> : <Blank icon="History" title={t("empty")}/>}</div>
  return <ol className="k">{data.map(item => {
    const inner = <><span className="disc" data-tone={item.tone ?? "neutral"}><Icon name={item.icon ?? "Circle"} size={14}/></span>
      <span className="tx"><b>{item.title}</b>{item.text && <small>{item.text}</small>}</span>{item.at && <span className="at"><Ago at={item.at}/></span>}</>
    return <li key={item.id}>{item.path ? <Link className="row" path={item.path}>{inner}</Link> : <div className="row">{inner}</div>}</li>
  })}</ol>
}

export const render = component(Timeline, css)
