import * as React from "react"
import {Failure, GivenBlank, Skeleton, Waiting} from "./kit/parts.jsx"
import {component, useData, useKit, useParam} from "./kit/wire.jsx"
import css from "./Heatmap.css"

const STEPS = 7

/** Shades by rank, not by value: one busy hour does not make all others look empty. */
function shades(cells) {
  const values = [...new Set(cells.flat().filter(Boolean))].sort((a, b) => a - b)
  const rank = new Map(values.map((v, i) => [v, 1 + Math.floor((i / Math.max(1, values.length - 1)) * (STEPS - 1))]))
  return v => rank.get(v) ?? 0
}

function peak(cells) {
  let best = [0, 0]
  cells.forEach((row, d) => row.forEach((v, h) => { if (v > cells[best[0]][best[1]]) best = [d, h] }))
  return best
}

function Map7({cells, measure}) {
  const {f, t} = useKit()
  const shade = React.useMemo(() => shades(cells), [cells]), [tip, setTip] = React.useState(null), box = React.useRef(null)
  const [day, hour] = peak(cells)
  const words = (d, h) => ({day: f.weekday(d, "long"), from: f.hour(h), to: f.hour(h + 1)})
  const over = e => {
    const cell = e.target.closest?.("[data-d]")
    if (!cell) return setTip(null)
    const d = +cell.dataset.d, h = +cell.dataset.h, c = cell.getBoundingClientRect(), b = box.current.getBoundingClientRect()
    setTip({text: t("cell", {...words(d, h), n: cells[d][h]}), x: Math.max(84, Math.min(c.left - b.left + c.width / 2, b.width - 84)), y: c.top - b.top})
  }
  return <figure ref={box} className="map" role="img" aria-label={`${measure}. ${t("peak", words(day, hour))}`} onPointerOver={over} onPointerLeave={() => setTip(null)}>
    <div className="grid" aria-hidden="true">
      {cells.map((row, d) => <React.Fragment key={d}><span className="day">{f.weekday(d)}</span>
        {row.map((v, h) => <i key={h} data-d={d} data-h={h} className={"s" + shade(v)}/>)}</React.Fragment>)}
      <span/>{Array.from({length: 24}, (_, h) => <span key={h} className={"hour" + (h % 3 ? " odd" : "")}>{h}</span>)}
    </div>
    <figcaption aria-hidden="true"><span>{t("peak", words(day, hour))}</span><span className="key">{t("less")}{Array.from({length: STEPS + 1}, (_, i) => <i key={i} className={"s" + i}/>)}{t("more")}</span></figcaption>
    {tip && <div className="tip" style={{left: tip.x, top: tip.y}}>{tip.text}</div>}
  </figure>
}

function Heatmap({model}) {
  const empty = useParam(model, "empty")
  const [{data, error}] = useData("cells", m => m)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting><div className="wait">{Array.from({length: 7}, (_, i) => <Skeleton key={i} height={22}/>)}</div></Waiting></div>
  if (!data.cells.flat().some(Boolean) && empty.title) return <div className="k"><GivenBlank empty={empty}/></div>
  return <div className="k"><Map7 cells={data.cells} measure={data.measure}/></div>
}

export const render = component(Heatmap, css)
