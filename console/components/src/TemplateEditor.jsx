import * as React from "react"
import {Bubble} from "./kit/bubble.jsx"
import bubble from "./kit/bubble.css"
import {Menu} from "./kit/floating.jsx"
import {LeaveGuard} from "./kit/guard.jsx"
import {Icon} from "./kit/icons.jsx"
import {fromMeta, gaps, isNamed, preview, toMeta, variables} from "./kit/meta.js"
import {Button, Failure, IconButton, Skeleton, Waiting} from "./kit/parts.jsx"
import {Select} from "./kit/select.jsx"
import {component, useDebounced, useKey, useKit, useMessages, useParam} from "./kit/wire.jsx"
import select from "./kit/select.css"
import css from "./TemplateEditor.css"

const PAUSE_MS = 300
const HEADERS = [["NONE", "Ban"], ["TEXT", "FileText"], ["IMAGE", "Image"], ["VIDEO", "Video"], ["DOCUMENT", "Paperclip"]]
const BUTTONS = [["QUICK_REPLY", "CornerUpLeft"], ["URL", "ExternalLink"], ["PHONE_NUMBER", "Phone"]]
const MARKS = [["bold", "Bold", "*"], ["italic", "Italic", "_"], ["strike", "Strikethrough", "~"], ["mono", "Code", "```"]]

function Row({name, label, error, optional, help, note, children, id}) {
  const {t} = useKit()
  return <div className="fd" data-field={name}><div className="lab"><label htmlFor={id}>{label}</label>{optional && <em>{t("optional")}</em>}{note}</div>{children}
    {error && <p className="err" role="alert"><Icon name="AlertCircle" size={13}/>{error}</p>}{help && <small className="help">{help}</small>}</div>
}

function Left({text, limit}) {
  const {t} = useKit()
  return <span className={"left num" + (text.length > limit ? " over" : "")}>{t("characters", {n: text.length, limit})}</span>
}

function About({draft, set, errors, model, fixed, id}) {
  const {t} = useKit(), languages = useParam(model, "languages"), categories = useParam(model, "categories"), channels = useParam(model, "channels")
  return <div className="about">
    {channels.length > 1 && <Row name="channel_id" label={t("channel")} error={errors.channel_id} id={id + "-channel"}><Select id={id + "-channel"} label={t("channel")} value={draft.channel_id} options={channels} disabled={fixed} invalid={!!errors.channel_id} onChange={v => set({channel_id: v})}/></Row>}
    <Row name="name" label={t("name")} error={errors.name} help={fixed ? undefined : t("name.help")} id={id + "-name"}><input id={id + "-name"} className="input" value={draft.name} disabled={fixed} aria-invalid={errors.name ? true : undefined} maxLength={512} spellCheck={false}
      onChange={e => set({name: e.target.value.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^a-z0-9_]+/g, "_")})}/></Row>
    <div className="pair"><Row name="language" label={t("language")} error={errors.language} id={id + "-language"}><Select id={id + "-language"} label={t("language")} value={draft.language} options={languages} disabled={fixed} invalid={!!errors.language} onChange={v => set({language: v})}/></Row>
      <Row name="category" label={t("category")} error={errors.category} id={id + "-category"}><Select id={id + "-category"} label={t("category")} value={draft.category} options={categories} disabled={fixed} invalid={!!errors.category} onChange={v => set({category: v})}/></Row></div></div>
}

function Header({draft, set, errors, limit, id}) {
  const {t} = useKit(), {header} = draft, change = fields => set({header: {...header, ...fields}})
  return <Row name="header" label={t("header")} optional error={errors.header} id={id + "-header"} note={header.format === "TEXT" && <Left text={header.text} limit={limit}/>}>
    <div className="seg" role="radiogroup" aria-label={t("header")}>{HEADERS.map(([f, icon]) => <label key={f} className={header.format === f ? "on" : ""}><input type="radio" className="sr" name={id + "-format"} checked={header.format === f} onChange={() => change({format: f})}/><span><Icon name={icon} size={14}/>{t("header." + f.toLowerCase())}</span></label>)}</div>
    {header.format === "TEXT" && <input id={id + "-header"} className="input" value={header.text} aria-invalid={errors.header ? true : undefined} placeholder={t("header.placeholder")} onChange={e => change({text: e.target.value})}/>}
    {!["NONE", "TEXT"].includes(header.format) && <input id={id + "-header"} className="input" type="url" value={header.media} aria-invalid={errors.header ? true : undefined} placeholder={t("header.media")} onChange={e => change({media: e.target.value})}/>}</Row>
}

