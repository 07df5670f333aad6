// Small pieces that many components use.
import * as React from "react"
import {Icon} from "./icons.jsx"
import {Link, calm, useKit} from "./wire.jsx"

export const Button = React.forwardRef(({kind = "secondary", icon, label, path, href, busy, small, children, className = "", disabled, ...rest}, ref) => {
  const classes = `btn ${kind === "secondary" ? "" : kind}${small ? " small" : ""} ${className}`
  const inner = <>{busy ? <Icon name="LoaderCircle" className="spin"/> : icon ? <Icon name={icon}/> : null}{label ?? children}</>
  if (path && !disabled) return <Link ref={ref} className={classes} path={path} {...rest}>{inner}</Link>
  if (href && !disabled) return <a ref={ref} className={classes} href={href} download {...rest}>{inner}</a>
  return <button ref={ref} type="button" className={classes} disabled={disabled || busy} {...rest}>{inner}</button>
})

export const IconButton = React.forwardRef(({icon, label, small, className = "", ...rest}, ref) => (
  <button ref={ref} type="button" className={`icon-btn${small ? " small" : ""} ${className}`} aria-label={label} title={label} {...rest}>
    <Icon name={icon}/>
  </button>
))

export function Badge({tone = "neutral", live, children}) {
  return <span className={"badge" + (live ? " live" : "")} data-tone={tone}><i/>{children}</span>
}

export function Skeleton({width = "100%", height, radius, style}) {
  return <span className="sk" style={{width, height, borderRadius: radius, ...style}}/>
}

/** Says to a screen reader that something is on its way; the skeleton itself is silent. */
export function Waiting({children}) {
  const {t} = useKit()
  return <div role="status" aria-busy="true"><span className="sr">{t("loading")}</span><div aria-hidden="true">{children}</div></div>
}

export function Blank({icon = "Inbox", title, text, actions = [], bad, onAction, children}) {
  return <div className={"blank" + (bad ? " bad" : "")} role={bad ? "alert" : undefined}>
    <span className="disc"><Icon name={icon} size={21}/></span>
    {title && <b>{title}</b>}{text && <p>{text}</p>}
    {(actions.length > 0 || children) && <div className="acts">
      {actions.map((a, i) => <Button key={a.key} kind={a.kind ?? (i === 0 && !bad ? "primary" : "secondary")} icon={a.icon} label={a.label} path={a.path} onClick={() => onAction?.(a.key)}/>)}
      {children}
    </div>}
  </div>
}

export function Failure({error, retryLabel, onRetry}) {
  const {t, send} = useKit()
  return <Blank bad icon="AlertTriangle" title={error.title ?? t("failed")} text={error.text}
    actions={[{key: "retry", label: retryLabel ?? t("retry"), icon: "RotateCcw"}]} onAction={() => (onRetry ? onRetry() : send("retry"))}/>
}

/** The empty state that Python gave by `empty`; its button sends `action` unless it is a link. */
export function GivenBlank({empty, fallback}) {
  const {send} = useKit()
  const given = empty?.title ? empty : fallback
  if (!given) return null
  return <Blank {...given} actions={given.action ? [given.action] : given.actions} onAction={key => send("action", {key})}/>
}

/** Long enough for the eye to see that it moved, over before the next figures come. */
const TWEEN_MS = 180

/** Counts from the number shown to the new one; the size of the first paint is the value itself. */
export function useCounted(value) {
  const [shown, set] = React.useState(value)
  const now = React.useRef(value)
  React.useEffect(() => {
    const from = now.current, to = value
    // One more of something has no way to go: it shows at once.
    const nextDoor = Number.isInteger(from) && Number.isInteger(to) && Math.abs(to - from) === 1
    if (typeof from !== "number" || typeof to !== "number" || from === to || nextDoor || calm() || document.hidden) {
      now.current = to
      set(to)
      return
    }
    const start = performance.now()
    let frame = 0
    const step = at => {
      const k = Math.min(1, (at - start) / TWEEN_MS), eased = 1 - (1 - k) ** 3
      now.current = k === 1 ? to : from + (to - from) * eased
      set(now.current)
      if (k < 1) frame = requestAnimationFrame(step)
    }
    frame = requestAnimationFrame(step)
    return () => cancelAnimationFrame(frame)
  }, [value])
  return shown
}

export function Count({value, format}) {
  const {f} = useKit()
  return <span className="num">{(format ?? f.count)(useCounted(value))}</span>
}

/** Ticks so that "3 min ago" stays true. */
export function useNow(ms = 30000) {
  const [, tick] = React.useReducer(n => n + 1, 0)
  React.useEffect(() => {
    const timer = setInterval(tick, ms)
    return () => clearInterval(timer)
  }, [ms])
}

export function Ago({at}) {
  const {f} = useKit()
  useNow()
  return at ? <time dateTime={at} title={f.full(at)}>{f.ago(at)}</time> : <span className="mut">–</span>
}

export function CopyButton({text, small = true}) {
  const {t} = useKit()
  const [done, set] = React.useState(false)
  const copy = async () => {
    await copyText(text)
    set(true)
    setTimeout(() => set(false), 1600)
  }
  return <><IconButton small={small} icon={done ? "Check" : "Copy"} label={done ? t("copied") : t("copy")} onClick={copy}/>
    <span className="sr" role="status">{done ? t("copied") : ""}</span></>
}

/** The clipboard needs a secure page; on plain HTTP in a local network the old way still works. */
async function copyText(text) {
  if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(text)
  const area = document.createElement("textarea")
  area.value = text
  area.style.cssText = "position:fixed;opacity:0"
  document.body.append(area)
  area.select()
  document.execCommand("copy")
  area.remove()
}

export function Track({share, tone, label}) {
  const known = share !== null && share !== undefined
  const percent = known ? Math.max(0, Math.min(100, share * 100)) : undefined
  return <div className={"track" + (known ? "" : " moving")} data-tone={tone} role="progressbar" aria-label={label}
    aria-valuenow={known ? Math.round(percent) : undefined} aria-valuemin={0} aria-valuemax={100}><i key={known ? "known" : "moving"} style={known ? {width: percent + "%"} : undefined}/></div>
}
