"""The pure parts of the benchmarks on a cluster: ratios of pairs, turns, and what the API server's record says."""

from __future__ import annotations

import json

import pytest

from bench.availability_age import count_requests
from bench.figures import paired, percentile
from bench.sessions_48 import p99_bucket
from bench.sessions_1000 import people, turns


def test_the_ratio_is_that_of_pairs_and_not_of_medians() -> None:
    found = paired("spawn", [1, 10, 3], [1, 5, 6])
    assert (found.value, found.baseline, found.ratio) == (3, 5, 1)


def test_pairs_that_do_not_match_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired("spawn", [1, 2], [1])


@pytest.mark.parametrize(("share", "value"), [(0.5, 10), (0.95, 19), (1, 20), (0, 1)])
def test_percentiles_are_values_that_were_measured(share: float, value: int) -> None:
    assert percentile(list(range(20, 0, -1)), share) == value


def test_turns_hold_everybody_once_and_in_order() -> None:
    found = turns(people(25), 10)
    assert [len(some) for some in found] == [10, 10, 5]
    assert [name for some in found for name in some] == people(25)


def test_of_the_loop_only_what_was_between_the_two_looks_counts() -> None:
    before = {0.01: 100.0, 0.1: 100.0, float("inf"): 200.0}
    after = {0.01: 150.0, 0.1: 199.0, float("inf"): 299.0}
    assert p99_bucket(before, after) == 0.1


def line(account: str, agent: str, stage: str = "ResponseComplete") -> str:
    user = {"username": f"system:serviceaccount:{account}"}
    return json.dumps({"stage": stage, "user": user, "userAgent": agent})


def test_requests_are_counted_by_account_and_program() -> None:
    found = count_requests(
        [
            line("farm:hub", "OpenAPI-Generator/33.3.0/python"),
            line("farm:hub", "OpenAPI-Generator/33.3.0/python more"),
            line("farm:service", "aiinfn"),
            line("farm:hub", "aiinfn", stage="ResponseStarted"),
            line("farm-2:hub", "aiinfn"),
            '{"half": ',
            json.dumps({"stage": "ResponseComplete", "user": {"username": "admin"}}),
        ],
        "farm",
    )
    assert found == {"hub (OpenAPI-Generator/33.3.0/python)": 2, "service (aiinfn)": 1}
