import * as React from "react"
import {FunnelBars, StackedBar} from "./kit/bars.jsx"
import bars from "./kit/bars.css"
import {Menu} from "./kit/floating.jsx"
import {Icon} from "./kit/icons.jsx"
import {Confirm} from "./kit/modal.jsx"
import {Badge, Blank, Button, Count, Failure, IconButton, Skeleton, Track, Waiting, useNow} from "./kit/parts.jsx"
import {Link, component, useData, useKit, useMessages, useParam} from "./kit/wire.jsx"
import css from "./CampaignLive.css"

const TONES = {draft: "neutral", scheduled: "violet", running: "info", held: "warning", pausing: "warning", paused: "warning", completed: "success", cancelled: "neutral"}
const BAR_TONES = {running: "accent", pausing: "warning", paused: "warning", completed: "success"}
// Each recipient once, in the furthest state: best news first, what waits last.
const STATES = [["read", "success"], ["delivered", "info"], ["sent", "violet"], ["accepted", "violet-soft"], ["dispatching", "accent"], ["queued", "muted"], ["unknown", "warning"], ["failed", "danger"], ["skipped", "neutral"], ["cancelled", "soft"]]
const HINTED = new Set(["unknown", "queued", "dispatching"])
const UNSETTLED = ["queued", "dispatching"]
const COMMANDS = {
  start: {icon: "Send", kind: "primary", in: ["draft"], ask: true},
  pause: {icon: "Pause", kind: "secondary", in: ["running"]},
  resume: {icon: "Play", kind: "primary", in: ["paused", "pausing"]},
  retry: {icon: "RotateCcw", kind: "secondary", in: ["paused", "completed"], ask: true, when: c => c.counts.failed > 0},
  edit: {icon: "Pencil", kind: "secondary", in: ["draft", "scheduled", "running", "pausing", "paused"]},
  cancel: {icon: "Ban", tone: "danger", in: ["draft", "scheduled", "running", "pausing", "paused"], ask: true, danger: true, menu: true},
  test: {icon: "FlaskConical", in: ["draft", "scheduled", "running", "pausing", "paused"], menu: true},
  export: {icon: "Download", in: ["running", "pausing", "paused", "completed", "cancelled"], menu: true},
  duplicate: {icon: "Copy", in: Object.keys(TONES), menu: true},
  delete: {icon: "Trash2", tone: "danger", in: ["draft", "scheduled"], ask: true, danger: true, menu: true},
}

// So long a second press counts as the other half of a double click.
const TWICE_MS = 800

const can = (name, campaign, allowed) => allowed.includes(name) && COMMANDS[name].in.includes(campaign.status) && (COMMANDS[name].when?.(campaign) ?? true)
const zero = counts => ({total: 0, ...Object.fromEntries(STATES.map(([s]) => [s, 0])), replied: 0, ...counts})

/** Steps everyone went through, from counts in which each recipient stands in one state only. */
function funnelOf(c, t) {
  const read = c.read, delivered = c.delivered + read, accepted = c.accepted + c.sent + delivered
  return [["accepted", accepted], ["delivered", delivered], ["read", read], ["replied", c.replied]].map(([key, value]) => ({key, value, label: t("funnel." + key)}))
}

/** What starting it would mean: to wait for its time, where that lies ahead. */
const wordOf = (name, campaign) => (name === "start" && campaign.scheduled_at && new Date(campaign.scheduled_at) > new Date() ? "schedule" : name)

function useCommands(campaign, busy) {
  const {t, f, send} = useKit(), [asked, ask] = React.useState(null), last = React.useRef(0)
  const tell = name => { last.current = Date.now(); send("command", {name}) }
  const run = name => { if (Date.now() - last.current > TWICE_MS) COMMANDS[name].ask ? ask(name) : tell(name) }
  const word = asked && wordOf(asked, campaign)
  const question = asked && <Confirm title={t("confirm." + word)} text={t(`confirm.${word}.text`, {n: campaign.counts.failed, when: word === "schedule" ? f.instant(campaign.scheduled_at) : ""})} tone={COMMANDS[asked].danger ? "danger" : "normal"}
    yes={asked === "cancel" ? t("confirm.cancel.yes") : t(word)} no={t("confirm.no")} onAnswer={yes => { ask(null); if (yes) tell(asked) }}/>
  return {run, question, busy}
}

