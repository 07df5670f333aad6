// A template as the editor holds it, and as Meta's Graph API writes it.

const GAPS = /\{\{\s*([A-Za-z0-9_]+)\s*\}\}/g

/** Names of the gaps in a text, in order, each once. */
export const gaps = text => [...new Set([...(text ?? "").matchAll(GAPS)].map(m => m[1]))]

export const fill = (text, values) => (text ?? "").replace(GAPS, (whole, name) => values[name] || whole)

/** Every gap of a draft with the key the API uses for it: body.1, header.1, button.0.1. */
export function variables(draft) {
  return [
    ...(draft.header.format === "TEXT" ? gaps(draft.header.text).map(n => ({key: "header." + n, name: n, part: "header"})) : []),
    ...gaps(draft.body).map(n => ({key: "body." + n, name: n, part: "body"})),
    ...draft.buttons.flatMap((b, i) => (b.type === "URL" ? gaps(b.url).map(n => ({key: `button.${i}.${n}`, name: n, part: "button", button: i + 1})) : [])),
  ]
}

export const isNamed = draft => [...gaps(draft.body), ...gaps(draft.header.text)].some(n => !/^\d+$/.test(n))

const EMPTY = {name: "", language: "", category: "", channel_id: "", header: {format: "NONE", text: "", media: ""}, body: "", footer: "", buttons: [], examples: {}}

export function fromMeta(template) {
  const {components = [], ...rest} = template, of = type => components.find(c => c.type?.toUpperCase() === type)
  const header = of("HEADER"), body = of("BODY"), buttons = of("BUTTONS")?.buttons ?? [], examples = {}
  const take = (where, example, key, text) => {
    const named = example?.[key + "_named_params"], listed = example?.[key]
    if (named) for (const p of named) examples[`${where}.${p.param_name}`] = p.example
    else gaps(text).forEach((n, i) => { const v = (Array.isArray(listed?.[0]) ? listed[0] : listed)?.[i]; if (v) examples[`${where}.${n}`] = v })
  }
  take("header", header?.example, "header_text", header?.text)
  take("body", body?.example, "body_text", body?.text)
  buttons.forEach((b, i) => { if (b.example?.[0]) gaps(b.url).forEach(n => { examples[`button.${i}.${n}`] = b.example[0] }) })
  return {...EMPTY, ...rest, body: body?.text ?? "", footer: of("FOOTER")?.text ?? "", examples,
    header: {format: header?.format?.toUpperCase() ?? "NONE", text: header?.text ?? "", media: header?.example?.header_handle?.[0] ?? ""},
    buttons: buttons.map(b => ({type: b.type?.toUpperCase(), text: b.text ?? "", url: b.url ?? "", phone_number: b.phone_number ?? ""}))}
}

function example(draft, where, key, text, wrap) {
  const names = gaps(text)
  if (!names.length) return {}
  const value = n => draft.examples[`${where}.${n}`] ?? ""
  if (isNamed(draft)) return {example: {[key + "_named_params"]: names.map(n => ({param_name: n, example: value(n)}))}}
  return {example: {[key]: wrap ? [names.map(value)] : names.map(value)}}
}

function button(b, i, draft) {
  const base = {type: b.type, text: b.text.trim()}
  if (b.type === "PHONE_NUMBER") return {...base, phone_number: b.phone_number.trim()}
  if (b.type !== "URL") return base
  const [name] = gaps(b.url)
  return {...base, url: b.url.trim(), ...(name ? {example: [draft.examples[`button.${i}.${name}`] ?? ""]} : {})}
}

export function toMeta(draft) {
  const {header, body, footer, buttons, name, language, category, channel_id} = draft, components = []
  if (header.format === "TEXT" && header.text.trim()) components.push({type: "HEADER", format: "TEXT", text: header.text.trim(), ...example(draft, "header", "header_text", header.text)})
  else if (header.format !== "NONE" && header.format !== "TEXT") components.push({type: "HEADER", format: header.format, ...(header.media.trim() ? {example: {header_handle: [header.media.trim()]}} : {})})
  components.push({type: "BODY", text: body, ...example(draft, "body", "body_text", body, true)})
  if (footer.trim()) components.push({type: "FOOTER", text: footer.trim()})
  if (buttons.length) components.push({type: "BUTTONS", buttons: buttons.map((b, i) => button(b, i, draft))})
  return {name, language, category, channel_id, components, parameter_format: isNamed(draft) ? "NAMED" : "POSITIONAL"}
}

/** The message as it will look with the examples in place. */
export function preview(draft) {
  const values = where => Object.fromEntries(Object.entries(draft.examples).filter(([k]) => k.startsWith(where + ".")).map(([k, v]) => [k.slice(where.length + 1), v]))
  const {format, text, media} = draft.header
  return {
    header: format === "NONE" ? undefined : {format, text: fill(text, values("header")), media: /^https?:/.test(media) ? media : undefined},
    body: fill(draft.body, values("body")), footer: draft.footer, buttons: draft.buttons.map(b => ({type: b.type, text: b.text || "…"})),
  }
}
