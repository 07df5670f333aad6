// The address bar and the shell's route, one following the other.
import * as React from "react"
import {mayLeave, navigate} from "./wire.jsx"

export const routeHere = prefix => (location.pathname.slice(prefix.length) || "/") + location.search

const leaving = path => mayLeave({leave: () => navigate(path, {force: true})})

export function useRoutes(prefix, route, setRoute) {
  const current = React.useRef(route)
  current.current = route
  React.useEffect(() => {
    document.documentElement.dataset.prefix = prefix
    const go = ({detail: {path, force, replace}}) => {
      if (path === current.current) return
      if (!force && !leaving(path)) return
      history[replace ? "replaceState" : "pushState"](null, "", prefix + path)
      setRoute(path)
    }
    const pop = () => {
      const path = routeHere(prefix)
      if (path === current.current) return
      if (leaving(path)) setRoute(path)
      else history.pushState(null, "", prefix + current.current)
    }
    addEventListener("console:navigate", go)
    addEventListener("popstate", pop)
    return () => { removeEventListener("console:navigate", go); removeEventListener("popstate", pop) }
  }, [prefix])
  // A route set by the server (a redirect) shows in the address bar too.
  React.useEffect(() => {
    if (routeHere(prefix) !== route) history.pushState(null, "", prefix + route)
  }, [route])
}
