"""Decides what a page of the gateway may load: files of this gateway only, and no script or style within the page."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


def page_headers(**changed: str) -> Mapping[str, str]:
    """The headers of a page. `changed` has other values for directives; `_` in a name stands for `-`."""
    policy = {**_POLICY, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        # The page names files by their content, so an old page would name files that are gone.
        "Cache-Control": "no-cache",
    }


def page_answer(html: str | bytes, status: int = 200, **changed: str) -> HTMLResponse:
    """A page as a response, with the headers of `page_headers`."""
    return HTMLResponse(html, status, headers=page_headers(**changed))
