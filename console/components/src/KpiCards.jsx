import {Icon} from "./kit/icons.jsx"
import {Failure, GivenBlank, Skeleton, Waiting, useCounted} from "./kit/parts.jsx"
import {Link, component, useData, useKit, useMessages, useParam} from "./kit/wire.jsx"
import css from "./KpiCards.css"

function Spark({points, tone}) {
  // A stretch in which nothing was sent has no rate: the line goes on to the next that has one.
  const known = (points ?? []).flatMap((v, i) => (v == null ? [] : [[i, v]]))
  if (known.length < 2) return null
  const values = known.map(([, v]) => v), top = Math.max(...values) || 1, w = 100, h = 36
  const xy = known.map(([i, v]) => `${((i / (points.length - 1)) * w).toFixed(2)},${(h - 3 - (v / top) * (h - 7)).toFixed(2)}`)
  return <svg className="spark" data-tone={tone} viewBox={`0 0 ${w} ${h}`} preserveAspectRatio="none" aria-hidden="true">
    <path className="area" d={`M${xy[0].split(",")[0]},${h} L${xy.join(" L")} L${xy.at(-1).split(",")[0]},${h} Z`}/><path d={"M" + xy.join(" L")} vectorEffect="non-scaling-stroke"/></svg>
}

const writers = f => ({count: f.count, ratio: f.ratio, seconds: f.span, money: f.money})

const LEAST_COUNT = 10  // against fewer a change says nothing
const TIMES_FROM = 2    // "↑ 200%" is still read at a glance; beyond it "4×" is

/** Change against the period before: percent, or percentage points between ratios. Null when there is nothing to compare. */
function change({value, previous, unit}) {
  if (value == null || previous == null) return null
  if (unit === "ratio") return value - previous
  return previous && (unit !== "count" || previous >= LEAST_COUNT) ? (value - previous) / previous : null
}

function changeWords(size, item, f, t) {
  if (item.unit === "ratio") return t("points", {n: f.decimal(Math.round(size * 1000) / 10)})
  return size > TIMES_FROM && item.value > item.previous ? t("times", {n: f.count(Math.round(item.value / item.previous))}) : f.ratio(size)
}

function Delta({item}) {
  const {f, t} = useKit()
  const delta = change(item)
  if (delta === null) return <div className="d"><span>{item.previous ? t("few") : item.hint ?? "\u00a0"}</span></div>
  const size = Math.abs(delta), flat = size < 0.0005
  const text = changeWords(size, item, f, t)
  const good = (delta > 0) === ((item.good ?? "up") === "up")
  return <div className={"d " + (flat ? "" : good ? "good" : "bad")}>
    {!flat && <Icon name={delta > 0 ? "ArrowUp" : "ArrowDown"} size={13} strokeWidth={2.6}/>}
    <b className="num" aria-hidden="true">{flat ? t("same") : text}</b>
    <em className="sr">{flat ? t("same") : t(delta > 0 ? "up" : "down", {change: text})}</em> <span>{item.versus ?? t("versus")}</span></div>
}

function Card({item}) {
  const {f} = useKit()
  const shown = useCounted(item.value)
  const Box = item.path ? Link : "div"
  const delta = change(item), good = delta === null || (delta >= 0) === ((item.good ?? "up") === "up")
  return <Box className="c" data-kpi={item.key} {...(item.path ? {path: item.path} : {})} title={delta === null ? undefined : item.hint}>
    <div className="l">{item.label}</div>
    <div className="v num" data-value={item.value ?? ""}>{(writers(f)[item.unit] ?? f.count)(shown)}</div>
    <Delta item={item}/><Spark points={item.spark} tone={good ? "good" : "bad"}/></Box>
}

function KpiCards({model}) {
  const count = useParam(model, "count"), empty = useParam(model, "empty")
  const [{data, error}, changeData] = useData("items", m => m.items)
  useMessages({patch: m => changeData(items => items.map(i => (i.key === m.key ? {...i, ...m.fields} : i)))})
  if (error) return <div className="k one"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting><div className="g">{Array.from({length: count}, (_, i) => <div key={i} className="c"><Skeleton width="52%"/><Skeleton width="38%" height={22} style={{marginTop: 12}}/><Skeleton width="64%" height={9} style={{marginTop: 13}}/></div>)}</div></Waiting></div>
  if (!data.length) return <div className="k one"><GivenBlank empty={empty}/></div>
  return <div className="k"><div className="g">{data.map(item => <Card key={item.key} item={item}/>)}</div></div>
}

export const render = component(KpiCards, css)
