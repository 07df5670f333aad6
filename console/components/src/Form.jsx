import * as React from "react"
import {GROUPS, KINDS, OWN_LABEL, SHOWN_ONLY, isAsked, isEmpty} from "./kit/fields.jsx"
import {LeaveGuard} from "./kit/guard.jsx"
import {Icon} from "./kit/icons.jsx"
import {Button, Failure, Skeleton, Waiting} from "./kit/parts.jsx"
import {Link, component, phone, useKey, useKit, useMedia, useMessages, useParam} from "./kit/wire.jsx"
import select from "./kit/select.css"
import css from "./Form.css"

function Field({field, value, error, link, onChange, id}) {
  const {t, f} = useKit(), Kind = KINDS[field.kind] ?? KINDS.text
  const helpId = field.help && !OWN_LABEL.has(field.kind) ? id + "-help" : undefined, errorId = error ? id + "-error" : undefined
  const described = [helpId, errorId].filter(Boolean).join(" ") || undefined
  const Label = GROUPS.has(field.kind) || SHOWN_ONLY.has(field.kind) ? "span" : "label"
  return <div className={"fd" + (field.half ? " half" : "")} data-field={field.name}>
    {!OWN_LABEL.has(field.kind) && field.label && <Label className="lab" id={id + "-label"} htmlFor={Label === "label" ? id : undefined}>{field.label}{field.optional && <em>{t("optional")}</em>}</Label>}
    <Kind id={id} field={field} value={value} onChange={onChange} invalid={!!error} describedBy={described}/>
    {error && <p className="err" id={errorId}><Icon name="AlertCircle" size={13}/><span>{f.phones(error)}{link && <> <Link path={link.path}>{link.label}</Link></>}</span></p>}
    {helpId && <small className="help" id={helpId}>{field.help}</small>}
  </div>
}

function Part({field, ...rest}) {
  if (field.kind === "section") return <div className="sec"><h3>{field.label}</h3>{field.help && <p>{field.help}</p>}</div>
  if (field.kind === "note") return <p className="note" data-tone={field.tone ?? "info"}><Icon name={field.icon ?? "Info"} size={15}/><span>{field.label}</span></p>
  return <Field field={field} {...rest}/>
}

/** Values, errors and what is under way, and how messages change them. */
function useForm(fields) {
  const {f} = useKit(), phones = fields.filter(x => x.kind === "phone").map(x => x.name)
  const [state, set] = React.useState({values: null, errors: {}, text: "", busy: false, dirty: false, failed: null, options: {}, answered: {}, links: {}})
  const latest = React.useRef(state)
  latest.current = state
  const patch = change => set(s => ({...s, ...(typeof change === "function" ? change(s) : change)}))
  useMessages({
    values: m => set({values: {...m.values, ...Object.fromEntries(phones.filter(name => m.values[name]).map(name => [name, f.phones(m.values[name])]))},
      errors: {}, text: "", busy: false, dirty: false, failed: null, options: {}, answered: {}, links: {}}),
    set: m => patch(s => ({values: {...s.values, ...m.values}, dirty: true})),
    errors: m => patch({errors: m.errors, text: m.text, links: m.links ?? {}, busy: false, focus: true}),
    busy: m => patch({busy: m.busy}),
    saved: () => patch({busy: false, dirty: false, errors: {}, text: ""}),
    field_options: m => patch(s => ({options: {...s.options, [m.name]: m.options}, answered: {...s.answered, [m.name]: m.text}})),
    error: m => patch({failed: m}),
    wait: () => patch({values: null}),
  })
  return [state, patch, latest]
}

function Waits({fields}) {
  return <Waiting><div className="fds">{fields.filter(f => f.kind !== "section").slice(0, 6).map((f, i) => <div key={i} className={"fd" + (f.half ? " half" : "")}><Skeleton width={90}/><Skeleton height={36} radius={8} style={{marginTop: 8}}/></div>)}</div></Waiting>
}

