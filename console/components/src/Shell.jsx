import * as React from "react"
import {useConnection} from "./kit/connection.js"
import {Menu} from "./kit/floating.jsx"
import {Icon} from "./kit/icons.jsx"
import {Confirm, Modal} from "./kit/modal.jsx"
import {Palette} from "./kit/palette.jsx"
import {Blank, IconButton, Skeleton} from "./kit/parts.jsx"
import {useRoutes} from "./kit/routes.js"
import {Toasts} from "./kit/toasts.jsx"
import {Link, component, useBothWays, useKit, useMedia, useMessages, useParam, phone} from "./kit/wire.jsx"
import select from "./kit/select.css"
import css from "./Shell.css"

const YEAR = 31536000
const initials = name => (name ?? "").split(/\s+/).filter(Boolean).map(w => w[0]).filter((_, i, all) => i === 0 || i === all.length - 1).join("").toUpperCase()
const Mark = ({name}) => <span className="logo" aria-hidden="true">{(name ?? "").trim()[0]?.toUpperCase()}</span>

/** Saves what is at an address without leaving the page. */
function download(path) {
  const link = document.createElement("a")
  link.href = path
  link.download = ""
  link.click()
}

function useTheme(model) {
  const [dark, setDark] = useBothWays(model, "dark")
  React.useEffect(() => {
    const theme = dark ? "dark" : "light"
    document.documentElement.dataset.theme = theme
    document.cookie = `theme=${theme};path=/;max-age=${YEAR};samesite=lax`
    const card = getComputedStyle(document.documentElement).getPropertyValue("--c-card").trim()
    document.querySelector("meta[name=theme-color]")?.setAttribute("content", card)
  }, [dark])
  return [dark, setDark]
}

// One's own sign-out ends the session, which the server then tells this tab too: what it says comes too late.
let leaving = false

function signOut(path) {
  leaving = true
  const form = document.createElement("form")
  form.method = "post"
  form.action = path
  document.body.append(form)
  form.submit()
}

const isHere = (route, path) => { const r = route.split("?")[0]; return r === path || (path !== "/" && r.startsWith(path + "/")) }

function NavItem({item, here, n, onClick}) {
  const {t} = useKit()
  return <Link className="it" path={item.path} title={item.label} aria-current={here ? "page" : undefined} data-nav={item.key} onClick={onClick}>
    <Icon name={item.icon}/><span className="lb">{item.label}</span>
    {n > 0 && <span className="n num"><span aria-hidden="true">{n > 99 ? "99+" : n}</span><span className="sr">{t("unread", {n})}</span></span>}</Link>
}

function CompanyMenu({company, companies}) {
  const {t, send} = useKit()
  const inner = more => <><Mark name={company.name}/><span className="who"><b>{company.name}</b>{company.detail && <small>{company.detail}</small>}</span>{more}</>
  if (companies.length < 2) return <div className="ws">{inner(null)}</div>
  return <Menu label={t("companies")} items={[{caption: t("companies")}, ...companies.map(c => ({key: c.id, label: c.name, hint: c.detail, checked: c.id === company.id}))]}
    onPick={id => id !== company.id && send("company", {id})}
    button={props => <button type="button" className="ws" aria-label={`${t("company")}: ${company.name}`} {...props}>{inner(<Icon name="ChevronsUpDown" size={14}/>)}</button>}/>
}

function Pill({state}) {
  const {t} = useKit()
  return <div className="pill" data-state={state} role="status" title={t(state + ".hint")}><i/><span>{t(state)}</span></div>
}

function UserMenu({user, dark, setDark, signOutPath}) {
  const {t} = useKit()
  const items = [{caption: <><b className="me">{user.name}</b>{user.email}{user.role && <> · {user.role}</>}</>}, {rule: true},
    {key: "theme", label: t(dark ? "theme.light.short" : "theme.dark.short"), icon: dark ? "Sun" : "Moon"}, {key: "out", label: t("sign_out"), icon: "LogOut"}]
  return <Menu end label={t("user")} items={items} onPick={key => (key === "out" ? signOut(signOutPath) : setDark(!dark))}
    button={props => <button type="button" className="av" aria-label={`${t("user")}: ${user.name ?? ""}`} {...props}>{initials(user.name)}</button>}/>
}

