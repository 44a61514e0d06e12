"""The ``site`` section: who runs this platform and where."""

from __future__ import annotations

from .base import Line, Section


class Site(Section):
    """Name and conventions of the site; shown on every page."""

    name: Line
    """What the platform is called on its pages."""
    timezone: Line = "Europe/Rome"
    """IANA name of the time zone in which times are shown."""
    units: tuple[Line, ...] = ()
    """Sections of the institute that projects belong to."""
    support: Line | None = None
    """Where people ask for help: an e-mail address or a link."""
