"""``panel``: what our extensions cost the person's server while a tab is open with the session panel in sight.

The same JupyterLab with the same arguments is started by the platform, and by a bare JupyterHub with our server
extension and labextension switched off; a real browser has a tab open in each, one after the other. CPU seconds are
those of the server process alone (no kernel runs), by the kernel's count; requests are what the tab sends, by the
browser's count. ``AIINFN_BENCH_SECONDS`` shortens the time; the figures are then scaled to 300 s and say for how long
they were measured.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Page, sync_playwright

from . import processes, servers
from .figures import Figure, compared, rounded
from .spawn_local import what_ran

PERSON = "carol"
OPTIONS = {"profile": "python", "size": "medium", "project": "personal"}
SECONDS = 300.0
SETTLE = 20.0
"""Seconds after the tab is there that are not counted: JupyterLab loads, the first report is sent."""
ASSETS = servers.ROOT / "jupyterhub_aiinfn" / "labextension" / "static"
OFF = {"disabledExtensions": {"jupyterhub-aiinfn": True}}
NO_SERVER_EXTENSION = "--ServerApp.jpserver_extensions={'jupyterhub_aiinfn.singleuser': False}"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@dataclass(frozen=True)
class Cost:
    """What one session cost."""

    cpu_seconds: float
    requests: int
    ours: int
    """Requests to our own addresses."""
    strangers: int
    """Requests to other hosts."""


def run() -> list[Figure]:
    """The figures: first a session with us, then the same without."""
    seconds = float(os.environ.get("AIINFN_BENCH_SECONDS", SECONDS))
    with servers.Platform() as platform, platform.api(PERSON) as api:
        servers.start_session(api, PERSON, OPTIONS)
        command, environment = what_ran(platform)
        ours = measure(platform, seconds)
        servers.stop_session(api, PERSON)
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as folder:
        switched_off(Path(folder))
        quiet = {name: value for name, value in environment.items() if not name.startswith("AIINFN_")}
        extra = {"JUPYTER_CONFIG_PATH": folder}
        with servers.BareHub([*command, NO_SERVER_EXTENSION], quiet | extra) as bare:
            with bare.api(PERSON) as api:
                servers.start_session(api, PERSON, {})
            without = measure(bare, seconds)
    return figures_of(ours, without, seconds)


def figures_of(ours: Cost, without: Cost, seconds: float) -> list[Figure]:
    """Both costs, for 300 s and for a minute."""
    scale, minutes = SECONDS / seconds, seconds / 60
    return [
        compared("CPU seconds of the server in 300 s", ours.cpu_seconds * scale, without.cpu_seconds * scale),
        Figure("CPU seconds added in 300 s", rounded((ours.cpu_seconds - without.cpu_seconds) * scale)),
        Figure("our requests a minute from the tab", rounded(ours.ours / minutes), "1/min"),
        compared("all requests a minute from the tab", ours.requests / minutes, without.requests / minutes, "1/min"),
        Figure("requests to other hosts", ours.strangers, ""),
        Figure("bundle, compressed", rounded(bundle_bytes() / 1000), "kB"),
        Figure("measured for", seconds),
    ]


def switched_off(folder: Path) -> None:
    """A configuration folder in which JupyterLab finds our plugins disabled."""
    (folder / "labconfig").mkdir()
    (folder / "labconfig" / "page_config.json").write_text(json.dumps(OFF))


def bundle_bytes() -> int:
    """What a browser loads of ours, compressed as web servers do."""
    return sum(len(gzip.compress(file.read_bytes(), 6)) for file in ASSETS.glob("*.js"))


def measure(server: servers.Server, seconds: float) -> Cost:
    """What the running session of the person costs while a tab is open, with the panel in sight where there is one."""
    process = jupyter_server(server)
    seen: list[str] = []
    with tab(server) as page:
        status = page.locator("#jp-aiinfn-session-status button")
        if isinstance(server, servers.Platform):
            status.click(timeout=60_000)
            page.locator("#jp-aiinfn-session-panel").wait_for(state="visible")
        elif status.count():
            raise RuntimeError("our extension is there although it was switched off")
        page.wait_for_timeout(SETTLE * 1000)
        page.on("request", lambda request: seen.append(request.url))
        before = cpu(process)
        page.wait_for_timeout(seconds * 1000)
        used = cpu(process) - before
    hosts = [urlsplit(url) for url in seen if not url.startswith(("data:", "blob:"))]
    return Cost(
        cpu_seconds=used,
        requests=len(hosts),
        ours=sum("/aiinfn/api/" in one.path for one in hosts),
        strangers=sum(one.hostname != "127.0.0.1" for one in hosts),
    )


@contextmanager
def tab(server: servers.Server) -> Iterator[Page]:
    """JupyterLab in Chromium, as the person."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise RuntimeError("Chromium is missing; `make setup` installs it or says how")
    with sync_playwright() as playwright, closing(server.login(PERSON)) as client:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page()
        page.context.add_cookies(
            [
                {"name": one.name, "value": one.value or "", "domain": "127.0.0.1", "path": one.path}
                for one in client.cookies.jar
            ]
        )
        page.goto(f"{server.url}/user/{PERSON}/lab", timeout=60_000)
        page.wait_for_selector(".jp-Launcher", timeout=120_000)
        try:
            yield page
        finally:
            browser.close()


def jupyter_server(server: servers.Server) -> psutil.Process:
    """The process of the session's Jupyter server (not those that put it into its sandbox)."""
    for process in processes.family(server.pid, server.folder):
        words = process.cmdline()
        if "jupyterhub.singleuser" in words[:4] and words[0].endswith("python"):
            return process
    raise RuntimeError("no Jupyter server runs")


def cpu(server: psutil.Process) -> float:
    """CPU seconds of one process."""
    times = server.cpu_times()
    return float(times.user + times.system)