function LanguageMenu({languages}) {
  const {t, send, locale} = useKit()
  if (languages.length < 2) return null
  return <Menu end label={t("language")} items={languages.map(l => ({key: l.locale, label: l.label, checked: isLocale(l.locale, locale)}))} onPick={l => !isLocale(l, locale) && send("language", {locale: l})}
    button={props => <IconButton icon="Languages" label={t("language")} className="desk" {...props}/>}/>
}

const isLocale = (a, b) => a.replace("_", "-").toLowerCase() === b.replace("_", "-").toLowerCase()

function MoreSheet({nav, route, badges, companies, company, languages, user, dark, setDark, signOutPath, onClose}) {
  const {t, send, locale} = useKit()
  return <Modal title={t("more")} onClose={onClose} side size={400} className="more">
    <nav aria-label={t("navigation")}>{nav.map(item => <NavItem key={item.key} item={item} here={isHere(route, item.path)} n={badges[item.key]} onClick={onClose}/>)}</nav>
    {companies.length > 1 && <section><h3>{t("companies")}</h3>{companies.map(c => <button key={c.id} type="button" className="it" aria-pressed={c.id === company.id} onClick={() => { onClose(); if (c.id !== company.id) send("company", {id: c.id}) }}><Icon name="Building2"/>{c.name}{c.id === company.id && <Icon name="Check" className="end"/>}</button>)}</section>}
    {languages.length > 1 && <section><h3>{t("language")}</h3>{languages.map(l => <button key={l.locale} type="button" className="it" aria-pressed={isLocale(l.locale, locale)} onClick={() => { onClose(); if (!isLocale(l.locale, locale)) send("language", {locale: l.locale}) }}><Icon name="Languages"/>{l.label}{isLocale(l.locale, locale) && <Icon name="Check" className="end"/>}</button>)}</section>}
    <section><h3>{user.name}</h3>
      <button type="button" className="it" onClick={() => setDark(!dark)}><Icon name={dark ? "Sun" : "Moon"}/>{t(dark ? "theme.light.short" : "theme.dark.short")}</button>
      <button type="button" className="it" onClick={() => signOut(signOutPath)}><Icon name="LogOut"/>{t("sign_out")}</button></section>
  </Modal>
}

function ViewSkeleton() {
  const {t} = useKit()
  return <div className="skv" role="status"><span className="sr">{t("loading")}</span><div className="row">{[1, 2, 3, 4].map(i => <Skeleton key={i} height={98} radius={11}/>)}</div><Skeleton height={290} radius={11}/><div className="row two"><Skeleton height={220} radius={11}/><Skeleton height={220} radius={11}/></div></div>
}

class Guarded extends React.Component {
  state = {broken: false}
  static getDerivedStateFromError() { return {broken: true} }
  componentDidCatch(error) { console.error(error) }
  render() { return this.state.broken ? this.props.fallback : this.props.children }
}

function Views({model, active}) {
  const {t} = useKit()
  const views = model.get_child("views"), keys = useParam(model, "keys")
  return <>{views.map((v, i) => <div key={keys[i] ?? i} className="vw" data-view={keys[i]} hidden={keys[i] !== active}>
    <Guarded fallback={<Blank bad icon="AlertTriangle" title={t("failed")}/>}>{v}</Guarded></div>)}
    {!keys.includes(active) && <ViewSkeleton/>}</>
}

/** Questions of the screen, one after the other; who goes elsewhere leaves them behind unanswered. */
function useQuestions(route) {
  const {send} = useKit(), [asked, set] = React.useState([])
  useMessages({confirm: m => set(old => [...old, m])})
  const path = route.split("?")[0]
  React.useEffect(() => { for (const one of asked) send("confirmed", {id: one.id, ok: false}); set([]) }, [path])
  const answer = ok => { send("confirmed", {id: asked[0].id, ok}); set(old => old.slice(1)) }
  return [asked[0], answer]
}