function Body({draft, set, errors, limit, suggested, id}) {
  const {t} = useKit(), area = React.useRef(null)
  const put = (before, after = "") => {
    const {selectionStart: a, selectionEnd: b, value} = area.current
    area.current.focus()
    area.current.setRangeText(before + value.slice(a, b) + after, a, b, "end")
    if (after && a === b) area.current.setSelectionRange(a + before.length, a + before.length)
    set({body: area.current.value})
  }
  const used = gaps(draft.body), next = isNamed(draft) ? null : String(1 + Math.max(0, ...used.map(Number)))
  const names = [...(next ? [next] : []), ...new Set([...used, ...suggested].filter(n => n !== next))]
  return <Row name="body" label={t("body")} error={errors.body} id={id + "-body"} note={<Left text={draft.body} limit={limit}/>}>
    <div className="area"><textarea ref={area} id={id + "-body"} className="input" rows={7} value={draft.body} placeholder={t("body.placeholder")} aria-invalid={errors.body || draft.body.length > limit ? true : undefined} onChange={e => set({body: e.target.value})}/>
      <div className="tools">{MARKS.map(([key, icon, mark]) => <IconButton key={key} small icon={icon} label={t(key)} onMouseDown={e => e.preventDefault()} onClick={() => put(mark, mark)}/>)}
        <Menu end label={t("insert")} items={names.map(n => ({key: n, label: `{{${n}}}`, hint: draft.examples["body." + n], icon: "Variable"}))} onPick={n => put(`{{${n}}}`)} button={props => <Button small kind="ghost" icon="Variable" label={t("insert")} {...props}/>}/></div></div></Row>
}

function Examples({draft, set, errors, id}) {
  const {t} = useKit(), all = variables(draft)
  if (!all.length) return null
  return <Row name="examples" label={t("examples")} help={t("examples.help")} error={errors.examples} id={id + "-examples"}><div className="exs">{all.map(v => {
    const where = v.part === "button" ? t("button.number", {n: String(v.button)}) : v.part === "header" ? t("header") : t("body"), value = draft.examples[v.key] ?? ""
    return <label key={v.key} data-variable={v.key}><span className="of"><code>{`{{${v.name}}}`}</code><small>{where}</small></span><input className="input" aria-label={`${where}: ${t("example", {name: `{{${v.name}}}`})}`} aria-invalid={(errors.examples && !value.trim()) || undefined} value={value} onChange={e => set({examples: {...draft.examples, [v.key]: e.target.value}})}/></label>
  })}</div></Row>
}

function Buttons({draft, set, errors, limits, id}) {
  const {t} = useKit(), {buttons} = draft, change = (i, fields) => set({buttons: buttons.map((b, j) => (j === i ? {...b, ...fields} : b))})
  return <Row name="buttons" label={t("buttons")} optional error={errors.buttons} id={id + "-buttons"}>
    {buttons.length > 0 && <ul className="btns">{buttons.map((b, i) => <li key={i}><div className="one"><Icon name={BUTTONS.find(([k]) => k === b.type)?.[1] ?? "CornerUpLeft"} size={15}/>
      <input className="input" aria-label={`${t("button.text")} ${i + 1}`} placeholder={t("button.text")} value={b.text} maxLength={limits.button} aria-invalid={(errors[`buttons.${i}`] && !b.text.trim()) || undefined} onChange={e => change(i, {text: e.target.value})}/>
      {b.type === "URL" && <input className="input wide" type="url" aria-label={t("button.url")} placeholder={t("button.url.value")} value={b.url} aria-invalid={(errors[`buttons.${i}`] && !b.url.trim()) || undefined} onChange={e => change(i, {url: e.target.value})}/>}
      {b.type === "PHONE_NUMBER" && <input className="input wide" type="tel" aria-label={t("button.phone_number")} placeholder={t("button.phone.value")} value={b.phone_number} aria-invalid={(errors[`buttons.${i}`] && !b.phone_number.trim()) || undefined} onChange={e => change(i, {phone_number: e.target.value})}/>}
      <IconButton small icon="Trash2" label={t("button.remove")} onClick={() => set({buttons: buttons.filter((_, j) => j !== i)})}/></div>
      {errors[`buttons.${i}`] && <p className="err" role="alert"><Icon name="AlertCircle" size={13}/>{errors[`buttons.${i}`]}</p>}</li>)}</ul>}
    {buttons.length < limits.buttons && <Menu label={t("buttons.add")} items={BUTTONS.map(([key, icon]) => ({key, icon, label: t("button." + key.toLowerCase())}))} onPick={type => set({buttons: [...buttons, {type, text: "", url: "", phone_number: ""}]})}
      button={props => <Button small icon="Plus" label={t("buttons.add")} {...props}/>}/>}</Row>
}

