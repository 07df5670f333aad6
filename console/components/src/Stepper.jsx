import {Icon} from "./kit/icons.jsx"
import {component, useBothWays, useKit, useParam} from "./kit/wire.jsx"
import css from "./Stepper.css"

function Stepper({model}) {
  const {t, send} = useKit()
  const steps = useParam(model, "steps"), [current, setCurrent] = useBothWays(model, "current")
  const at = steps.findIndex(s => s.key === current)
  const reachable = i => i <= at || steps.slice(0, i).every(s => s.state === "done")
  const go = key => { setCurrent(key); send("step", {key}) }
  return <nav className="k" aria-label={t("steps")}>
    <p className="sr" aria-live="polite">{t("position", {n: at + 1, total: steps.length})}</p>
    <ol>{steps.map((s, i) => <li key={s.key} data-state={s.state ?? "todo"}>
      <button type="button" aria-current={i === at ? "step" : undefined} disabled={!reachable(i)} onClick={() => go(s.key)}>
        <span className="no">{s.state === "error" ? <Icon name="AlertTriangle" size={13}/> : s.state === "done" && i !== at ? <Icon name="Check" size={14} strokeWidth={2.6}/> : i + 1}</span>
        <span className="tx"><b>{s.label}</b>{s.text && <small>{s.text}</small>}</span>
        {s.state === "done" && <span className="sr">{t("done")}</span>}{s.state === "error" && <span className="sr">{t("problem")}</span>}
      </button></li>)}</ol></nav>
}

export const render = component(Stepper, css)
