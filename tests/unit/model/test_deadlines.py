"""Ends are kept when the wall clock is corrected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyterhub_aiinfn.model.deadlines import Deadlines

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_corrected_clock_changes_no_end() -> None:
    known = Deadlines()
    assert known.left("a", NOON + HOUR, NOON, 1000.0) == HOUR
    assert known.left("a", NOON + HOUR, NOON + 5 * HOUR, 1060.0) == timedelta(minutes=59)  # forward, by five hours
    assert known.left("a", NOON + HOUR, NOON - 5 * HOUR, 1120.0) == timedelta(minutes=58)
    assert known.left("a", NOON + HOUR, NOON, 1000.0 + 3601) == timedelta(seconds=-1)


def test_an_extension_shifts_the_end() -> None:
    known = Deadlines()
    known.left("a", NOON + HOUR, NOON, 0.0)
    assert known.left("a", NOON + 2 * HOUR, NOON + 9 * HOUR, 60.0) == timedelta(minutes=119)


def test_the_moment_is_that_of_the_wall_clock_as_it_goes_now() -> None:
    known = Deadlines()
    assert known.moment("a", NOON + HOUR, NOON, 0.0) == NOON + HOUR
    assert known.moment("a", NOON + HOUR, NOON + timedelta(seconds=61), 60.0) == NOON + HOUR
    assert known.moment("a", NOON + HOUR, NOON + 5 * HOUR, 60.0) == NOON + 5 * HOUR + timedelta(minutes=59)


def test_what_is_gone_is_forgotten() -> None:
    known = Deadlines()
    known.left("a", NOON + HOUR, NOON, 0.0)
    known.left("b", NOON + HOUR, NOON, 0.0)
    known.keep(["b"])
    assert known.left("a", NOON + HOUR, NOON + 3 * HOUR, 0.0) == -2 * HOUR
    assert known.left("b", NOON + HOUR, NOON + 3 * HOUR, 0.0) == HOUR
