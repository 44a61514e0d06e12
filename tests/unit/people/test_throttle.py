"""How failed logins are slowed, without waiting."""

from __future__ import annotations

import pytest

from jupyterhub_aiinfn.hub.throttle import LONGEST_WAIT, MAX_KEYS, Throttle, Throttled


def many(throttle: Throttle, count: int, name: str = "alice", address: str = "10.0.0.{n}") -> list[float | None]:
    """What each of so many attempts at once has to wait; None: refused."""
    found: list[float | None] = []
    for n in range(count):
        try:
            found.append(throttle.begin(name.format(n=n), address.format(n=n)))
        except Throttled:
            found.append(None)
    return found


def test_guesses_at_one_name_get_their_turn_one_by_one() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    waits = many(throttle, 300)
    turns = [wait for wait in waits if wait is not None]
    assert turns[:5] == [0.0, 0.0, 0.0, 0.5, 1.5]
    assert turns == sorted(turns)
    assert len(turns) < 10
    assert turns[-1] <= LONGEST_WAIT
    now[0] += 60
    assert len([wait for wait in many(throttle, 300) if wait is not None]) <= 3, "twelve a minute"
    now[0] += 3600
    assert throttle.begin("alice", "10.0.0.1") == 0.0


def test_a_class_behind_one_address_logs_in_together() -> None:
    waits = many(Throttle(lambda: 0.0), 60, name="student{n}", address="10.9.9.9")
    assert None not in waits
    assert waits[:40] == [0.0] * 40
    assert 0.0 < max(wait for wait in waits if wait is not None) <= 5.0


def test_who_logged_in_from_here_before_is_not_kept_out_by_others() -> None:
    throttle = Throttle(lambda: 0.0)
    throttle.begin("alice", "at home")
    throttle.succeeded("alice", "at home")
    many(throttle, 300, address="elsewhere {n}")
    with pytest.raises(Throttled):
        throttle.begin("alice", "elsewhere")
    assert throttle.begin("alice", "at home") == 0.0


def test_success_forgives_and_memory_is_bounded() -> None:
    throttle = Throttle(lambda: 0.0)
    many(throttle, 6, address="a")
    throttle.succeeded("alice", "a")
    assert throttle.begin("alice", "a") == 0.0
    for n in range(MAX_KEYS):
        throttle.begin(f"n{n}", f"a{n}")
        throttle.succeeded(f"n{n}", f"a{n}")
    assert len(throttle) <= 2 * MAX_KEYS
