"""For all tests: the closing table by folder, and what a whole run may not do (leave a folder out, skip in silence)."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
OUTCOMES = ("passed", "failed", "skipped")
FIRST = ("cluster", "browser", "attacker", "images", "supervisor")
"""Folders whose files take longest, in the order in which they begin when several processes run them."""
TWICE = ("cluster", "browser")
"""Folders whose tests get a second try in a whole run: where a real browser or cluster hurries on a busy machine."""
MOST_TWICE = 3
"""Tests of a whole run that may need it; each is named at the end. More is a fault."""
HINTS = {"a cluster": ": `make test-cluster`", "minutes": ": `make test-slow`"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole",
        action="store_true",
        help="fail when a folder of tests runs nothing, or when something skips that is not marked hardware",
    )
    parser.addoption(
        "--cluster",
        action="store_true",
        help="run what is marked cluster: on the cluster of KUBECONFIG when that is set, else on this checkout's own",
    )
    parser.addoption("--fault-minutes", action="store_true", help="run what is marked fault_minutes too")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Choosing(config), "aiinfn-choosing")
    if not is_worker(config):
        config.pluginmanager.register(Closing(config), "aiinfn-closing")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With ``-n``: a file is run by one process, and the cluster is of one process at a time."""
    from xdist.scheduler import LoadScopeScheduling  # only where xdist runs: this file also stands alone

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            on_cluster = folder_of(nodeid) == "cluster" or "kubernetes" in nodeid.partition("[")[2]  # of the contract
            return "tests/cluster" if on_cluster else nodeid.partition("::")[0]

    config.option.loadscopereorder = False  # in the order of Choosing, not by the number of tests in a file
    return ByFile(config, log)


class Choosing:
    """Leaves out what cannot run here, in each process that runs tests; long folders come first."""

    def __init__(self, config: pytest.Config) -> None:
        self.cluster: bool = config.getoption("--cluster")
        self.whole: bool = config.getoption("--whole")
        self.left_out: Counter[str] = Counter()
        self.not_collected: dict[str, str] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if os.geteuid() != 0:
            self.left_out["root"] = leave_out("root", config, items)
        of_cluster = any(item.get_closest_marker("cluster") for item in items)
        if of_cluster and not self.cluster and not own_cluster_is_up():
            self.left_out["a cluster"] = leave_out("cluster", config, items)
        if not config.getoption("--fault-minutes"):
            self.left_out["minutes"] = leave_out("fault_minutes", config, items)
        for item in items if self.whole else ():
            if folder_of(item.nodeid) in TWICE:
                item.add_marker(pytest.mark.flaky(reruns=1))
        if is_worker(config):
            # The end of a run in several processes is short only when what is left then is short.
            items.sort(key=lambda item: FIRST.index(folder_of(item.nodeid)) if folder_of(item.nodeid) in FIRST else 99)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed or report.skipped:
            self.not_collected[report.nodeid] = report.outcome

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if is_worker(session.config):
            session.config.workeroutput["aiinfn"] = (dict(self.left_out), self.not_collected)