function Buttons({campaign, allowed, commands: {run, busy}}) {
  const {t} = useKit(), possible = Object.keys(COMMANDS).filter(n => can(n, campaign, allowed))
  const shown = possible.filter(n => !COMMANDS[n].menu), folded = possible.filter(n => COMMANDS[n].menu)
  return <div className="acts">{shown.map(n => <Button key={n} kind={COMMANDS[n].kind} icon={wordOf(n, campaign) === "schedule" ? "CalendarClock" : COMMANDS[n].icon} label={t(wordOf(n, campaign))} busy={busy === n} disabled={!!busy} data-command={n} onClick={() => run(n)}/>)}
    {folded.length > 0 && <Menu end label={t("more")} items={folded.map(n => ({key: n, label: t(n), icon: COMMANDS[n].icon, tone: COMMANDS[n].tone, disabled: !!busy}))} onPick={run}
      button={props => <IconButton icon="Ellipsis" label={t("more")} className="framed" {...props}/>}/>}</div>
}

function when(campaign, t, f) {
  const {status, seconds_left: left, completed_at: done, scheduled_at: planned} = campaign
  // One that stands still is not about to know how long it takes: why it stands is told above.
  if (status === "running" && campaign.pause_reason?.text) return ""
  if (status === "running") return left == null ? t("left.unknown") : t("left", {time: f.span(left)})
  if (status === "completed") return done ? t("left.done", {when: f.instant(done)}) : ""
  if (status === "scheduled") return planned ? t("left.scheduled", {when: f.instant(planned)}) : ""
  return t("left." + status)
}

function Progress({campaign, counts}) {
  const {t, f} = useKit()
  // Who was cancelled never got it: a campaign that was cancelled at once did nothing of what it was to do.
  const reachable = Math.max(0, counts.total - counts.skipped), unsent = counts.cancelled + UNSETTLED.reduce((n, s) => n + counts[s], 0), done = Math.max(0, reachable - unsent)
  const share = reachable ? done / reachable : campaign.status === "completed" ? 1 : 0
  return <section className="card big" aria-label={t("progress")}>
    <div className="line"><span className="pc num"><Count value={share} format={v => f.ratio(v, share > 0 && share < 1 ? 1 : 0)}/></span>
      <span className="of">{t("done", {done, total: reachable})}</span>
      <span className="sp">{campaign.status === "running" && campaign.rate_per_second > 0 && <b className="num"><Icon name="Zap" size={14}/>{t("speed", {n: f.decimal(Math.round((campaign.rate_per_second ?? 0) * 10) / 10)})}</b>}<span>{when(campaign, t, f)}</span></span></div>
    <Track share={share} tone={BAR_TONES[campaign.status] ?? "neutral"} label={t("progress")}/>
  </section>
}

/** Why nothing leaves, where there is more to say than that somebody paused it. */
function Standstill({campaign}) {
  const {t} = useKit(), {pause_reason: reason, status} = campaign
  // One that runs and sends nothing waits for its connection; one that is paused has a reason of its own.
  const mend = status === "running" ? "/connections/" + campaign.channel_id : ""
  if (!reason?.text || !STANDING.has(status)) return null
  return <section className="card still halt" role="status" data-reason={reason.code}><Icon name="AlertTriangle" size={17}/><div><b>{reason.text}</b>{mend && <p><Link path={mend}>{t("connection")}</Link></p>}</div></section>
}

/** What there is to say of a campaign before it began: figures would all be nought. */
function Unbegun({campaign}) {
  const {t, f} = useKit(), reason = campaign.pause_reason?.text
  return <section className="card still" aria-label={t("progress")}><Icon name={STILL[campaign.status] ?? "Clock"} size={17}/><div><b>{when(campaign, t, f)}</b>{reason && <p>{reason}</p>}</div></section>
}

const STANDING = new Set(["running", "pausing", "paused"])
const STILL = {draft: "Pencil", scheduled: "CalendarClock", cancelled: "Ban"}
const HEADLINES = [["total", "Users"], ["delivered", "CheckCheck"], ["read", "Eye"], ["replied", "MessageCircle"], ["failed", "AlertCircle"]]

function Headlines({counts, funnel}) {
  const {t, f} = useKit(), step = key => funnel.find(s => s.key === key).value
  const value = key => (key === "total" || key === "failed" ? counts[key] : step(key))
  // Of whom each is a share: the tried for delivered and failed, then always the step before.
  const tried = funnel[0].value + counts.failed, bases = {delivered: tried, failed: tried, read: step("delivered"), replied: step("read")}
  return <dl className="heads">{HEADLINES.map(([key, icon]) => <div key={key} className="card" data-head={key}><dt><Icon name={icon} size={14}/>{t("count." + key)}</dt><dd><Count value={value(key)}/>{key !== "total" && <small className="num">{f.share(bases[key] ? value(key) / bases[key] : 0)}</small>}</dd></div>)}</dl>
}

function Reasons({items, title, blank, onPick}) {
  const {f} = useKit(), most = Math.max(1, ...items.map(i => i.n)), key = i => i.code ?? i.reason
  return <section className="card"><h3>{title}</h3>{items.length === 0 ? blank : <ul className="why">{items.map(i => {
    const inner = <><span className="ttl"><b>{i.text}</b><span className="num">{f.count(i.n)}</span></span><i style={{width: (i.n / most) * 100 + "%"}}/>{i.action && <small>{i.action}</small>}</>
    return <li key={key(i)} data-reason={key(i)}>{onPick ? <button type="button" onClick={() => onPick(key(i))}>{inner}</button> : <div>{inner}</div>}</li>
  })}</ul>}</section>
}

