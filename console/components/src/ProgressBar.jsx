import {Button, Failure, Skeleton, Track, Waiting} from "./kit/parts.jsx"
import {component, useData, useKit} from "./kit/wire.jsx"
import css from "./ProgressBar.css"

function ProgressBar() {
  const {f} = useKit()
  const [{data, error}] = useData("progress", m => m)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting><Skeleton width="40%"/><Skeleton height={6} style={{marginTop: 10}}/></Waiting></div>
  const {share, label, detail, tone, link} = data
  return <div className="k">
    <div className="h"><b>{label}</b>{!link && detail && <span className="mut num">{detail}</span>}<span className="num r">{share === null ? "" : f.share(share)}</span></div>
    <Track share={share} tone={tone} label={label}/>
    {link && <div className="ln"><Button small icon="Download" href={link} label={detail}/></div>}
  </div>
}

export const render = component(ProgressBar, css)