class Closing:
    """Counts each test once, by its folder, and closes the run with what it counted; in one process of a run."""

    def __init__(self, config: pytest.Config) -> None:
        self.whole: bool = config.getoption("--whole")
        self.choosing: Choosing = config.pluginmanager.getplugin("aiinfn-choosing")
        self.left_out_tests = self.choosing.left_out
        self.outcome: dict[str, str] = self.choosing.not_collected
        self.hardware: set[str] = set()
        self.twice: dict[str, str] = {}
        self.faults: list[str] = []
        self.seconds: Counter[str] = Counter()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a process of a run in several says at its end; each of them collected everything."""
        left_out, not_collected = getattr(node, "workeroutput", {}).get("aiinfn", ({}, {}))
        self.left_out_tests.update({name: count for name, count in left_out.items() if not self.left_out_tests[name]})
        self.outcome.update(not_collected)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test failed if any of its phases did, and was skipped if no phase failed and one skipped."""
        if report.outcome == "rerun":  # of pytest-rerunfailures: it failed, and gets its second try
            self.twice[report.nodeid] = f"{report.longreprtext}\n{report.capstdout[-4000:]}"
        if "hardware" in report.keywords:
            self.hardware.add(report.nodeid)
        self.seconds[folder_of(report.nodeid)] += report.duration
        before = self.outcome.get(report.nodeid)
        if before == "failed" or report.outcome == "failed":
            self.outcome[report.nodeid] = "failed"
        elif before == "skipped" or report.outcome == "skipped":
            self.outcome[report.nodeid] = "skipped"
        elif report.when == "call":
            self.outcome[report.nodeid] = "passed"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.whole and not session.config.option.collectonly:
            self.faults = [*self.left_out(), *self.skipped_in_silence(), *self.too_often_twice()]
        if self.faults and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def left_out(self) -> Iterator[str]:
        """Folders below ``tests`` with Python in them of which nothing ran."""
        ran = {folder for folder, counts in self.by_folder().items() if counts["passed"] + counts["failed"]}
        for folder in sorted(path for path in TESTS.iterdir() if path.is_dir() and any(path.rglob("*.py"))):
            if folder.name not in ran and folder.name != "tools":
                yield f"the folder tests/{folder.name} ran nothing"

    def skipped_in_silence(self) -> Iterator[str]:
        """Skipped tests without the marker that allows it."""
        for name, outcome in self.outcome.items():
            if outcome == "skipped" and name not in self.hardware:
                yield f"{name} skipped and is not marked hardware"

    def too_often_twice(self) -> Iterator[str]:
        """More second tries than a busy machine explains."""
        if len(self.twice) > MOST_TWICE:
            yield f"{len(self.twice)} tests needed a second try; {MOST_TWICE} may"

    def by_folder(self) -> dict[str, Counter[str]]:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for name, outcome in self.outcome.items():
            counts[folder_of(name)][outcome] += 1
        return counts

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        folders = self.by_folder()
        if not folders:
            return
        terminalreporter.section("by folder")
        width = max(map(len, folders))
        for folder, counts in sorted(folders.items()):
            numbers = "  ".join(f"{counts[name]:5} {name}" for name in OUTCOMES)
            terminalreporter.line(f"{folder:{width}}  {numbers}  {self.seconds[folder]:6.0f} s")
        for what, count in self.left_out_tests.items():
            if count:
                terminalreporter.line(f"{count} tests that need {what} were left out{HINTS.get(what, '')}")
        for name, why in sorted(self.twice.items()):
            terminalreporter.line(f"SECOND TRY: {name}", yellow=True)
            terminalreporter.line(why)
        for fault in self.faults:
            terminalreporter.line(f"FAULT: {fault}", red=True)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """The last line, in a form that needs no knowledge of pytest; a fault of the whole run counts as failed."""
        total = Counter(self.outcome.values())
        if total:
            failed = total["failed"] + len([fault for fault in self.faults if "ran nothing" in fault])
            print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped", flush=True)


def is_worker(config: pytest.Config) -> bool:
    """Whether this is one of several processes that run tests, and not the one that counts."""
    return hasattr(config, "workerinput")


def folder_of(name: str) -> str:
    """The folder below ``tests`` of a test's name; "." for those beside them."""
    parts = Path(name.partition("::")[0]).parts
    return parts[1] if len(parts) > 2 else "."


def leave_out(marker: str, config: pytest.Config, items: list[pytest.Item]) -> int:
    """Deselect what is marked so; how many that were."""
    left_out = [item for item in items if item.get_closest_marker(marker)]
    items[:] = [item for item in items if not item.get_closest_marker(marker)]
    config.hook.pytest_deselected(items=left_out)
    return len(left_out)


def own_cluster_is_up() -> bool:
    """Whether `make cluster-up` started this checkout's own cluster.

    A KUBECONFIG alone is no invitation: it may be that of the cluster at work, and a plain `pytest` asks nobody.
    """
    from tests.tools.cluster.place import Place, State  # only where there are such tests: this file also stands alone

    return State.load(Place.of_checkout()).up()
