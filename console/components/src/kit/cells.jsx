// What stands in a cell of a table, by the kind of its column.
import {Ago, Badge, Track} from "./parts.jsx"
import {useKit} from "./wire.jsx"

const NUMERIC = new Set(["number", "percent", "money"])
export const isNumeric = column => NUMERIC.has(column.kind)

const shown = (column, value) => column.words?.[value] ?? value

export function Cell({column, row}) {
  const {f} = useKit(), value = row[column.key]
  const blank = value === null || value === undefined || value === ""
  switch (column.kind) {
    case "number": return <span className="num">{f.count(value)}</span>
    case "percent": return <span className="num">{f.ratio(value)}</span>
    case "money": return <span className="num">{f.money(value)}</span>
    case "progress": return blank ? <span className="mut">–</span> : <span className="pg"><Track share={value} tone={column.tones?.[row[column.by]] ?? "success"} label={column.label}/><span className="num">{f.ratio(value)}</span></span>
    case "badge": return blank ? <span className="mut">–</span> : <Badge tone={column.tones?.[value]} live={column.live?.includes(value)}>{shown(column, value)}</Badge>
    case "ago": return <span className="mut"><Ago at={value}/></span>
    case "date": return blank ? <span className="mut">–</span> : <time className="mut" dateTime={value} title={f.full(value)}>{f.instant(value)}</time>
    case "tags": return blank || !value.length ? <span className="mut">–</span> : <span className="tags">{value.slice(0, 3).map(v => <span key={v} className="tag">{v}</span>)}{value.length > 3 && <span className="tag" title={value.slice(3).join(", ")}>+{value.length - 3}</span>}</span>
    case "phone": return <span className="tx num">{f.phone(value)}</span>
    default: return <span className={"tx" + (column.kind === "strong" ? " st" : "")}>{blank ? <span className="mut">–</span> : shown(column, value)}{column.sub && row[column.sub] ? <small>{row[column.sub]}</small> : null}</span>
  }
}
