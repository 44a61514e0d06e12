"""Server-rendered pages: they work without JavaScript and load nothing from another host."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from .settings import HUB, PREFIX

if TYPE_CHECKING:
    from .context import Context
    from .identity.caller import Caller

FOLDER = Path(__file__).parent
TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(context: Context, template: str, caller: Caller | None, status: int = 200, **given: Any) -> HTMLResponse:
    """A page of the service; ``caller`` is who is logged in, None for nobody."""
    zone = ZoneInfo(context.values.site.timezone)
    text = TEMPLATES.get_template(template).render(
        site=context.values.site,
        values=context.values,
        caller=caller,
        prefix=PREFIX,
        hub=HUB,
        clock=lambda moment: local_time(moment, zone),
        duration=duration,
        **given,
    )
    return HTMLResponse(text, status_code=status)


def local_time(moment: datetime | None, zone: ZoneInfo) -> Markup:
    """``2026-11-23 14:20 CET`` as an element that ``times.js`` turns to the reader's zone, "" for none."""
    if moment is None:
        return Markup("")
    text = moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), text)


def duration(seconds: int) -> str:
    """``1 h 05 min``, ``3 min 20 s`` or ``20 s``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def mebibytes(count: int) -> str:
    """``12.3 MiB``."""
    return f"{count / 2**20:.1f} MiB"


TEMPLATES.filters["mebibytes"] = mebibytes