function Form({model}) {
  const {t, f, send} = useKit()
  const fields = useParam(model, "fields"), actions = useParam(model, "actions"), buttons = useParam(model, "buttons"), cancellable = useParam(model, "cancellable")
  const submitLabel = useParam(model, "submit_label"), cancelLabel = useParam(model, "cancel_label"), guard = useParam(model, "guard"), danger = useParam(model, "danger")
  const [{values, errors, text, busy, dirty, failed, focus, options, answered, links}, patch, latest] = useForm(fields), box = React.useRef(null), id = useKey("form"), isPhone = useMedia(phone)
  React.useEffect(() => {
    if (!focus) return
    const wrong = box.current?.querySelector("[aria-invalid=true]")
    ;(wrong?.matches("input,textarea,button") ? wrong : wrong?.querySelector("input"))?.focus()
    patch({focus: false})
  }, [focus])
  const here = values !== null
  React.useEffect(() => {
    // In a dialog one types at once; on a phone the keyboard would jump up.
    const inDialog = box.current?.getRootNode().host?.closest("dialog")
    if (here && inDialog && !isPhone) box.current.querySelector("input:not([type=file]), textarea, .sel")?.focus()
  }, [here])
  if (failed) return <div className="k"><Failure error={failed}/></div>
  if (values === null) return <div className="k"><Waits fields={fields}/></div>
  const asked = fields.filter(f => isAsked(f, values))
  const change = (field, value) => {
    const next = {...latest.current.values, [field.name]: value}
    latest.current.values = next
    patch(s => {
      const errors = Object.fromEntries(Object.entries(s.errors).filter(([name, wrong]) => wrong && name !== field.name))
      return {values: {...s.values, [field.name]: value}, dirty: true, errors, text: Object.keys(errors).length ? s.text : ""}
    })
    if (field.watch) send("change", {name: field.name, value, values: next})
  }
  const submit = e => {
    e.preventDefault()
    if (busy) return
    const missing = Object.fromEntries(asked.filter(f => f.required && isEmpty(values[f.name])).map(f => [f.name, t("required")]))
    if (Object.keys(missing).length) return patch({errors: missing, text: "", focus: true})
    patch({busy: true, errors: {}, text: ""})
    const told = asked.filter(f => !SHOWN_ONLY.has(f.kind) && values[f.name] !== undefined)
    send("submit", {values: Object.fromEntries(told.map(f => [f.name, values[f.name]]))})
  }
  // What is said of a field that is not on screen has no other place than above the form.
  const places = new Set(asked.map(x => x.name)), homeless = Object.entries(errors).filter(([name, said]) => said && !places.has(name)).map(([, said]) => said)
  const wrong = Object.values(errors).filter(Boolean).length - homeless.length
  const banner = [text, ...homeless].filter(Boolean).join(" ") || (wrong > 1 ? t("errors", {n: wrong}) : "")
  return <form ref={box} className="k" noValidate onSubmit={submit} aria-busy={busy}>
    {banner && <p className="note all" data-tone="danger" role="alert"><Icon name="AlertCircle" size={15}/><span>{f.phones(banner)}</span></p>}
    <div className="fds">{asked.map((x, i) => <Part key={x.name ?? "part" + i} id={`${id}-${x.name ?? i}`} field={options[x.name] ? {...x, options: options[x.name], suggestions: options[x.name], answered: answered[x.name]} : x} value={values[x.name]} error={errors[x.name]} link={links[x.name]} onChange={v => change(x, v)}/>)}</div>
    {buttons && <div className="foot">{actions.map(a => <Button key={a.key} kind={a.kind} icon={a.icon} label={a.label} onClick={() => send("action", {key: a.key, values})}/>)}<span className="grow"/>
      {cancellable && <Button label={cancelLabel || t("cancel")} onClick={() => { patch({dirty: false}); send("cancel") }}/>}
      <button type="submit" className={"btn " + (danger ? "danger" : "primary")} disabled={busy}>{busy && <Icon name="LoaderCircle" className="spin"/>}{submitLabel || t("submit")}</button></div>}
    {guard && buttons && <LeaveGuard active={dirty} box={box}/>}
  </form>
}

export const render = component(Form, select + css)
