import {StackedBar} from "./kit/bars.jsx"
import bars from "./kit/bars.css"
import {Failure, Skeleton, Waiting} from "./kit/parts.jsx"
import {component, useData} from "./kit/wire.jsx"

function StateBar() {
  const [{data, error}] = useData("parts", m => m.parts)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting><Skeleton height={12}/><Skeleton width="70%" style={{marginTop: 18}}/></Waiting></div>
  return <div className="k"><StackedBar parts={data}/></div>
}

export const render = component(StateBar, bars)
