import {FunnelBars} from "./kit/bars.jsx"
import bars from "./kit/bars.css"
import {Failure, GivenBlank, Skeleton, Waiting} from "./kit/parts.jsx"
import {component, useData, useKit, useParam} from "./kit/wire.jsx"

function Funnel({model}) {
  const {t} = useKit(), empty = useParam(model, "empty")
  const [{data, error}] = useData("steps", m => m.steps)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting><div className="fun">{[100, 88, 62, 30].map(w => <Skeleton key={w} width={w + "%"} height={28}/>)}</div></Waiting></div>
  if (!data.length || (empty.title && !data.some(s => s.value))) return <div className="k"><GivenBlank empty={empty}/></div>
  return <div className="k"><FunnelBars steps={data} label={t("summary")}/></div>
}

export const render = component(Funnel, bars)
