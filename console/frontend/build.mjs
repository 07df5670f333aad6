// Compiles components/src into one bundle whose name carries a hash of its content.
//   node build.mjs           write dist/console-<hash>.js, remove older ones
//   node build.mjs --watch   the same on every change
//   node build.mjs --check   fail when the committed bundle is not what the sources give
import {createHash} from "node:crypto"
import {mkdir, readdir, readFile, rm, watch, writeFile} from "node:fs/promises"
import {dirname, join} from "node:path"
import {fileURLToPath} from "node:url"
import esbuild from "esbuild"

const here = dirname(fileURLToPath(import.meta.url))
const sources = join(here, "..", "components", "src")
const dist = join(here, "..", "components", "dist")

// CSS files are imported as minified text: they are adopted by shadow roots, never linked.
const cssText = {
  name: "css-text",
  setup(build) {
    build.onLoad({filter: /\.css$/}, async ({path}) => {
      const {code} = await esbuild.transform(await readFile(path, "utf8"), {loader: "css", minify: true})
      return {contents: code.trim(), loader: "text"}
    })
  },
}

async function compile() {
  const names = (await readdir(sources)).filter(f => /^[A-Z].*\.jsx$/.test(f)).map(f => f.slice(0, -4)).sort()
  // Panel wants one default export with each component's module, by class name, and the React they share.
  const entry = [
    'import * as React from "react"',
    'import {createRoot} from "react-dom/client"',
    ...names.map(name => `import * as ${name} from "./${name}.jsx"`),
    `export default {${[...names, "React", "createRoot"].join(", ")}}`,
  ].join("\n")
  const {outputFiles} = await esbuild.build({
    stdin: {contents: entry, resolveDir: sources, loader: "js"},
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
    target: ["es2022", "chrome114", "firefox125", "safari17"],
    jsx: "automatic",
    define: {"process.env.NODE_ENV": '"production"'},
    nodePaths: [join(here, "node_modules")],
    plugins: [cssText],
    legalComments: "none",
  })
  const code = outputFiles[0].text
  const hash = createHash("sha256").update(code).digest("hex").slice(0, 10)
  return {name: `console-${hash}.js`, code}
}

async function bundles() {
  await mkdir(dist, {recursive: true})
  return (await readdir(dist)).filter(f => /^console-.*\.js$/.test(f))
}

async function write() {
  const {name, code} = await compile()
  await writeFile(join(dist, name), code)
  for (const old of await bundles()) if (old !== name) await rm(join(dist, old))
  console.log(`${name} ${(code.length / 1024).toFixed(0)} KB`)
}

async function check() {
  const {name, code} = await compile()
  const found = await bundles()
  const same = found.length === 1 && found[0] === name && (await readFile(join(dist, name), "utf8")) === code
  if (!same) {
    console.error(`The committed bundle (${found.join(", ") || "none"}) is not what the sources give (${name}). Run: make widgets`)
    process.exit(1)
  }
  console.log(`${name} is up to date`)
}

if (process.argv.includes("--check")) await check()
else await write()
if (process.argv.includes("--watch")) {
  for await (const _ of watch(sources, {recursive: true})) await write().catch(error => console.error(error.message))
}
