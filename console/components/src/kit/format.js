// Numbers, dates and spans of time as the reader writes them.

const cache = new Map()

function memo(key, make) {
  let made = cache.get(key)
  if (!made) cache.set(key, (made = make()))
  return made
}

const MINUTE = 60, HOUR = 3600, DAY = 86400
const DASH = "–"

export function formats(locale, timeZone, currency) {
  return memo(`${locale}|${timeZone}|${currency}`, () => build(locale, timeZone, currency))
}

function build(locale, timeZone, currency) {
  const number = (name, options) => memo(`n|${locale}|${currency}|${name}`, () => new Intl.NumberFormat(locale, options))
  const date = (name, options) => memo(`d|${locale}|${timeZone}|${name}`, () => new Intl.DateTimeFormat(locale, {timeZone, ...options}))
  const relative = memo(`r|${locale}`, () => new Intl.RelativeTimeFormat(locale, {numeric: "auto", style: "short"}))
  const plurals = memo(`p|${locale}`, () => new Intl.PluralRules(locale))
  const unit = (n, name, digits = 0) =>
    number(`u${name}${digits}`, {style: "unit", unit: name, unitDisplay: "narrow", maximumFractionDigits: digits}).format(n)
  const known = v => v !== null && v !== undefined && !Number.isNaN(v)

  const f = {
    plural: n => plurals.select(n),
    count: v => (known(v) ? number("count", {maximumFractionDigits: 0}).format(v) : DASH),
    decimal: v => (known(v) ? number("decimal", {maximumFractionDigits: 2}).format(v) : DASH),
    compact: v => (known(v) ? number("compact", {notation: "compact", maximumFractionDigits: 1}).format(v) : DASH),
    // All and nothing are exact: "100%", never "100.0%".
    ratio: (v, digits = 1) =>
      v === 0 || v === 1 ? number("whole", {style: "percent"}).format(v) : known(v) ? number(`ratio${digits}`, {style: "percent", maximumFractionDigits: digits, minimumFractionDigits: digits}).format(v) : DASH,
    share: v => (known(v) ? number("share", {style: "percent", maximumFractionDigits: v > 0 && v < 0.01 ? 1 : 0}).format(v) : DASH),
    money: micros => (known(micros) ? number("money", {style: "currency", currency}).format(micros / 1e6) : DASH),
    span: s => {
      if (!known(s)) return DASH
      if (s < MINUTE) return unit(s < 10 ? s : Math.round(s), "second", s < 10 ? 1 : 0)
      if (s < HOUR) return unit(Math.floor(s / MINUTE), "minute") + (s < 10 * MINUTE && s % MINUTE >= 1 ? " " + unit(Math.floor(s % MINUTE), "second") : "")
      if (s < DAY) return unit(Math.floor(s / HOUR), "hour") + (s % HOUR >= MINUTE ? " " + unit(Math.floor((s % HOUR) / MINUTE), "minute") : "")
      return unit(Math.floor(s / DAY), "day") + (s % DAY >= HOUR ? " " + unit(Math.floor((s % DAY) / HOUR), "hour") : "")
    },
    bytes: b => {
      const names = ["byte", "kilobyte", "megabyte", "gigabyte"]
      let at = 0, v = b
      while (v >= 1000 && at < 3) { v /= 1000; at += 1 }
      return unit(v, names[at], v < 10 && at ? 1 : 0)
    },
    day: iso => date("day", {day: "numeric", month: "short", year: "numeric"}).format(new Date(iso)),
    shortDay: iso => date("shortDay", {day: "numeric", month: "short"}).format(new Date(iso)),
    time: iso => date("time", {hour: "2-digit", minute: "2-digit"}).format(new Date(iso)),
    instant: iso => date("instant", {day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit"}).format(new Date(iso)),
    full: iso => date("full", {dateStyle: "full", timeStyle: "long"}).format(new Date(iso)),
    ago: iso => {
      const s = (new Date(iso) - Date.now()) / 1000, size = Math.abs(s)
      if (size < 45) return relative.format(0, "second")
      if (size < HOUR) return relative.format(Math.round(s / MINUTE), "minute")
      if (size < DAY) return relative.format(Math.round(s / HOUR), "hour")
      if (size < 7 * DAY) return relative.format(Math.round(s / DAY), "day")
      const other = date("year", {year: "numeric"})
      return other.format(new Date(iso)) === other.format(new Date()) ? f.shortDay(iso) : f.day(iso)
    },
    // 2024-01-01 was a Monday.
    weekday: (i, style = "short") => new Intl.DateTimeFormat(locale, {weekday: style, timeZone: "UTC"}).format(new Date(Date.UTC(2024, 0, 1 + i))),
    hour: h => new Intl.DateTimeFormat(locale, {hour: "numeric", minute: "2-digit", timeZone: "UTC"}).format(new Date(Date.UTC(2024, 0, 1, h % 24))),
    zone: () => {
      const parts = new Intl.DateTimeFormat(locale, {timeZone, timeZoneName: "longGeneric"}).formatToParts(new Date())
      return parts.find(p => p.type === "timeZoneName")?.value ?? timeZone
    },
    phone: v => (v ? spaced(v) : DASH),
  }
  return f
}

/** A Brazilian number in its groups; others stay as E.164 writes them, whose groups differ by country. */
const spaced = phone => phone.replace(/^\+55(\d{2})(\d{4,5})(\d{4})$/, "+55 $1 $2-$3")

/** An ISO instant as what <input type=datetime-local> wants, in the zone. */
export function toLocalInput(iso, timeZone) {
  if (!iso) return ""
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-CA", {
    timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  }).formatToParts(new Date(iso)).map(p => [p.type, p.value]))
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`
}

/** What was typed into <input type=datetime-local>, meant in the zone, as an ISO instant in UTC. */
export function fromLocalInput(text, timeZone) {
  if (!text) return null
  const wall = Date.parse(text + "Z")
  // The offset depends on the instant: guess, look, and look again across a change of clocks.
  let instant = wall
  for (let i = 0; i < 2; i++) {
    const shown = Date.parse(toLocalInput(new Date(instant).toISOString(), timeZone) + "Z")
    instant += wall - shown
  }
  return new Date(instant).toISOString().replace(".000Z", "Z")
}
