// Bars: steps that get fewer, and parts of a whole.
import {Count} from "./parts.jsx"
import {useKit} from "./wire.jsx"

export function FunnelBars({steps, label}) {
  const {f, t} = useKit()
  const first = Math.max(steps[0]?.value ?? 0, ...steps.map(s => s.value), 1)
  const words = `${label}: ${steps.map(s => `${s.label} ${f.count(s.value)}`).join(", ")}`
  return <><ol className="fun" aria-label={words}>
    {steps.map((s, i) => {
      const before = i ? steps[i - 1].value : 0
      const share = before ? s.value / before : null
      return <li key={s.key} data-step={s.key}>
        <span className="l">{s.label}</span>
        <span className="t">{s.value > 0 && <i style={{width: (s.value / first) * 100 + "%", opacity: 1 - i * 0.13}}/>}</span>
        <span className="v"><Count value={s.value}/><small className="num" title={share === null ? undefined : t("of_previous", {share: f.ratio(share)})}>{share === null ? (i ? "–" : "") : f.share(share)}</small></span>
      </li>
    })}
  </ol>
  <p className="mut note">{t("funnel.note")}</p></>
}

export function StackedBar({parts, legend = true, onPick}) {
  const {f, t} = useKit()
  const total = parts.reduce((sum, p) => sum + p.value, 0)
  const share = v => (total ? v / total : 0)
  const words = parts.filter(p => p.value).map(p => t("part", {label: p.label, n: p.value, share: f.share(share(p.value))})).join(", ")
  return <div className="stk">
    <div className="bar" role="img" aria-label={words}>
      {parts.map(p => <i key={p.key} data-tone={p.tone} data-part={p.key} style={{flexGrow: p.value, minWidth: p.value ? 3 : 0}} className={p.value ? "" : "zero"}
        title={t("part", {label: p.label, n: p.value, share: f.share(share(p.value))})}/>)}
    </div>
    {legend && <ul>{parts.map(p => {
      const inner = <><i data-tone={p.tone} className={"dot " + p.tone}/><span>{p.label}</span><b><Count value={p.value}/></b><small className="num">{f.share(share(p.value))}</small></>
      return <li key={p.key} className={p.value ? "" : "none"} title={p.text}>{onPick ? <button type="button" onClick={() => onPick(p.key)}>{inner}</button> : <span className="row">{inner}</span>}</li>
    })}</ul>}
  </div>
}
