"""Reading processes from outside: CPU seconds of a tree, and processes that must be stopped or found."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def family(pid: int, folder: Path) -> list[psutil.Process]:
    """The process, its descendants, and whatever names ``folder`` on its command line with its descendants.

    The second half finds the runners, which leave the tree of the hub on purpose.
    """
    found: dict[int, psutil.Process] = {}
    for root in _roots(pid, str(folder)):
        with contextlib.suppress(*GONE):
            found |= {process.pid: process for process in (root, *root.children(recursive=True))}
    return list(found.values())


def _roots(pid: int, folder: str) -> Iterator[psutil.Process]:
    with contextlib.suppress(*GONE):
        yield psutil.Process(pid)
    for process in psutil.process_iter():
        with contextlib.suppress(*GONE):
            if any(folder in part for part in process.cmdline()):
                yield process


def cpu_seconds(pid: int, folder: Path) -> float:
    """CPU seconds (user and system) that the family has used, children that ended and were waited for included."""
    total = 0.0
    for process in family(pid, folder):
        with contextlib.suppress(*GONE):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def find(pid: int, words: str) -> psutil.Process | None:
    """The descendant of ``pid`` whose command line holds ``words``."""
    with contextlib.suppress(*GONE):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(*GONE):
                if words in " ".join(process.cmdline()):
                    return process
    return None


def wait_for(condition: Callable[[], bool], seconds: float, what: str, pause: float = 0.05) -> None:
    """Wait until ``condition`` holds; :class:`TimeoutError` names ``what`` was waited for."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(pause)


def end(process: psutil.Popen, seconds: float = 20) -> None:
    """End a process that we started, with what is left of its children."""
    children: list[psutil.Process] = []
    with contextlib.suppress(*GONE):
        children = process.children(recursive=True)
        process.terminate()
    _, alive = psutil.wait_procs([process], timeout=seconds)
    for left in [*alive, *children]:
        with contextlib.suppress(*GONE):
            left.kill()
    psutil.wait_procs([process, *children], timeout=5)
