import * as React from "react"
import {Ago, Badge, CopyButton, Failure, IconButton, Skeleton, Waiting} from "./kit/parts.jsx"
import {Link, component, useData, useKit} from "./kit/wire.jsx"
import css from "./Details.css"

function Secret({value}) {
  const {t} = useKit(), [open, set] = React.useState(false)
  return <><code>{open ? value : "•".repeat(16)}</code><IconButton small icon={open ? "EyeOff" : "Eye"} label={t(open ? "hide" : "show")} onClick={() => set(!open)}/><CopyButton text={value}/></>
}

function Value({row}) {
  const {f, t} = useKit(), {value, kind = "text"} = row
  if (value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length)) return <span className="mut"><span aria-hidden="true">–</span><span className="sr">{t("none")}</span></span>
  switch (kind) {
    case "copy": return <><code>{value}</code><CopyButton text={value}/></>
    case "secret": return <Secret value={value}/>
    case "badge": return <Badge tone={row.tone}>{value}</Badge>
    case "date": return <time dateTime={value}>{f.instant(value)}</time>
    case "ago": return <Ago at={value}/>
    case "phone": return <span className="num">{f.phone(value)}</span>
    case "number": return <span className="num">{f.count(value)}</span>
    case "percent": return <span className="num">{f.ratio(value)}</span>
    case "tags": return <span className="tags">{value.map(v => <span key={v} className="tag">{v}</span>)}</span>
    case "link": return row.path ? <Link path={row.path}>{value}</Link> : <a href={value} target="_blank" rel="noreferrer">{value}</a>
    default: return <span>{value}</span>
  }
}

function Details() {
  const [{data, error}] = useData("rows", m => m.rows)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting>{[44, 62, 36].map(w => <div key={w} className="row"><Skeleton width={90}/><Skeleton width={w + "%"}/></div>)}</Waiting></div>
  return <dl className="k">{data.map(row => <div key={row.key} className="row" data-row={row.key}><dt>{row.label}</dt><dd><div className="val"><Value row={row}/></div>{row.hint && <small>{row.hint}</small>}</dd></div>)}</dl>
}

export const render = component(Details, css)
