"""``idle``, ``warn``, ``extend`` and ``keep`` of a profile, and rates."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml

from jupyterhub_aiinfn.errors import ValuesError
from jupyterhub_aiinfn.singleuser.stopping import KEEPING, LONGEST
from jupyterhub_aiinfn.values import parse_values
from jupyterhub_aiinfn.values.base import format_rate, parse_rate
from jupyterhub_aiinfn.values.profiles import Profile
from jupyterhub_aiinfn.values.writing import values_to_yaml


def text(**profile: object) -> str:
    given = {"name": "P", "image": "p", "sizes": {"s": {"cores": 1, "memory_gib": 1}}, "max": "1h"} | profile
    site = {"version": 1, "site": {"name": "S"}, "images": {"p": {"name": "P", "folder": "images/python"}}}
    return yaml.safe_dump(site | {"profiles": {"p": given}})


def profile(**given: object) -> Profile:
    return parse_values(text(**given), "test").profiles["p"]


@pytest.mark.parametrize(
    ("written", "rate"),
    [("0 B/s", 0), ("500 B/s", 500), ("20 KiB/s", 20480), ("20KiB/s", 20480), ("2 MiB/s", 2**21), ("1 GiB/s", 2**30)],
)
def test_rates_are_read(written: str, rate: int) -> None:
    assert parse_rate(written) == rate
    assert parse_rate(format_rate(rate)) == rate


@pytest.mark.parametrize(
    "written",
    [
        "20",
        20.5,
        True,
        -1,
        "20 KB/s",
        "20 KiB",
        "-1 B/s",
        "1e3 B/s",
        "1234567 B/s",
        "٢ B/s",
        "2  B/s",
        "",
        None,
        [],
        "9" * 99,
    ],
)
def test_other_things_are_no_rates(written: object) -> None:
    with pytest.raises(ValueError, match="must be a rate such as 20 KiB/s"):
        parse_rate(written)


def test_the_defaults() -> None:
    plain = profile()
    assert (plain.idle, plain.extend, plain.keep, plain.warn) == (None, None, None, timedelta(minutes=15))
    idle = profile(idle={"after": "2h"}).idle
    assert idle is not None
    assert (idle.cpu_below, idle.network_below) == (0.05, 20480)
    extend = profile(extend={"by": "4h"}).extend
    assert extend is not None
    assert extend.times == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"idle": {"after": "59s"}}, "profiles.p.idle.after (line 8): must be between 1m and 3650d"),
        ({"idle": {}}, "profiles.p.idle.after"),
        ({"idle": {"after": "2h", "cpu_below": -1}}, "must be at least 0"),
        ({"idle": {"after": "2h", "network_below": 20}}, "must be a rate such as 20 KiB/s"),
        ({"idle": {"after": "2h", "network_below": "fast"}}, "must be a rate such as 20 KiB/s"),
        ({"idle": {"after": "2h", "cpu_blow": 1}}, 'did you mean "cpu_below"?'),
        ({"idle": "2h"}, "must be a map"),
        ({"extend": {"by": "4h", "times": 0}}, "must be at least 1"),
        ({"extend": {"times": 2}}, "profiles.p.extend.by"),
        ({"keep": "30s"}, "must be between 1m and 3650d"),
        ({"warn": "2d"}, "must be between 0s and 1d"),
        ({"idel": {"after": "2h"}}, 'did you mean "idle"?'),
    ],
)
def test_mistakes_are_said_with_path_and_remedy(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValuesError) as wrong:
        profile(**given)
    assert said in str(wrong.value)


def test_what_is_shown_reads_back() -> None:
    given = {"idle": {"after": "2h", "network_below": "3 MiB/s"}, "extend": {"by": "90m", "times": 3}, "keep": "8h"}
    values = parse_values(text(**given), "test")
    assert "network_below: 3 MiB/s" in values_to_yaml(values)
    assert parse_values(values_to_yaml(values), "again") == values


@pytest.mark.parametrize(("grace", "fits"), [("0s", False), ("3s", False), ("4s", True), ("5m", True), ("6m", False)])
def test_the_grace_of_a_stop_is_long_enough_to_save(grace: str, fits: bool) -> None:
    written = text() + yaml.safe_dump({"limits": {"stop_grace": grace}})
    if fits:
        assert parse_values(written, "test").limits.stop_grace >= timedelta(seconds=LONGEST + KEEPING)
    else:
        with pytest.raises(ValuesError, match=r"limits\.stop_grace"):
            parse_values(written, "test")
