"""The clean-up page as HTML, style and script in it: one answer, no other file, no other host."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jinja2 import Environment, StrictUndefined, Template

from .cleaning import State
from .known import KNOWN

HERE = Path(__file__).parent


def content_security_policy(nonce: str) -> str:
    """Only the page's own style and script, requests to the own server only, in no frame."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def safe_next(asked: str, base_url: str) -> str:
    """The address that was asked for when it is one of this very server, else JupyterLab's."""
    parts = urlsplit(asked)
    path = unquote(unquote(parts.path))  # browsers go up at %2e%2e too
    odd = any(character in asked for character in "\\\r\n\t") or "//" in path or ".." in path or "\\" in path
    if parts.scheme or parts.netloc or odd or not asked.startswith(base_url):
        return base_url + "lab"
    return asked


def render(state: State, *, base_url: str, xsrf: str, nonce: str, onward: str) -> str:
    """The whole page."""
    known = {one.key: {"title": one.title, "explanation": one.explanation} for one in KNOWN}
    settings: dict[str, Any] = {
        "api": f"{base_url}aiinfn/api/cleanup",
        "onward": onward,
        "xsrf": xsrf,
        "state": state.as_json(),
        "known": known,
    }
    return template().render(
        state=state,
        nonce=nonce,
        onward=onward,
        style=(HERE / "page.css").read_text(),
        script=(HERE / "page.js").read_text(),
        settings=script_safe(settings),
    )


def script_safe(value: object) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(value)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def template() -> Template:
    """The page with its blanks."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["bytes"] = bytes_text
    return environment.from_string((HERE / "page.html").read_text())


def bytes_text(count: int) -> str:
    """A number of bytes for people: 1.5 GiB."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
