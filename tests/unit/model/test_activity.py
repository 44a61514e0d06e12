"""What counts as work, as tables of what was measured."""

from __future__ import annotations

import pytest

from jupyterhub_aiinfn.model.activity import Claim, Counters, Course, begin, believe, mean_seconds, observe, resume
from jupyterhub_aiinfn.model.limits import Policy

POLICY = Policy(86400, idle_after=7200, cpu_below=0.05, network_below=20480)
LOOK = 15.0


def watch(uses: list[tuple[float, float]], policy: Policy = POLICY) -> tuple[float | None, float]:
    """How long it is idle after intervals of 15 s (mean cores, bytes per second), and how long they were."""
    at, cpu, network = 1000.0, 50.0, 10_000
    course = begin(Counters(at, cpu, network))
    for cores, rate in uses:
        at, cpu, network = at + LOOK, cpu + cores * LOOK, network + int(rate * LOOK)
        course = observe(course, Counters(at, cpu, network), policy)
    return (None if course.active else at - course.idle_from), at - 1000.0


QUIET, OPEN_TAB, POLLER = (0.001, 0), (0.01, 3000), (0.02, 9000)
CELL, DOWNLOAD, SLOW_DOWNLOAD = (1.0, 0), (0.3, 2e7), (0.01, 50_000)


@pytest.mark.parametrize("use", [QUIET, OPEN_TAB, POLLER], ids=["quiet", "open tab", "poller"])
def test_what_is_no_work(use: tuple[float, float]) -> None:
    idle, watched = watch([use] * 500)
    assert idle == watched


@pytest.mark.parametrize("use", [CELL, DOWNLOAD, SLOW_DOWNLOAD], ids=["cell", "download", "slow download"])
def test_what_is_work(use: tuple[float, float]) -> None:
    assert watch([use] * 500)[0] is None
    assert watch([QUIET] * 500 + [use] * 20)[0] is None


def test_the_idle_clock_begins_when_the_work_ended() -> None:
    assert watch([QUIET] * 100 + [CELL] * 40 + [QUIET] * 100)[0] == 100 * LOOK


def test_a_hiccup_does_not_begin_it_again_but_a_short_cell_does() -> None:
    assert watch([QUIET] * 100 + [(0.5, 0)] + [QUIET] * 100)[0] == 201 * LOOK
    assert watch([QUIET] * 100 + [CELL] * 2 + [QUIET] * 100)[0] == 100 * LOOK


def test_a_beginning_session_is_idle_from_its_first_look() -> None:
    assert watch([QUIET])[0] == LOOK
    assert watch([])[0] == 0


def test_nothing_is_known_of_a_gap() -> None:
    course = observe(begin(Counters(0, 0, 0)), Counters(100, 0, 0), POLICY)
    after = observe(course, Counters(100 + 301, 0, 0), POLICY)
    assert after == begin(Counters(401, 0, 0))
    assert observe(course, Counters(100 + 299, 0, 0), POLICY).idle_from == 0


def test_counters_that_fall_are_no_work() -> None:
    """Children whose parent waits for none take what they used along: that must not look like work, nor like a gap."""
    course = observe(begin(Counters(0, 100, 500)), Counters(10, 20, 400), POLICY)
    assert (course.active, course.idle_from) == (False, 0)


def test_a_clock_that_stands_changes_nothing() -> None:
    course = begin(Counters(10, 1, 1))
    assert observe(course, Counters(10, 50, 1), POLICY) is course


@pytest.mark.parametrize(
    ("counters", "idle_from"),
    [
        (Counters(60, 10, 1000), -500),
        (Counters(60, 10 + 30, 1000), 60),  # it worked meanwhile
        (Counters(60, 9, 1000), 60),  # cannot be compared
        (Counters(60, 10, 999), 60),
        (Counters(60, 10, None), 60),
        (Counters(400, 10, 1000), 400),  # too long ago
    ],
)
def test_after_a_restart(counters: Counters, idle_from: float) -> None:
    before = Course(Counters(0, 10, 1000), -500)
    course = resume(before, counters, POLICY)
    assert course.idle_from == idle_from


@pytest.mark.parametrize(
    ("claim", "since"),
    [
        (None, None),
        (Claim(90, 0, 0.01, 0), 90),
        (Claim(90, 1, 0.0, 0), None),
        (Claim(90, 0, 0.05, 0), None),
        (Claim(90, 0, 0.0, 20480), None),
        (Claim(-250, 0, 0.0, 0), None),  # too old
    ],
)
def test_where_nothing_can_be_measured_only_idleness_is_believed(claim: Claim | None, since: float | None) -> None:
    assert believe(None, claim, 100, POLICY) == since
    assert believe(50, claim, 100, POLICY) == (None if since is None else 50)


def test_the_mean_fits_into_a_short_limit() -> None:
    assert mean_seconds(Policy(60, idle_after=60)) == 15
    assert mean_seconds(POLICY) == 300
