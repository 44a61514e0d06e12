"""``cleanup-scan``: the clean-up page of a home with 200,000 files that nobody has read since its disk was mounted.

The home is an ext4 loop file, filled once and mounted anew for each run, so that no name and no figure is in memory.
Measured is what a person has: from the request of the page's figures to the first and to the last of them, over HTTP,
and meanwhile how long other requests of the same server take. Needs root, for the mount.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from . import processes
from .figures import Figure, percentile, rounded

FILES, FOLDERS = 200_000, 4_000
FIRST_GOAL, COMPLETE_GOAL, OTHERS_GOAL = 1.0, 20.0, 0.1
SIZE = 2 * 1024**3
TOKEN = "a token of the benchmark"
PAUSE = 0.01


@dataclass
class Seen:
    """One run."""

    first: float
    complete: float
    files: int
    others: list[float] = field(default_factory=list)


def run(repeats: int = 3) -> list[Figure]:
    """Medians of the runs, and the p99 of all other requests together; beside it that of the idle server."""
    if os.geteuid() != 0:
        raise RuntimeError("a file system can only be mounted by root")
    with tempfile.TemporaryDirectory(prefix="aiinfn-bench-") as folder:
        image, home = Path(folder, "home.ext4"), Path(folder, "home")
        home.mkdir()
        make_image(image, home)
        seen: list[Seen] = []
        quiet: list[float] = []
        for number in range(repeats):
            with mounted(image, home), server(home, Path(folder)) as url:
                quiet += others_for(url, 3.0)
                seen.append(measure(url))
            one = seen[-1]
            print(f"  run {number + 1}: first {one.first:.2f} s, complete {one.complete:.2f} s", flush=True)
    others = [seconds for one in seen for seconds in one.others]
    return [
        Figure("first figures", rounded(statistics.median(one.first for one in seen))),
        Figure("complete, 200,000 files", rounded(statistics.median(one.complete for one in seen))),
        Figure("p99 of other requests meanwhile", *beside(percentile(others, 0.99), percentile(quiet, 0.99))),
        Figure("other requests meanwhile", len(others), "requests"),
        Figure("files that were counted", seen[-1].files, "files"),
    ]


def beside(value: float, baseline: float) -> tuple[float, str, float, float]:
    """Value, unit, baseline and ratio of a figure."""
    return rounded(value), "s", rounded(baseline), rounded(value / baseline)


def make_image(image: Path, home: Path) -> None:
    """A file system with the home in it: folders of fifty files, each of one block."""
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-N", str(2 * FILES), image], check=True)
    with mounted(image, home):
        for number in range(FOLDERS):
            folder = home / f"project-{number % 40}" / f"run-{number // 40}"
            folder.mkdir(parents=True)
            for name in range(FILES // FOLDERS):
                descriptor = os.open(folder / f"file-{name}.dat", os.O_WRONLY | os.O_CREAT)
                os.write(descriptor, b"x" * 100)
                os.close(descriptor)


@contextlib.contextmanager
def mounted(image: Path, home: Path) -> Iterator[None]:
    """The file system, fresh: nothing of it is in memory. Its blocks in the image's own cache are dropped too."""
    descriptor = os.open(image, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    subprocess.run(["mount", "-o", "loop", image, home], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", home], check=True)


@contextlib.contextmanager
def server(home: Path, folder: Path) -> Iterator[str]:
    """A person's server with our extension; its own state is beside the home."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={home}"]
    command += ["--ServerApp.jpserver_extensions={'jupyterhub_aiinfn.singleuser': True}"]
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    with (folder / "log").open("wb") as log:
        process = processes.psutil.Popen(
            command,
            env=os.environ | own | {"HOME": str(home), "JUPYTER_TOKEN": TOKEN, "npm_config_logs_max": "0"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        processes.wait_for(lambda: answers(url), 60, "the server's first answer")
        yield url
    finally:
        processes.end(process)


def answers(url: str) -> bool:
    """Whether the server answers."""
    try:
        return httpx.get(f"{url}aiinfn/api/session", timeout=5).status_code == 403
    except httpx.TransportError:
        return False


def measure(url: str) -> Seen:
    """Follow one scan to its end while other requests go on."""
    stop = threading.Event()
    others: list[float] = []
    asking = threading.Thread(target=ask_others, args=(url, stop, others))
    asking.start()
    try:
        seen = follow_scan(url)
    finally:
        stop.set()
        asking.join()
    seen.others = others
    return seen


def follow_scan(url: str) -> Seen:
    """Seconds to the first and to the last figures."""
    begun = time.perf_counter()
    first = 0.0
    line: dict[str, object] = {}
    address = f"{url}aiinfn/api/cleanup/scan"
    with httpx.stream("GET", address, headers=headers(), timeout=120) as answer:
        for text in answer.iter_lines():
            line = json.loads(text)
            if not first and line["files"]:
                first = time.perf_counter() - begun
    if not line.get("done") or line.get("error") or int(str(line["files"])) < FILES:
        raise RuntimeError(f"the scan did not come to its end: {str(line)[:300]}")
    return Seen(first, time.perf_counter() - begun, int(str(line["files"])))


def ask_others(url: str, stop: threading.Event, seconds: list[float]) -> None:
    """What JupyterLab asks again and again, with a short pause, over one connection."""
    with httpx.Client(headers=headers(), timeout=30) as client:
        while not stop.is_set():
            for path in ("api/kernels", "api/contents?content=0", "aiinfn/api/session"):
                begun = time.perf_counter()
                client.get(url + path).raise_for_status()
                seconds.append(time.perf_counter() - begun)
            stop.wait(PAUSE)


def others_for(url: str, duration: float) -> list[float]:
    """The same requests while nothing is scanned."""
    stop = threading.Event()
    seconds: list[float] = []
    timer = threading.Timer(duration, stop.set)
    timer.start()
    ask_others(url, stop, seconds)
    timer.join()
    return seconds


def headers() -> dict[str, str]:
    """Who asks."""
    return {"Authorization": f"token {TOKEN}"}
