// Keeps what never changes (files whose address names their content) and a page to show without network.
// Pages, data and the socket always go to the network.
const KEPT = "console-1", OFFLINE = "/offline", AT_MOST = 160

const keepOffline = () => caches.open(KEPT).then(kept => kept.add(new Request(OFFLINE, {cache: "reload"})))

addEventListener("install", event => event.waitUntil(keepOffline().then(() => skipWaiting())))

addEventListener("activate", event => event.waitUntil(
  caches.keys().then(names => Promise.all(names.filter(n => n !== KEPT).map(n => caches.delete(n)))).then(() => clients.claim())))

/** Whether the address changes with the content: `?v=<hash>`, or our bundle with its hash in the name. */
const isImmutable = url => /[?&]v=[0-9a-f]{8,}/.test(url.search) || /\/console-[0-9a-f]{10}\.js$/.test(url.pathname)

async function fromKept(request) {
  const kept = await caches.open(KEPT), found = await kept.match(request)
  if (found) return found
  const answer = await fetch(request)
  if (answer.ok && answer.type === "basic") {
    await kept.put(request, answer.clone())
    const all = await kept.keys()
    await Promise.all(all.filter(r => !r.url.endsWith(OFFLINE)).slice(0, Math.max(0, all.length - AT_MOST)).map(r => kept.delete(r)))
  }
  return answer
}

/** A page from the network; with it the offline page is fetched anew, whose language and colours follow cookies. */
async function page(event) {
  try {
    const answer = await fetch(event.request)
    if (answer.ok) event.waitUntil(keepOffline().catch(() => {}))
    return answer
  } catch {
    return offline()
  }
}

/** The page in the language of the last visit; the network failed, so this is all there is. */
const offline = async () => (await caches.match(OFFLINE)) ?? Response.error()

addEventListener("fetch", event => {
  const {request} = event, url = new URL(request.url)
  if (request.method !== "GET" || url.origin !== location.origin) return
  if (request.mode === "navigate") event.respondWith(page(event))
  else if (isImmutable(url)) event.respondWith(fromKept(request))
})