function useDraft() {
  const {send} = useKit(), [state, set] = React.useState({draft: null, errors: {}, text: "", busy: false, dirty: false, failed: null})
  const patch = fields => set(s => ({...s, ...fields}))
  useMessages({
    template: m => set({draft: fromMeta(m.template), errors: {}, text: "", busy: false, dirty: false, failed: null}),
    errors: m => patch({errors: m.errors, text: m.text, busy: false, focus: true}),
    saved: () => patch({busy: false, dirty: false, errors: {}, text: ""}),
    error: m => patch({failed: m}),
    wait: () => patch({draft: null}),
  })
  const tell = useDebounced(draft => send("change", {template: toMeta(draft)}), PAUSE_MS)
  const change = fields => {
    const draft = {...state.draft, ...fields}
    set(s => {
      const errors = Object.fromEntries(Object.entries(s.errors).filter(([k]) => !(k.split(".")[0] in fields)))
      return {...s, draft: {...s.draft, ...fields}, dirty: true, errors, text: Object.keys(errors).length ? s.text : ""}
    })
    tell(draft)
  }
  return [state, patch, change]
}

const isWhole = b => b.text.trim() && (b.type !== "URL" || b.url.trim()) && (b.type !== "PHONE_NUMBER" || b.phone_number.trim())

function problems(draft, t, channels) {
  const many = channels?.length > 1
  return Object.fromEntries([["name", draft.name], ["language", draft.language], ["category", draft.category], ["body", draft.body.trim()], ["channel_id", many ? draft.channel_id : "-"],
    ["examples", variables(draft).every(v => draft.examples[v.key]?.trim()) ? "-" : ""], ...draft.buttons.map((b, i) => ["buttons." + i, isWhole(b)])]
    .filter(([, v]) => !v).map(([k]) => [k, t("required")]))
}

function TemplateEditor({model}) {
  const {t, send} = useKit(), [{draft, errors, text, busy, dirty, failed, focus}, patch, set] = useDraft(), id = useKey("template"), box = React.useRef(null)
  const limits = useParam(model, "limits"), fixed = useParam(model, "fixed"), readonly = useParam(model, "readonly"), sender = useParam(model, "sender"), suggested = useParam(model, "suggested"), channels = useParam(model, "channels")
  React.useEffect(() => {
    if (!focus) return
    box.current?.querySelector("[aria-invalid=true]")?.focus()
    patch({focus: false})
  }, [focus])
  if (failed) return <div className="k"><Failure error={failed}/></div>
  if (draft === null) return <div className="k"><Waiting><div className="te"><div>{[36, 36, 150, 36].map((h, i) => <Skeleton key={i} height={h} radius={8} style={{marginBottom: 18}}/>)}</div><Skeleton height={240} radius={12}/></div></Waiting></div>
  const shown = <div className="pv"><Bubble message={preview(draft)} sender={sender} label={t("preview")} empty={t("empty")}/></div>
  if (readonly) return <div className="k">{shown}</div>
  const submit = e => {
    e.preventDefault()
    const wrong = problems(draft, t, channels)
    if (Object.keys(wrong).length) return patch({errors: wrong, text: "", focus: true})
    patch({busy: true, errors: {}, text: ""})
    send("submit", {template: toMeta(draft)})
  }
  const shared = {draft, set, errors, id}
  return <form ref={box} className="k te" noValidate onSubmit={submit} aria-busy={busy}><div className="fds">
    {text && <p className="note" role="alert"><Icon name="AlertCircle" size={15}/>{text}</p>}
    <About {...shared} model={model} fixed={fixed}/><Header {...shared} limit={limits.header}/><Body {...shared} limit={limits.body} suggested={suggested}/><Examples {...shared}/>
    <Row name="footer" label={t("footer")} optional error={errors.footer} id={id + "-footer"} note={draft.footer && <Left text={draft.footer} limit={limits.footer}/>}><input id={id + "-footer"} className="input" value={draft.footer} placeholder={t("footer.placeholder")} maxLength={limits.footer} onChange={e => set({footer: e.target.value})}/></Row>
    <Buttons {...shared} limits={limits}/>
    <div className="foot"><Button label={t("cancel")} onClick={() => { patch({dirty: false}); send("cancel") }}/><button type="submit" className="btn primary" disabled={busy}>{busy && <Icon name="LoaderCircle" className="spin"/>}{t("submit")}</button></div></div>
    {shown}<LeaveGuard active={dirty} box={box}/></form>
}

export const render = component(TemplateEditor, select + bubble + css)
