"""The ``site`` section: who runs this platform and where."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from .base import CURRENCY, LAUNCH_HOST, SITE_URL, Line, Section

LaunchHost = Annotated[str, StringConstraints(max_length=270, pattern=LAUNCH_HOST)]


class LaunchLinks(Section):
    """Links that prefill the spawn page and name files to bring."""

    hosts: tuple[LaunchHost, ...] = ()
    """Hosts of git repositories that a link may name, such as ``git.example.org`` or ``git.example.org:8443``; none:
    every host. They are reached by https; ``http://127.0.0.1:8080`` also allows one host without encryption."""


class Site(Section):
    """Name and conventions of the site; shown on every page."""

    name: Line
    """What the platform is called on its pages."""
    url: Annotated[str, StringConstraints(max_length=200, pattern=SITE_URL)] | None = None
    """The address that people type, such as ``https://hub.example.org``. The sessions of each person then have an
    address of their own below it (``alice.hub.example.org``), and what a session serves cannot act for who opens it.
    Absent: all have the address on which the platform listens."""
    timezone: Line = "Europe/Rome"
    """IANA name of the time zone in which times are shown."""
    currency: Annotated[str, StringConstraints(pattern=CURRENCY)] = "EUR"
    """ISO 4217 code of the currency of every price."""
    units: tuple[Line, ...] = ()
    """Sections of the institute that projects belong to."""
    support: Line | None = None
    """Where people ask for help: an e-mail address or a link."""
    launch_links: LaunchLinks = LaunchLinks()
    """Links that also bring files."""
