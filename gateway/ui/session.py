"""Who looks: the key in a cookie that scripts cannot read, and requests that come from the page.

A visitor of a gateway with keys logs in with one of them; the cookie holds that key, because every
page is looked up with it as a program's requests are, and a key that is taken away ends the visit.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

COOKIE: Final = "gateway_key"
COOKIE_SECONDS: Final = 12 * 3600
# A gateway without keys accepts any.
ANY_KEY: Final = "ui"


def key_of(request: Request) -> str | None:
    """Return the visitor's key, None when there is none."""
    key = request.cookies.get(COOKIE, "")
    # A text that no header can carry is no key.
    return key if key.isascii() and key.isprintable() and key.strip() == key and key else None


def log_in(response: Response, key: str, *, secure: bool) -> None:
    """Remember the key, for this site alone and out of the reach of scripts."""
    response.set_cookie(
        COOKIE,
        key,
        max_age=COOKIE_SECONDS,
        path="/ui",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def log_out(response: Response) -> None:
    """Forget the key."""
    response.delete_cookie(COOKIE, path="/ui")


def comes_from_the_page(request: Request) -> bool:
    """Tell whether a request that changes something was sent by our own page.

    Browsers send ``Origin`` with every POST and DELETE; another site's page cannot choose it.
    """
    host = request.headers.get("host", "")
    origin = request.headers.get("origin", "").lower()
    return bool(host) and origin in {f"http://{host}".lower(), f"https://{host}".lower()}
