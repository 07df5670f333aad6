"""Health for those who watch the process, and the files a browser asks for at the root."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from console.gate import HOME, THEME_COOKIE
from console.rendering import STATIC_DIR, render, static
from console.routes.parts import TheConsole, TheWords

NO_CACHE = {"cache-control": "no-cache"}
ICONS = (
    ("icon.svg", "any", "image/svg+xml", "any"),
    ("icon-192.png", "192x192", "image/png", "any"),
    ("icon-512.png", "512x512", "image/png", "any"),
    ("icon-maskable-512.png", "512x512", "image/png", "maskable"),
)

router = APIRouter(include_in_schema=False)


@router.get("/")
async def root() -> Response:
    """Leads to the console."""
    return Response(status_code=302, headers={"location": HOME})


@router.get("/healthz")
async def healthz() -> Response:
    """The process runs."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def readyz(console: TheConsole) -> Response:
    """Whether the API and Redis answer, and facts are listened to."""
    parts = await console.is_ready()
    return JSONResponse(parts, 200 if all(parts.values()) else 503)


@router.get("/metrics")
async def metrics(console: TheConsole) -> Response:
    """Figures for Prometheus."""
    return PlainTextResponse(generate_latest(console.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/manifest.webmanifest")
async def manifest(words: TheWords) -> Response:
    """What an installed console is called and looks like."""
    told = {
        "name": "Master IA",
        "short_name": "Master IA",
        "id": HOME,
        "start_url": HOME,
        "scope": "/",
        "display": "standalone",
        "lang": words.tag,
        "background_color": "#f7f8fa",
        "theme_color": "#0f766e",
        "icons": [
            {"src": static(name), "sizes": size, "type": kind, "purpose": purpose}
            for name, size, kind, purpose in ICONS
            if (STATIC_DIR / name).is_file()
        ],
    }
    return JSONResponse(told, headers=NO_CACHE, media_type="application/manifest+json")


@router.get("/sw.js")
async def service_worker() -> Response:
    """The script that keeps static files and the offline page."""
    return FileResponse(STATIC_DIR / "sw.js", media_type="text/javascript", headers=NO_CACHE)


@router.get("/offline")
async def offline(request: Request, words: TheWords) -> Response:
    """What the service worker shows where there is no network."""
    dark = request.cookies.get(THEME_COOKIE) == "dark"
    return HTMLResponse(render("offline.html", words, dark=dark), headers=NO_CACHE)


@router.get("/favicon.ico")
async def favicon() -> Response:
    """The icon."""
    return Response(
        status_code=302, headers={"location": static("icon.svg"), "cache-control": "max-age=3600"}
    )
