"""The decisions about the stay of a session, as tables of cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_aiinfn.model.limits import (
    End,
    Policy,
    Stay,
    Step,
    StopCause,
    end_sentence,
    extension_refusal,
    keep_latest,
    keep_refusal,
    lasting,
    next_step,
    warning_sentence,
)
from jupyterhub_aiinfn.values.profiles import Profile

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = Policy(
    max_seconds=24 * 3600, warn_seconds=900, idle_after=7200, extend_by=4 * 3600, extend_times=1, keep=8 * 3600
)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def clock(moment: datetime) -> str:
    return moment.strftime("%H:%M")


def stay(**changes: object) -> Stay:
    return Stay(**({"now": NOON, "ends_at": NOON + minutes(600)} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "step", "cause", "at"),
    [
        # the longest life
        ({}, Step.nothing, StopCause.max_age, 600),
        ({"ends_at": NOON + minutes(15.1)}, Step.nothing, StopCause.max_age, 15.1),
        ({"ends_at": NOON + minutes(15)}, Step.warn, StopCause.max_age, 15),
        ({"ends_at": NOON}, Step.warn, StopCause.max_age, 0),  # the backend itself ends it first
        ({"ends_at": NOON - minutes(1)}, Step.stop, StopCause.max_age, -1),
        ({"ends_at": None}, Step.nothing, None, None),
        # idleness
        ({"idle_for": minutes(104)}, Step.nothing, StopCause.idle, 16),
        ({"idle_for": minutes(105)}, Step.warn, StopCause.idle, 15),
        ({"idle_for": minutes(119), "warned_at": NOON - minutes(14)}, Step.warn, StopCause.idle, 1),
        ({"idle_for": minutes(120), "warned_at": NOON - minutes(15)}, Step.stop, StopCause.idle, 0),
        # never without its warning: the service was away, or a clock was set
        ({"idle_for": minutes(500)}, Step.warn, StopCause.idle, 15),
        ({"idle_for": minutes(500), "warned_at": NOON - minutes(14)}, Step.warn, StopCause.idle, 1),
        # unknown is not idle
        ({"idle_for": None, "warned_at": NOON - minutes(90)}, Step.nothing, StopCause.max_age, 600),
        # kept
        ({"idle_for": minutes(500), "keep_until": NOON + minutes(60)}, Step.nothing, StopCause.idle, 60),
        ({"idle_for": minutes(500), "keep_until": NOON + minutes(10)}, Step.warn, StopCause.idle, 15),
        (
            {"idle_for": minutes(500), "warned_at": NOON - minutes(60), "keep_until": NOON - minutes(1)},
            Step.stop,
            StopCause.idle,
            -1,
        ),
        # kept does not mean beyond the longest life
        ({"ends_at": NOON - minutes(1), "keep_until": NOON + minutes(60)}, Step.stop, StopCause.max_age, -1),
        # an administrator
        ({"stop_at": NOON + minutes(60)}, Step.warn, StopCause.administrator, 60),
        ({"stop_at": NOON}, Step.stop, StopCause.administrator, 0),
        ({"stop_at": NOON, "keep_until": NOON + minutes(60), "extensions": 1}, Step.stop, StopCause.administrator, 0),
        # the first end counts
        ({"stop_at": NOON + minutes(9), "ends_at": NOON + minutes(3)}, Step.warn, StopCause.max_age, 3),
        ({"idle_for": minutes(115), "ends_at": NOON + minutes(3)}, Step.warn, StopCause.max_age, 3),
    ],
)
def test_what_is_due(given: dict[str, object], step: Step, cause: StopCause | None, at: float | None) -> None:
    due, end = next_step(DAY, stay(**given), patience=timedelta(seconds=10))
    assert due is step
    assert end == (None if cause is None else End(cause, NOON + minutes(at or 0)))


def test_a_profile_without_idle_limit_never_ends_idle_sessions() -> None:
    assert next_step(Policy(86400), stay(idle_for=timedelta(days=3)))[0] is Step.nothing


@pytest.mark.parametrize(
    ("policy", "cause", "seconds"),
    [
        (DAY, StopCause.idle, 900),
        (DAY, StopCause.max_age, 900),
        (Policy(60, idle_after=60), StopCause.idle, 30),  # at most half of the limit
        (Policy(600, idle_after=86400), StopCause.max_age, 300),
        (Policy(60, warn_seconds=0, idle_after=60), StopCause.idle, 0),
    ],
)
def test_when_the_warning_comes(policy: Policy, cause: StopCause, seconds: int) -> None:
    assert policy.warning_time(cause).total_seconds() == seconds


def test_without_warning_time_an_idle_session_ends_at_once() -> None:
    policy = Policy(86400, warn_seconds=0, idle_after=60)
    assert next_step(policy, stay(idle_for=minutes(1)))[0] is Step.stop
    assert next_step(policy, stay(idle_for=minutes(0.9)))[0] is Step.nothing


@pytest.mark.parametrize(
    ("policy", "given", "said"),
    [
        (DAY, {}, ""),
        (DAY, {"extensions": 1}, "extended 1 time already"),
        (Policy(60, extend_by=60, extend_times=3), {"extensions": 3}, "extended 3 times already"),
        (Policy(60), {}, "cannot be extended"),
        (DAY, {"stop_at": NOON + minutes(20)}, "an administrator ends this session at 12:20"),
        (DAY, {"ends_at": NOON - minutes(1)}, "is ending already"),
        (DAY, {"ends_at": None}, "is ending already"),
    ],
)
def test_extensions(policy: Policy, given: dict[str, object], said: str) -> None:
    sentence = extension_refusal(policy, stay(**given), clock)
    assert (said in sentence) if said else sentence == ""


@pytest.mark.parametrize(
    ("policy", "until", "said"),
    [
        (DAY, 60, ""),
        (DAY, 480, ""),
        (DAY, 481, ""),  # a minute of grace
        (DAY, 482, "until 20:00 at the latest, not until 20:02"),
        (DAY, -1, "11:59 is over; choose a time until 20:00"),
        (Policy(86400, idle_after=60), 5, "does not let people keep"),
        (Policy(86400, keep=600), 5, "not stopped for being idle"),
    ],
)
def test_keep_until(policy: Policy, until: float, said: str) -> None:
    sentence = keep_refusal(policy, stay(), NOON + minutes(until), clock)
    assert (said in sentence) if said else sentence == ""


def test_keep_until_never_reaches_beyond_the_longest_life() -> None:
    short = stay(ends_at=NOON + minutes(30))
    assert keep_latest(DAY, short) == NOON + minutes(30)
    assert "12:30 at the latest" in keep_refusal(DAY, short, NOON + minutes(40), clock)
    assert keep_latest(DAY, stay(ends_at=None)) == NOON + minutes(480)


def test_sentences_say_what_is_lost_and_what_can_be_done() -> None:
    idle = stay(idle_for=minutes(110))
    end = next_step(DAY, idle)[1]
    assert end is not None
    said = warning_sentence(DAY, idle, end, "", clock)
    assert "for 110 minutes, so it ends at 12:15" in said
    assert "variables in memory will be lost" in said
    assert "keep it until later" in said
    late = stay(ends_at=NOON + minutes(5))
    assert "or extend it" in warning_sentence(DAY, late, End(StopCause.max_age, NOON), "", clock)
    used = stay(ends_at=NOON + minutes(5), extensions=1)
    assert "extend it" not in warning_sentence(DAY, used, End(StopCause.max_age, NOON), "", clock)
    ended = end_sentence(DAY, End(StopCause.idle, NOON), "")
    assert ended == "nothing ran in it for 2 hours; your files are in your home"
    asked = end_sentence(DAY, End(StopCause.administrator, NOON), "node down")
    assert asked == "an administrator ended it: node down; your files are in your home"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (7200, "2 hours"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (61, "61 seconds"),
        (185, "3 minutes"),
        (0, "0 seconds"),
    ],
)
def test_durations_in_words(seconds: int, words: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == words


def test_a_policy_is_read_from_the_profile_and_survives_the_database() -> None:
    profile = Profile.model_validate(
        {
            "name": "GPU",
            "image": "gpu",
            "sizes": {"small": {"cores": 1.0, "memory_gib": 2.0}},
            "max": "24h",
            "idle": {"after": "2h", "cpu_below": 0.1, "network_below": "1 MiB/s"},
            "warn": "10m",
            "extend": {"by": "4h", "times": 2},
            "keep": "8h",
        }
    )
    policy = Policy.of(profile)
    assert policy == Policy(86400, 600, 7200, 0.1, 2**20, 14400, 2, 28800)
    assert policy.longest(2) == 86400 + 2 * 14400
    assert Policy.from_json(policy.as_json() | {"of_a_newer_version": 1}) == policy
