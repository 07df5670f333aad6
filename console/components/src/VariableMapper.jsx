import * as React from "react"
import {Icon} from "./kit/icons.jsx"
import {Blank, Failure, Skeleton, Waiting} from "./kit/parts.jsx"
import {Select} from "./kit/select.jsx"
import {component, useData, useDebounced, useKit, useMessages} from "./kit/wire.jsx"
import select from "./kit/select.css"
import css from "./VariableMapper.css"

const TEXT = "text", PAUSE_MS = 200
const isText = v => v !== null && typeof v === "object"
const filled = v => (isText(v) ? !!v.text?.trim() : !!v)

/** "body.1" is the gap {{1}} of the message; "button.0.1" is in the first button's address. */
function place(key, t) {
  const [where, a, b] = key.split(".")
  if (key === "header.media") return {where: t("header"), name: t("media"), media: true}
  if (where === "button") return {where: t("button", {n: Number(a) + 1}), name: `{{${b}}}`}
  return {where: t(where), name: `{{${a}}}`}
}

function Row({variable, value, fields, error, onChange, alone}) {
  const {t} = useKit(), {where, name, media} = place(variable.key, t), fixed = isText(value)
  const options = [
    ...(media ? [] : [["contact.name", "User"], ["contact.first_name", "User"], ["contact.phone", "Phone"]].map(([v, icon]) => ({value: v, label: t(v), group: t("contact"), icon}))),
    ...[...new Set([...fields, ...(typeof value === "string" && value.startsWith("field.") ? [value.slice(6)] : [])])].map(x => ({value: "field." + x, label: x, group: t("fields"), icon: "Variable"})),
    {value: TEXT, label: t("text"), group: " ", icon: "Pencil"},
  ]
  return <li data-variable={variable.key}><div className="nm"><code>{name}</code>{!alone && <span>{where}</span>}{variable.example && <small title={variable.example}>{t("example", {example: variable.example})}</small>}</div>
    <Icon name="ArrowRight" size={15} className="arrow"/>
    <div className="src"><Select label={`${t("source")}: ${where} ${name}`} value={fixed ? TEXT : value} options={options} invalid={!!error} onChange={v => onChange(v === TEXT ? {text: ""} : v)}/>
      {fixed && <input className="input" aria-label={t("text")} placeholder={t(media ? "media.placeholder" : "text.placeholder")} value={value.text} aria-invalid={error ? true : undefined} autoFocus={!value.text} onChange={e => onChange({text: e.target.value})}/>}
      {error && <p className="err" role="alert"><Icon name="AlertCircle" size={13}/>{error}</p>}</div></li>
}

function VariableMapper() {
  const {t, send} = useKit(), [values, setValues] = React.useState({}), [errors, setErrors] = React.useState({})
  const [{data, error}] = useData("variables", m => { setValues(m.values); setErrors({}); return m })
  useMessages({errors: m => setErrors(m.errors)})
  const tell = useDebounced(next => send("change", {variables: next, complete: data.variables.every(v => filled(next[v.key]))}), PAUSE_MS)
  if (error) return <div className="k"><Failure error={error}/></div>
  if (data === null) return <div className="k"><Waiting>{[1, 2, 3].map(i => <Skeleton key={i} height={36} radius={8} style={{marginBottom: 10}}/>)}</Waiting></div>
  if (!data.variables.length) return <div className="k"><Blank icon="Variable" title={t("no_variables")} text={t("no_variables.text")}/></div>
  const change = (key, value) => { const next = {...values, [key]: value}; setValues(next); setErrors(e => ({...e, [key]: undefined})); tell(next) }
  // Where a gap stands is worth a word only where there is more than one place.
  const alone = new Set(data.variables.map(v => place(v.key, t).where)).size < 2 && data.variables[0].key !== "header.media"
  return <div className="k"><div className="hd" aria-hidden="true"><span>{t("variable")}</span><span/><span>{t("source")}</span></div>
    <ul>{data.variables.map(v => <Row key={v.key} variable={v} value={values[v.key] ?? null} fields={data.fields} alone={alone} error={errors[v.key]} onChange={x => change(v.key, x)}/>)}</ul></div>
}

export const render = component(VariableMapper, select + css)
