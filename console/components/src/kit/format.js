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
      // As computers show the size of a file: 256 MB are 256 × 1024 × 1024.
      while (v >= 1024 && at < 3) { v /= 1024; at += 1 }
      return unit(v, names[at], v < 10 && at ? 1 : 0)
    },
    day: iso => date("day", {day: "numeric", month: "short", year: "numeric"}).format(new Date(iso)),
    shortDay: iso => date("shortDay", {day: "numeric", month: "short"}).format(new Date(iso)),
    time: iso => date("time", {hour: "2-digit", minute: "2-digit"}).format(new Date(iso)),
    instant: iso => date("instant", {day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit"}).format(new Date(iso)),
    full: iso => date("full", {dateStyle: "full", timeStyle: "long"}).format(new Date(iso)),
    ago: iso => {
      const s = (new Date(iso) - Date.now()) / 1000, size = Math.abs(s)
      // Intl ends short units with a full stop: "8 min. ago", "há 8 min."
      const said = (n, name) => relative.format(n, name).replace(/\.(?=\s|$)/g, "")
      if (size < 45) return said(0, "second")
      if (size < HOUR) return said(Math.round(s / MINUTE), "minute")
      if (size < DAY) return said(Math.round(s / HOUR), "hour")
      if (size < 7 * DAY) return said(Math.round(s / DAY), "day")
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
    phones: text => text?.replace(E164, spaced),
  }
  return f
}

const E164 = /\+\d{8,15}(?!\d)/g
// Calling codes (ITU-T E.164, 2024) of one and of two digits; all others have three.
const CODES = /^(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/

/** Groups of three, the first of two or the last of four where they do not come out even. */
function grouped(digits) {
  const head = digits.length % 3 === 2 ? 2 : 0, groups = head ? [digits.slice(0, head)] : []
  let at = head
  for (; digits.length - at > 4; at += 3) groups.push(digits.slice(at, at + 3))
  return [...groups, digits.slice(at)].join(" ")
}

/** A number in groups one can read: Brazil's as Brazil writes them, others in threes after the country's code. */
function spaced(phone) {
  const brazil = phone.match(/^\+55(\d{2})(\d{4,5})(\d{4})$/)
  if (brazil) return `+55 ${brazil[1]} ${brazil[2]}-${brazil[3]}`
  if (!/^\+\d{8,15}$/.test(phone)) return phone
  const digits = phone.slice(1), code = digits.match(CODES)?.[0] ?? digits.slice(0, 3)
  return `+${code} ${grouped(digits.slice(code.length))}`
}

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
