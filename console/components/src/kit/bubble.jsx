// A message as WhatsApp draws it.
import * as React from "react"
import {Icon} from "./icons.jsx"
import {useKit} from "./wire.jsx"

const MARKS = [[/```([\s\S]+?)```/, "code"], [/(?<![\w*])\*(?!\s)([^*\n]+?)(?<!\s)\*(?![\w*])/, "b"], [/(?<![\w_])_(?!\s)([^_\n]+?)(?<!\s)_(?![\w_])/, "i"], [/(?<![\w~])~(?!\s)([^~\n]+?)(?<!\s)~(?![\w~])/, "s"]]
const LINK = /https?:\/\/[^\s]+[^\s.,;:!?)]/
const GAP = /\{\{\s*([\w.]+)\s*\}\}/

/** Text with WhatsApp's marks (*bold*, _italic_, ~struck~, ```code```), links, and gaps that were not filled. */
export function rich(text, key = "") {
  if (!text) return null
  const found = [...MARKS.map(([re, tag]) => [re.exec(text), tag]), [LINK.exec(text), "a"], [GAP.exec(text), "gap"]].filter(([m]) => m)
  if (!found.length) return text
  const [m, tag] = found.reduce((first, one) => (one[0].index < first[0].index ? one : first))
  const after = text.slice(m.index + m[0].length), k = key + m.index + tag
  const inner = tag === "a" ? <span className="lk">{m[0]}</span>
    : tag === "gap" ? <mark className="gap">{`{{${m[1]}}}`}</mark>
    : tag === "code" ? <code>{m[1]}</code>
    : React.createElement(tag, null, rich(m[1], k))
  return <>{text.slice(0, m.index)}{inner}{rich(after, k)}</>
}

const MEDIA = {IMAGE: "Image", VIDEO: "Video", DOCUMENT: "FileText", LOCATION: "MapPin"}
const BUTTON_ICONS = {URL: "ExternalLink", PHONE_NUMBER: "Phone", QUICK_REPLY: "CornerUpLeft", COPY_CODE: "Copy"}

function Header({header}) {
  const {t} = useKit(), format = header.format?.toUpperCase()
  if (format === "TEXT") return header.text ? <b className="hd">{rich(header.text)}</b> : null
  // The file lies at the provider's: a browser of ours asks no other host, so a sign stands for it.
  return <span className="md"><Icon name={MEDIA[format] ?? "Paperclip"} size={26}/>{t(format?.toLowerCase() ?? "document")}</span>
}

export function Bubble({message, sender, caption, label, empty}) {
  const {t, f} = useKit()
  const {header, body, footer, buttons = [], missing = []} = message ?? {}
  const bare = !body && !header?.text && !header?.media && !(header?.format && header.format.toUpperCase() !== "TEXT") && !footer && !buttons.length
  const now = React.useMemo(() => f.time(new Date().toISOString()), [f])
  return <figure className="chat" aria-label={label}>
    {sender && <figcaption><span className="av">{sender.trim()[0]?.toUpperCase()}</span>{sender}</figcaption>}
    <div className="paper">
      {bare ? <p className="no">{empty}</p> : <div className="bub">
        <div className="in">
          {header && <Header header={header}/>}
          <div className="tx">{rich(body)}</div>
          {footer && <div className="fo">{rich(footer)}</div>}
          <time>{now}</time>
        </div>
        {buttons.map((b, i) => <div className="bt" key={i}><Icon name={BUTTON_ICONS[b.type?.toUpperCase()] ?? "CornerUpLeft"} size={15}/>{b.text}</div>)}
      </div>}
    </div>
    {missing.length > 0 && <p className="warn"><Icon name="AlertTriangle" size={14}/>{t("missing.text", {n: missing.length})}</p>}
    {caption && <p className="cap">{f.phones(caption)}</p>}
  </figure>
}
