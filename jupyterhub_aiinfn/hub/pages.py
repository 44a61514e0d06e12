"""What the hub's pages show beyond JupyterHub's own: the site's name, and why the last session ended."""

from __future__ import annotations

import asyncio
import gc
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from jupyterhub.app import JupyterHub
from markupsafe import Markup

from jupyterhub_aiinfn.api.workloads import EndReason, Workload
from jupyterhub_aiinfn.model.options import LAUNCH_KEYS
from jupyterhub_aiinfn.values import Values

from . import form
from .platform import Platform

TEMPLATES = Path(__file__).parent / "templates"
PAGES = (
    *(
        "page.html",
        "login.html",
        "home.html",
        "spawn.html",
        "spawn_pending.html",
        "stop_pending.html",
        "not_running.html",
    ),
    *("templates/page.html", "templates/home.html", "templates/not_running.html"),
)
EXPECTED = (EndReason.finished, EndReason.stopped)
COMFORT = "your files are in your home"


def configure(c: Any, platform: Platform) -> None:
    """Templates, logo and the names that our templates use."""
    form.prepare()
    c.JupyterHub.template_paths = [str(TEMPLATES)]
    c.JupyterHub.logo_file = str(TEMPLATES / "logo.svg")
    site = platform.values.site
    zone = ZoneInfo(site.timezone)

    def last_end(user: Any) -> dict[str, str] | None:
        # JupyterHub calls it with the person who looks, or None.
        workload = platform.sessions.last_ended(user.name) if user else None
        return None if workload is None else describe_end(workload, platform.values, zone)

    def running(user: Any) -> dict[str, Markup]:
        mine = [workload for workload in platform.sessions if user and workload.person == user.name]
        return {workload.server_name or "": describe_running(workload, platform.values, zone) for workload in mine}

    c.JupyterHub.template_vars = {
        "aiinfn_running": running,
        "aiinfn_free_name": free_name,
        "aiinfn_without_files": lambda user: without_files,  # JupyterHub calls what it is given with the person
        "aiinfn_site": site.name,
        "aiinfn_support": site.support,
        "aiinfn_last_end": last_end,
    }


def free_name(user: Any) -> str:
    """A name that none of the person's servers has: what a browser without JavaScript is offered; nobody needs one."""
    if user is None:
        return ""
    return next(name for number in count(2) if (name := f"session-{number}") not in user.orm_spawners)


def without_files(url: str) -> str:
    """The address without the files of a link: what the form says about them counts, and not what its address says.

    JupyterHub passes the words of the form's address on to the session, which would ask whoever took the tick away.
    """
    parts = urlsplit(url)
    kept = [pair for pair in parse_qsl(parts.query, True) if pair[0].removeprefix("opt-") not in LAUNCH_KEYS]
    return urlunsplit(parts._replace(query=urlencode(kept)))


async def compile_templates() -> None:
    """Compile the hub's pages before the first person comes: that takes a fifth of a second in all.

    One at a time, once the hub has made its environment; without a hub (tests of the configuration) nothing happens.
    """
    for _ in range(100):
        environment = JupyterHub.instance().tornado_settings.get("jinja2_env") if JupyterHub.initialized() else None
        if environment is not None:
            break
        await asyncio.sleep(0.3)
    else:
        return
    for name in PAGES:
        environment.get_template(name)
        await asyncio.sleep(0)
    # What the hub has loaded stays until its end: a full collection that looks at all of it holds the loop for long.
    gc.freeze()


def time_element(moment: datetime, zone: ZoneInfo) -> Markup:
    """``2026-11-24 20:15 CET`` as an element that ``times.js`` turns to the reader's zone."""
    text = moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), text)


def describe_running(workload: Workload, values: Values, zone: ZoneInfo) -> Markup:
    """What a running session is, in a line: ``Quantum, charged to lab, stops at 2026-11-24 20:15 at the latest``."""
    profile = values.profiles.get(workload.profile or "")
    project = values.projects.get(workload.project or "")
    payer = project.name if project and project.name else workload.project
    parts: list[str] = [profile.name if profile else workload.profile or "", f"charged to {payer}"]
    if workload.ends_at is not None:
        parts.append(Markup("stops at {} at the latest").format(time_element(workload.ends_at, zone)))
    return Markup(", ").join(part for part in parts if part)


def describe_end(workload: Workload, values: Values, zone: ZoneInfo) -> dict[str, str]:
    """Why and when a session ended, for its person; ``level`` is a Bootstrap alert."""
    profile = values.profiles.get(workload.profile or "")
    moment = workload.ended_at or workload.created_at
    return {
        "profile": profile.name if profile else workload.profile or "",
        "server": workload.server_name or "",
        "when": time_element(moment, zone),
        "why": with_comfort(workload, reason_in_words(workload)),
        "level": "secondary" if workload.reason in EXPECTED else "warning",
    }


def with_comfort(workload: Workload, sentence: str) -> str:
    """An end that the platform chose says that nothing saved is lost."""
    chosen = workload.reason in (EndReason.max_age, EndReason.idle) and COMFORT not in sentence
    return f"{sentence}; {COMFORT}" if chosen else sentence


def reason_in_words(workload: Workload) -> str:
    """The backend's sentence, or one for the reason when it said nothing."""
    words = {
        EndReason.finished: "it was shut down from within",
        EndReason.stopped: "it was stopped on request",
        EndReason.failed: f"its server ended with code {workload.exit_code}",
        EndReason.max_age: "it reached the longest life of its profile",
        EndReason.idle: "nothing ran in it for as long as its profile allows",
        EndReason.administrator: "an administrator ended it",
        EndReason.out_of_memory: "it needed more memory than its size allows; choose a larger size",
        EndReason.evicted: "its place was needed, or its node had to be emptied",
        EndReason.platform_stopped: "the platform was stopped",
        EndReason.lost: "this machine or the process that watched it was stopped without notice",
        EndReason.not_started: "it could not be started",
    }
    known = words.get(workload.reason, "nobody knows why") if workload.reason else "nobody knows why"
    return workload.message if workload.message not in ("", "stopped") else known
