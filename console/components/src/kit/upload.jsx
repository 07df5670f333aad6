// A file goes to the server over plain HTTP, with progress and a way to stop it; never over Panel's socket.
import * as React from "react"
import {Icon} from "./icons.jsx"
import {Button, IconButton, Track} from "./parts.jsx"
import {useKit, useMedia, useMessages} from "./wire.jsx"

function send({file, url, field, extra, onProgress, onDone}) {
  const form = new FormData(), request = new XMLHttpRequest()
  for (const [name, value] of Object.entries(extra ?? {})) form.append(name, typeof value === "string" ? value : JSON.stringify(value))
  form.append(field, file, file.name)
  request.open("POST", url)
  request.setRequestHeader("Accept", "application/json")
  request.upload.onprogress = e => e.lengthComputable && onProgress(e.loaded / e.total)
  request.onload = () => onDone({status: request.status, answer: read(request.responseText)})
  request.onerror = () => onDone({status: 0, answer: null})
  request.send(form)
  return request
}

function read(text) {
  try { return JSON.parse(text) } catch { return {detail: text.slice(0, 300)} }
}

const accepted = (file, accept) => !accept || accept.split(",").map(a => a.trim().toLowerCase()).some(a =>
  a.startsWith(".") ? file.name.toLowerCase().endsWith(a) : a.endsWith("/*") ? file.type.startsWith(a.slice(0, -1)) : file.type === a)

/** The beginning of a big file, where that is all the server wants to see of it for now and its kind can be cut. */
const opening = (file, {first_bytes: bytes, whole}) => bytes && file.size > bytes && !(whole && accepted(file, whole)) ? new File([file.slice(0, bytes)], file.name, {type: file.type}) : file

export function FileDrop({id, field, value, onChange, invalid, describedBy}) {
  const {t, f, send: tell} = useKit()
  const {url, accept, max_bytes: limit} = field.upload, isTouched = useMedia("(pointer: coarse)")
  const [state, set] = React.useState({}), [over, setOver] = React.useState(false), input = React.useRef(null), request = React.useRef(null), chosen = React.useRef(null)
  React.useEffect(() => () => request.current?.abort(), [])
  const fail = (file, text) => set({file, error: text})
  const start = file => {
    if (!file) return
    if (!accepted(file, accept)) return fail(file, t("upload.wrong_type"))
    if (limit && file.size > limit) return fail(file, t("upload.too_big", {size: f.bytes(file.size), limit: f.bytes(limit)}))
    chosen.current = file
    transmit({file, sent: opening(file, field.upload), url, extra: field.extra, again: false})
  }
  const transmit = ({file, sent, url, extra, again}) => {
    set({file, share: 0})
    request.current = send({
      file: sent, url, extra, field: field.upload.field ?? "file",
      onProgress: share => set(s => ({...s, share})),
      onDone: ({status, answer}) => {
        if (status >= 200 && status < 300) {
          set({file, done: true})
          if (!again) onChange(answer)
          tell("uploaded", {name: field.name, filename: file.name, answer, again})
        } else {
          fail(file, status ? answer?.detail || answer?.title || t("upload.failed", {name: file.name}) : t("upload.offline"))
          tell("upload_failed", {name: field.name, status, answer, again})
        }
      },
    })
  }
  useMessages({send_file: m => m.name === field.name && chosen.current && transmit({file: chosen.current, sent: chosen.current, url: m.url, extra: m.extra, again: true})})
  const stop = () => { request.current?.abort(); set({}) }
  const clear = () => { set({}); onChange(null) }
  const {file, share, error} = state, done = state.done || (value && !file)
  return <div className={"drop" + (over ? " over" : "") + (error || invalid ? " bad" : "")} aria-invalid={invalid || undefined}
    onDragOver={e => { e.preventDefault(); setOver(true) }} onDragLeave={e => { if (!e.currentTarget.contains(e.relatedTarget)) setOver(false) }} onDrop={e => { e.preventDefault(); setOver(false); start(e.dataTransfer.files[0]) }}>
    <input ref={input} id={id} type="file" className="sr" accept={accept} aria-describedby={describedBy} onChange={e => { start(e.target.files[0]); e.target.value = "" }}/>
    {!file && !done && <label htmlFor={id}><span className="disc"><Icon name="Upload" size={19}/></span><b>{t(over ? "drop.active" : isTouched ? "drop.touch" : "drop")}</b>
      <small>{[field.upload.hint ?? accept?.replaceAll(",", ", "), limit && t("drop.limit", {size: f.bytes(limit)})].filter(Boolean).join(" · ")}</small></label>}
    {(file || done) && <div className="file"><Icon name={error || invalid ? "AlertCircle" : done ? "CheckCircle2" : "FileSpreadsheet"} size={20}/>
      <div className="grow" role="status"><b>{file?.name ?? value?.filename ?? ""}</b>
        {error ? !invalid && <small className="err">{error}</small> : done ? <small>{file ? f.bytes(file.size) : ""}</small>
          : <><small className="num">{t("uploading", {name: "", share: f.share(share)}).trim()}</small><Track share={share} tone="accent" label={file.name}/></>}</div>
      {error ? <><Button small icon="RotateCcw" label={t("upload.retry")} onClick={() => start(file)}/><IconButton small icon="X" label={t("clear")} onClick={clear}/></>
        : done ? <Button small label={t("upload.replace")} onClick={() => input.current.click()}/>
        : <IconButton small icon="X" label={t("upload.cancel")} onClick={stop}/>}</div>}
  </div>
}
