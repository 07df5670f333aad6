// The kinds of fields of a form. Each takes {id, field, value, onChange, invalid, describedBy}.
import * as React from "react"
import {fromLocalInput, toLocalInput} from "./format.js"
import {Icon} from "./icons.jsx"
import {CopyButton, IconButton} from "./parts.jsx"
import {Select, TagInput} from "./select.jsx"
import {FileDrop} from "./upload.jsx"
import {useKit} from "./wire.jsx"

const aria = ({field, invalid, describedBy}) => ({"aria-invalid": invalid || undefined, "aria-describedby": describedBy, "aria-required": field.required || undefined, disabled: field.disabled, placeholder: field.placeholder})

const text = (type, more = {}) => function Text(p) {
  return <input id={p.id} className="input" type={type} name={p.field.name} value={p.value ?? ""} autoComplete={p.field.autocomplete ?? "off"} maxLength={p.field.max_length} spellCheck={type === "text"} {...more} {...aria(p)} onChange={e => p.onChange(e.target.value)}/>
}

function Textarea(p) {
  return <textarea id={p.id} className="input" rows={p.field.rows ?? 3} name={p.field.name} value={p.value ?? ""} maxLength={p.field.max_length} {...aria(p)} onChange={e => p.onChange(e.target.value)}/>
}

function Password(p) {
  const {t} = useKit(), [open, set] = React.useState(false)
  return <div className="with"><input id={p.id} className="input" type={open ? "text" : "password"} name={p.field.name} value={p.value ?? ""} autoComplete={p.field.autocomplete ?? "new-password"} spellCheck={false} {...aria(p)} onChange={e => p.onChange(e.target.value)}/>
    <IconButton small icon={open ? "EyeOff" : "Eye"} label={t(open ? "hide" : "show")} aria-pressed={open} onClick={() => set(!open)}/></div>
}

function Numeric(p) {
  const {field} = p
  return <div className="with"><input id={p.id} className="input num" type="number" inputMode="decimal" min={field.min} max={field.max} step={field.step ?? "any"} value={p.value ?? ""} {...aria(p)} onChange={e => p.onChange(e.target.value === "" ? null : e.target.valueAsNumber)} onWheel={e => e.currentTarget.blur()}/>{field.unit && <span className="unit">{field.unit}</span>}</div>
}

function Choice(p) {
  const {send} = useKit(), {field} = p
  return <Select id={p.id} value={p.value} options={field.options ?? []} onChange={p.onChange} placeholder={field.placeholder} disabled={field.disabled} invalid={p.invalid} describedBy={p.describedBy} label={field.label} answered={field.answered} searchable={field.remote || field.searchable} onSearch={field.remote ? words => send("options", {name: field.name, text: words}) : undefined}/>
}

function Radios(p, className, render) {
  const {field, value, onChange} = p
  return <div className={className} role="radiogroup" aria-labelledby={p.id + "-label"} aria-describedby={p.describedBy}>{field.options.map(o => <label key={o.value} className={o.value === value ? "on" : ""}>
    <input type="radio" name={p.id} className="sr" checked={o.value === value} disabled={field.disabled || o.disabled} onChange={() => onChange(o.value)}/>{render(o)}</label>)}</div>
}

const Segmented = p => Radios(p, "seg", o => <span>{o.icon && <Icon name={o.icon} size={14}/>}{o.label}</span>)
const Cards = p => Radios(p, "radios", o => <><i className="ring" aria-hidden="true"/>{o.icon && <Icon name={o.icon} size={17}/>}<span><b>{o.label}</b>{o.hint && <small>{o.hint}</small>}</span></>)

function Tags(p) {
  return <TagInput id={p.id} value={p.value ?? []} suggestions={p.field.suggestions ?? p.field.options ?? []} free={p.field.free ?? true} onChange={p.onChange} placeholder={p.field.placeholder} disabled={p.field.disabled} invalid={p.invalid} describedBy={p.describedBy} label={p.field.label}/>
}

function Toggle(p) {
  const {field, value} = p
  return <label className={"tog " + field.kind}><input id={p.id} type="checkbox" role={field.kind === "switch" ? "switch" : undefined} className="sr" checked={!!value} disabled={field.disabled} aria-describedby={p.describedBy} onChange={e => p.onChange(e.target.checked)}/>
    <i aria-hidden="true">{field.kind === "checkbox" && <Icon name="Check" size={12} strokeWidth={3.2}/>}</i><span><b>{field.label}</b>{field.help && <small id={p.id + "-help"}>{field.help}</small>}</span></label>
}

function DateTime(p) {
  const {t, f, timeZone} = useKit()
  return <><input id={p.id} className="input num" type="datetime-local" min={p.field.min && toLocalInput(p.field.min, timeZone)} value={toLocalInput(p.value, timeZone)} {...aria(p)} onChange={e => p.onChange(fromLocalInput(e.target.value, timeZone))}/>
    <small className="help">{t("time_zone", {zone: f.zone()})}</small></>
}

const DateOnly = p => <input id={p.id} className="input num" type="date" value={p.value ?? ""} {...aria(p)} onChange={e => p.onChange(e.target.value || null)}/>

function Shown(p) {
  const {t} = useKit(), [open, set] = React.useState(p.field.kind !== "secret")
  const value = p.value ?? ""
  return <div className="shown"><output id={p.id}>{open ? value : "•".repeat(18)}</output>
    {p.field.kind === "secret" && <IconButton small icon={open ? "EyeOff" : "Eye"} label={t(open ? "hide" : "show")} onClick={() => set(!open)}/>}
    {p.field.kind !== "readonly" && <CopyButton text={value}/>}</div>
}

export const KINDS = {
  text: text("text"), email: text("email", {inputMode: "email", spellCheck: false}), phone: text("tel", {inputMode: "tel"}), url: text("url", {inputMode: "url", spellCheck: false}),
  textarea: Textarea, password: Password, number: Numeric, select: Choice, segmented: Segmented, radio: Cards, tags: Tags, switch: Toggle, checkbox: Toggle, datetime: DateTime, date: DateOnly,
  file: FileDrop, readonly: Shown, copy: Shown, secret: Shown,
}

export const SHOWN_ONLY = new Set(["readonly", "copy", "secret", "section", "note"])
export const OWN_LABEL = new Set(["switch", "checkbox"])
export const GROUPS = new Set(["segmented", "radio"])

export function isEmpty(value) {
  return value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length) || value === false
}

/** Whether the field is asked for, given the other values. */
export function isAsked(field, values) {
  return Object.entries(field.when ?? {}).every(([name, wanted]) => wanted.includes(values[name]))
}