function Shell({model}) {
  const {t, send} = useKit()
  const [route, setRoute] = useBothWays(model, "route")
  const get = name => useParam(model, name)
  const nav = get("nav"), title = get("title"), product = get("product"), prefix = get("prefix"), active = get("active"), busy = get("busy"), user = get("user")
  const company = get("company"), companies = get("companies"), languages = get("languages"), actions = get("actions"), signOutPath = get("sign_out_path"), searchable = get("searchable")
  const [dark, setDark] = useTheme(model)
  const [small, setSmall] = React.useState(() => localStorage.getItem("console.sidebar") === "small")
  const [palette, setPalette] = React.useState(false), [more, setMore] = React.useState(false), [badges, setBadges] = React.useState({})
  const isPhone = useMedia(phone), main = React.useRef(null)
  const state = useConnection(prefix), [question, answer] = useQuestions(route)
  useRoutes(prefix, route, setRoute)
  useMessages({badges: m => setBadges(m.badges), reload: m => { if (!leaving) m.path ? location.assign(m.path) : location.reload() }, download: m => download(m.path)})
  React.useEffect(() => { document.getElementById("boot")?.remove() }, [])
  React.useEffect(() => { document.title = title ? `${title} · ${product}` : product }, [title, product])
  React.useEffect(() => {
    const key = e => { if ((e.metaKey || e.ctrlKey) && e.key.toLowerCase() === "k") { e.preventDefault(); setPalette(p => !p) } }
    addEventListener("keydown", key)
    return () => removeEventListener("keydown", key)
  }, [])
  const resize = () => { setSmall(!small); localStorage.setItem("console.sidebar", small ? "wide" : "small") }
  const sections = [...new Set(nav.map(i => i.section ?? ""))]
  const below = nav.filter(i => i.mobile).slice(0, 4), inMore = nav.filter(i => !below.includes(i))
  const item = i => <NavItem key={i.key} item={i} here={isHere(route, i.path)} n={badges[i.key]}/>
  const mac = /Mac|iPhone|iPad/.test(navigator.platform)
  return <div className={"k sh" + (small ? " small" : "")}>
    <a className="skip" href="#main" onClick={e => { e.preventDefault(); main.current.focus() }}>{t("skip")}</a>
    <aside><CompanyMenu company={company} companies={companies}/>
      <nav aria-label={t("navigation")}>{sections.map(s => <div key={s} role="group" aria-label={s || undefined}>{s && <div className="sec">{s}</div>}{nav.filter(i => (i.section ?? "") === s).map(item)}</div>)}</nav>
      <button type="button" className="it fold" onClick={resize} aria-expanded={!small}><Icon name="PanelLeft"/><span className="lb">{t(small ? "expand" : "collapse")}</span></button></aside>
    <div className="ct">
      <header><h1>{title}</h1>
        <button type="button" className="se" onClick={() => setPalette(true)} aria-label={t("search")} aria-keyshortcuts="Control+K Meta+K"><Icon name="Search" size={15}/><span>{t("search")}</span><kbd>{mac ? "⌘K" : "Ctrl K"}</kbd></button>
        <Pill state={state}/>
        <LanguageMenu languages={languages}/>
        <IconButton className="desk" icon={dark ? "Sun" : "Moon"} label={t(dark ? "theme.light" : "theme.dark")} onClick={() => setDark(!dark)}/>
        <UserMenu user={user} dark={dark} setDark={setDark} signOutPath={signOutPath}/></header>
      <main ref={main} id="main" tabIndex={-1} aria-busy={busy}>{busy && <div className="thin" aria-hidden="true"/>}<Views model={model} active={active}/></main>
    </div>
    {isPhone && <nav className="tb" aria-label={t("navigation")}>{below.map(item)}
      <button type="button" className="it" aria-haspopup="dialog" aria-current={inMore.some(i => isHere(route, i.path)) ? "page" : undefined} onClick={() => setMore(true)}><Icon name="Menu"/><span className="lb">{t("more")}</span></button></nav>}
    {more && <MoreSheet {...{nav: inMore, route, badges, companies, company, languages, user, dark, setDark, signOutPath}} onClose={() => setMore(false)}/>}
    {palette && <Palette nav={nav} actions={actions} searchable={searchable} onClose={() => setPalette(false)}/>}
    {question && <Confirm key={question.id} title={question.title} text={question.text} yes={question.confirm || t("confirm")} no={t("cancel")} tone={question.tone} onAnswer={answer}/>}
    <Toasts/>
    <p className="sr" role="status">{title}</p>
  </div>
}

export const render = component(Shell, select + css)
