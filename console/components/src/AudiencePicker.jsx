import * as React from "react"
import {Icon} from "./kit/icons.jsx"
import {rich} from "./kit/bubble.jsx"
import {Blank, Count, Failure, Skeleton, Waiting} from "./kit/parts.jsx"
import {Select, TagInput} from "./kit/select.jsx"
import {component, useData, useDebounced, useKey, useKit, useMessages} from "./kit/wire.jsx"
import select from "./kit/select.css"
import css from "./AudiencePicker.css"

const PAUSE_MS = 250
const KINDS = [["all", "Users"], ["tags", "Tags"], ["import", "FileSpreadsheet"]]

const kindOf = a => (!a ? null : a.all ? "all" : a.tags ? "tags" : a.import_id ? "import" : null)
const complete = a => !!a && (a.all === true || a.tags?.length > 0 || !!a.import_id)

function Choice({kind, icon, on, onPick, group, n}) {
  const {t} = useKit()
  return <label className={"ch" + (on ? " on" : "")}><input type="radio" className="sr" name={group} checked={on} onChange={onPick}/><i className="ring" aria-hidden="true"/><Icon name={icon} size={17}/>
    <span className="grow"><b>{t(kind)}</b><small>{t(kind + ".text")}</small></span>{n != null && <span className="mut num">{t("contacts", {n})}</span>}</label>
}

/** The text a person would get, once nothing is missing in it: gaps are filled in a later step. */
const told = sample => { const text = sample.preview?.body ?? sample.preview; return typeof text === "string" && !text.includes("{{") ? text : "" }

function Waterfall({count, busy}) {
  const {t, f} = useKit(), {matched, will_send: reached, excluded = [], samples = []} = count, left = excluded.reduce((sum, e) => sum + e.n, 0)
  const bar = n => ({width: (matched ? (n / matched) * 100 : 0) + "%"})
  return <div className={"wf" + (busy ? " dim" : "")}>
    <div className="sum"><span className="n num"><Count value={reached}/></span><span>{t("will_send")}</span></div>
    {reached === 0 && <p className="none" role="alert"><Icon name="AlertTriangle" size={14}/>{t("nobody")}</p>}
    <ul><li><span>{t("matched")}</span><b className="num">{f.count(matched)}</b><i className="all" style={bar(matched)}/></li>
      {excluded.map(e => <li key={e.reason} className="out" data-reason={e.reason}><span>{e.text}</span><b className="num">−{f.count(e.n)}</b><i style={bar(e.n)}/></li>)}
      <li className="end"><span>{t("will_send")}</span><b className="num">{f.count(reached)}</b><i className="ok" style={bar(reached)}/></li></ul>
    {left > 0 && <p className="mut">{t("excluded")}: <span className="num">{f.count(left)} ({f.share(matched ? left / matched : 0)})</span></p>}
    {samples.length > 0 && <div className="sam"><h4>{t("samples")}</h4>{samples.slice(0, 3).map(s => <p key={s.contact_id}><b>{s.name || f.phone(s.phone)}</b>{told(s) ? rich(told(s)) : s.name && f.phone(s.phone)}</p>)}</div>}
  </div>
}

function Reach({audience, result, busy, error, retry}) {
  const {t} = useKit()
  if (error) return <Failure error={error} onRetry={retry}/>
  if (!complete(audience)) return <Blank icon="Users" text={t("pick")}/>
  if (!result) return <div className="wf" role="status"><Skeleton width={120} height={28}/><p className="mut" style={{marginTop: 6}}>{t("counting")}</p><Skeleton height={10} style={{marginTop: 22}}/><Skeleton height={10} width="70%" style={{marginTop: 16}}/></div>
  return <Waterfall count={result} busy={busy}/>
}

function useCount(audience, ready) {
  const {send} = useKit(), seq = React.useRef(0)
  const [state, set] = React.useState({result: null, busy: false, error: null})
  useMessages({
    count: m => { if (m.seq === seq.current) set({result: m.count, busy: false, error: null}) },
    count_error: m => { if (m.seq === seq.current) set({result: null, busy: false, error: m}) },
  })
  const tell = useDebounced(value => send("change", {audience: complete(value) ? value : null, seq: seq.current}), PAUSE_MS)
  const ask = value => { seq.current += 1; set(s => ({...s, busy: true, error: null, result: complete(value) ? s.result : null})); tell(value) }
  const text = JSON.stringify(audience)
  React.useEffect(() => { if (ready && audience) ask(audience) }, [text, ready])
  return {...state, retry: () => ask(audience)}
}

function AudiencePicker() {
  const {t, f} = useKit(), group = useKey("audience"), [audience, setAudience] = React.useState(null), [problem, setProblem] = React.useState("")
  const [{data, error}] = useData("choices", m => { setAudience(m.audience); return m })
  useMessages({errors: m => setProblem(m.text)})
  const count = useCount(audience, data !== null)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting><div className="ap"><div className="left">{[1, 2, 3].map(i => <Skeleton key={i} height={62} radius={10}/>)}</div><Skeleton height={200} radius={12}/></div></Waiting></div>
  const kind = kindOf(audience), choose = value => { setAudience(value); setProblem("") }
  const pick = {all: () => choose({all: true}), tags: () => choose({tags: []}), import: () => choose({import_id: ""})}
  return <div className="k ap"><div className="left" role="radiogroup" aria-label={t("audience")}>
    {KINDS.map(([name, icon]) => <React.Fragment key={name}><Choice {...{kind: name, icon, group}} on={kind === name || (name === "import" && audience?.import_id === "")} n={name === "all" ? data.total : null} onPick={pick[name]}/>
      {name === "tags" && kind === "tags" && <div className="sub">{data.tags.length ? <TagInput value={audience.tags} free={false} suggestions={data.tags.map(x => ({value: x.tag, hint: t("contacts", {n: x.contacts})}))} onChange={tags => choose({tags})} placeholder={t("tags.placeholder")} label={t("tags")}/> : <p className="mut">{t("tags.none")}</p>}</div>}
      {name === "import" && audience?.import_id !== undefined && <div className="sub">{data.imports.length ? <Select value={audience.import_id} label={t("import")} options={data.imports.map(x => ({value: x.id, label: x.filename, hint: `${f.instant(x.created_at)} · ${t("contacts", {n: x.total})}`}))} onChange={import_id => choose({import_id})}/> : <p className="mut">{t("imports.none")}</p>}</div>}
    </React.Fragment>)}
    {problem && <p className="err" role="alert"><Icon name="AlertCircle" size={13}/>{problem}</p>}</div>
    <div className="right" aria-live="polite"><Reach audience={audience} {...count}/></div></div>
}

export const render = component(AudiencePicker, select + css)