function BackLink({back}) {
  const {t} = useKit()
  return <Link className="back" path={back}><Icon name="ArrowLeft" size={14}/>{t("back")}</Link>
}

function Head({campaign, back, allowed, commands}) {
  const {t, f} = useKit(), stand = campaign.held ? "held" : campaign.status
  useNow()
  const about = [campaign.template_name, campaign.channel_name, campaign.started_at ? t("started", {when: f.instant(campaign.started_at)}) : campaign.created_at && t("created", {when: f.instant(campaign.created_at)})].filter(Boolean)
  return <div className="top"><div className="tt"><BackLink back={back}/>
    <h2>{campaign.name}<span role="status"><Badge tone={TONES[stand]} live={["running", "pausing"].includes(stand)}>{t("status." + stand)}</Badge></span></h2><p>{about.join(" · ")}</p></div>
    <Buttons campaign={campaign} allowed={allowed} commands={commands}/></div>
}

function Loaded({campaign, failures, exclusions, back, allowed, busy}) {
  const {t} = useKit(), counts = zero(campaign.counts), funnel = funnelOf(counts, t), commands = useCommands({...campaign, counts}, busy)
  const parts = STATES.map(([key, tone]) => ({key, tone, value: counts[key], label: t("count." + key), text: HINTED.has(key) ? t(`count.${key}.text`) : undefined}))
  return <div className="k cl" data-status={campaign.status}>
    <Head {...{campaign: {...campaign, counts}, back, allowed, commands}}/>
    {campaign.started_at ? <Figures {...{campaign, counts, funnel, parts, failures, exclusions}}/> : <Unbegun campaign={campaign}/>}
    {commands.question}
  </div>
}

function Figures({campaign, counts, funnel, parts, failures, exclusions}) {
  const {t, send} = useKit()
  return <><Standstill campaign={campaign}/><Progress campaign={campaign} counts={counts}/>
    <Headlines counts={counts} funnel={funnel}/>
    <div className="two"><section className="card"><h3>{t("states")}</h3><StackedBar parts={parts} onPick={state => send("state", {state})}/></section>
      <section className="card"><h3>{t("funnel")}</h3><FunnelBars steps={funnel} label={t("funnel")}/></section></div>
    <div className="two">{failures && <Reasons items={failures} title={t("failures")} onPick={code => send("reason", {code})} blank={<Blank icon="ShieldCheck" title={t("failures.none")} text={t("failures.none.text")}/>}/>}
      {exclusions?.length > 0 && <Reasons items={exclusions} title={t("exclusions")}/>}</div></>
}

function Waits() {
  return <div className="k cl"><Waiting><Skeleton width={280} height={22}/><Skeleton width={190} style={{margin: "12px 0 20px"}}/><div className="card big"><Skeleton width={110} height={30}/><Skeleton height={10} style={{marginTop: 16}}/></div>
    <div className="heads" style={{margin: "14px 0"}}>{[1, 2, 3, 4, 5].map(i => <div key={i} className="card"><Skeleton width="50%"/><Skeleton width="70%" height={20} style={{marginTop: 10}}/></div>)}</div><div className="two"><div className="card"><Skeleton height={170} radius={8}/></div><div className="card"><Skeleton height={170} radius={8}/></div></div></Waiting></div>
}

const newer = (fields, campaign) => fields.revision == null || campaign.revision == null || fields.revision > campaign.revision

function CampaignLive({model}) {
  const {t} = useKit(), allowed = useParam(model, "allowed"), back = useParam(model, "back"), busy = useParam(model, "busy_command"), [failures, setFailures] = React.useState(null), [exclusions, setExclusions] = React.useState(null)
  const shown = React.useRef(null)
  const [{data, error}, change] = useData("campaign", m => {
    const old = shown.current
    return (shown.current = old && old.id === m.campaign.id && old.revision > m.campaign.revision ? old : m.campaign)
  })
  useMessages({
    patch: m => change(c => (shown.current = newer(m.fields, c) ? {...c, ...m.fields} : c)),
    failures: m => setFailures(m.items),
    exclusions: m => setExclusions(m.items),
    wait: () => { shown.current = null; setFailures(null); setExclusions(null) },
  })
  if (error) return <div className="k"><BackLink back={back}/><Failure error={error} retryLabel={t("retry_load")}/></div>
  if (data === null) return <Waits/>
  return <Loaded campaign={data} {...{failures, exclusions, back, allowed, busy}}/>
}

export const render = component(CampaignLive, bars + css)
