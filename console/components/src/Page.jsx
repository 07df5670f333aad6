import * as React from "react"
import {Button, Badge} from "./kit/parts.jsx"
import {LeaveGuard} from "./kit/guard.jsx"
import {Icon} from "./kit/icons.jsx"
import {Link, component, useBothWays, useKit, useParam} from "./kit/wire.jsx"
import css from "./Page.css"

function Actions({actions, small}) {
  const {send} = useKit()
  if (!actions?.length) return null
  return <div className="acts">{actions.map(a => <Button key={a.key} small={small} kind={a.kind} icon={a.icon} label={a.label} path={a.path} href={a.href} disabled={a.disabled} busy={a.busy} data-action={a.key} onClick={() => send("action", {key: a.key})}/>)}</div>
}

function Heading({model}) {
  const title = useParam(model, "title"), text = useParam(model, "text"), back = useParam(model, "back"), status = useParam(model, "status"), actions = useParam(model, "actions")
  if (!title && !actions.length && !back.path) return null
  return <div className="top"><div className="tt">
    {back.path && <Link className="back" path={back.path}><Icon name="ArrowLeft" size={14}/>{back.label}</Link>}
    {title && <h2>{title}{status.label && <Badge tone={status.tone}>{status.label}</Badge>}</h2>}{text && <p>{text}</p>}</div><Actions actions={actions}/></div>
}

function Tabs({model}) {
  const {t, f, send} = useKit()
  const tabs = useParam(model, "tabs"), [tab, setTab] = useBothWays(model, "tab")
  if (!tabs.length) return null
  const go = key => { setTab(key); send("tab", {key}) }
  const keys = e => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[e.key]
    if (!step) return
    const at = (tabs.findIndex(x => x.key === tab) + step + tabs.length) % tabs.length
    go(tabs[at].key)
    e.currentTarget.children[at].focus()
  }
  return <div className="tabs" role="tablist" aria-label={t("sections")} onKeyDown={keys}>{tabs.map(x => <button key={x.key} type="button" role="tab" aria-selected={x.key === tab} tabIndex={x.key === tab ? 0 : -1} onClick={() => go(x.key)}>{x.label}{x.n != null && <small className="num">{f.count(x.n)}</small>}</button>)}</div>
}

function Page({model}) {
  const items = model.get_child("items"), layout = useParam(model, "layout"), hidden = useParam(model, "hidden"), narrow = useParam(model, "narrow"), guard = useParam(model, "guard"), box = React.useRef(null)
  return <div ref={box} className={"k sheet" + (narrow ? " narrow" : "") + (layout.some(s => s.fill) ? " fills" : "")}>
    <Heading model={model}/><Tabs model={model}/>
    <div className="grid">{items.map((item, i) => {
      const s = layout[i] ?? {}
      const style = {"--span": s.span ?? 12, minHeight: s.min_height || undefined}
      return <section key={s.key || i} className={"slot" + (s.card ? " card" : "") + (s.fill ? " fill" : "")} data-slot={s.key || undefined} hidden={!!s.key && hidden.includes(s.key)} style={style} aria-label={s.title || undefined}>
        {(s.title || s.actions?.length > 0) && <div className="cap"><div><h3>{s.title}</h3>{s.text && <p>{s.text}</p>}</div><Actions actions={s.actions} small/></div>}
        <div className="in">{item}</div></section>
    })}</div>
    <LeaveGuard active={guard} box={box}/>
  </div>
}

export const render = component(Page, css)
