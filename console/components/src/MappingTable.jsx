import * as React from "react"
import {Icon} from "./kit/icons.jsx"
import {Button, Failure, Skeleton, Waiting} from "./kit/parts.jsx"
import {Select} from "./kit/select.jsx"
import {component, useData, useKit, useParam} from "./kit/wire.jsx"
import select from "./kit/select.css"
import css from "./MappingTable.css"

const NEW = "\u0000new", SKIP = "skip", FIELD = "field."

function Target({column, value, targets, fields, onChange}) {
  const {t} = useKit(), [naming, setNaming] = React.useState(false), name = value.startsWith(FIELD) ? value.slice(FIELD.length) : ""
  const known = [...new Set([...fields, ...(name && !naming ? [name] : [])])]
  const options = [...targets, ...known.map(x => ({value: FIELD + x, label: x, group: t("fields"), icon: "Variable"})), {value: NEW, label: t("new_field"), group: t("fields"), icon: "Plus"}]
  const pick = v => { if (v === NEW) { setNaming(true); onChange(FIELD + column.name.trim()) } else { setNaming(false); onChange(v) } }
  return <div className="to"><Select label={`${t("target")}: ${column.name}`} value={naming ? NEW : value} options={options} onChange={pick}/>
    {naming && <input className="input" autoFocus aria-label={t("field_name")} placeholder={t("field_name")} value={name} maxLength={60} onFocus={e => e.target.select()} onChange={e => onChange(FIELD + e.target.value)}/>}</div>
}

function problemsOf(mapping, targets, required, t) {
  const chosen = Object.values(mapping), twice = targets.filter(x => x.once && chosen.filter(v => v === x.value).length > 1)
  return [...twice.map(x => t("twice", {target: x.label})), ...required.filter(r => !chosen.includes(r.value)).map(r => r.text)]
}

function MappingTable({model}) {
  const {t, send} = useKit(), targets = useParam(model, "targets"), fields = useParam(model, "fields"), required = useParam(model, "required"), [mapping, setMapping] = React.useState({})
  const [{data, error}] = useData("columns", m => { setMapping(Object.fromEntries(m.columns.map(c => [c.name, c.guess ?? SKIP]))); return m })
  const problems = data ? problemsOf(mapping, targets, required, t) : []
  const told = React.useRef("")
  React.useEffect(() => {
    const text = JSON.stringify([mapping, problems])
    if (data && text !== told.current) { told.current = text; send("change", {mapping, problems}) }
  }, [mapping, data])
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting>{[1, 2, 3, 4].map(i => <Skeleton key={i} height={40} radius={8} style={{marginBottom: 9}}/>)}</Waiting></div>
  const used = Object.values(mapping).filter(v => v !== SKIP).length
  return <div className="k"><p className="sum"><span>{t("columns", {n: data.columns.length})}</span><span>{t("mapped", {n: used})}</span>{data.rows != null && <span>{t("rows", {n: data.rows})}</span>}</p>
    {problems.length > 0 && <ul className="pr" role="alert">{problems.map(p => <li key={p}><Icon name="AlertTriangle" size={14}/>{p}</li>)}</ul>}
    <div className="tb" role="table"><div className="hd" role="row"><span role="columnheader">{t("column")}</span><span role="columnheader">{t("samples")}</span><span role="columnheader">{t("target")}</span></div>
      {data.columns.map((c, i) => <div key={c.name + i} role="row" className={"rw" + (mapping[c.name] === SKIP ? " off" : "")} data-column={c.name}>
        <div role="cell" className="nm"><b>{c.name}</b>{c.problem && <small className="bad">{c.problem}</small>}</div>
        <div role="cell" className="sm">{c.samples?.filter(Boolean).length ? [...new Set(c.samples.filter(Boolean))].slice(0, 3).map((s, j) => <span key={j} className="tag" title={s}>{s}</span>) : <span className="mut">{t("empty_samples")}</span>}</div>
        <div role="cell"><Target column={c} value={mapping[c.name] ?? SKIP} targets={targets} fields={fields} onChange={v => setMapping(m => ({...m, [c.name]: v}))}/></div></div>)}</div>
    <div className="foot"><Button label={t("back")} onClick={() => send("back")}/><Button kind="primary" label={t("next")} disabled={problems.length > 0} onClick={() => send("next")}/></div></div>
}

export const render = component(MappingTable, select + css)
