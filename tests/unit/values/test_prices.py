"""Prices in the values file: how they are written, what is refused, and that they come back as they were."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import Problem, ValuesError
from jupyterhub_aiinfn.values import Values, parse_values, values_hash
from jupyterhub_aiinfn.values.load import plain_values
from jupyterhub_aiinfn.values.prices import ALWAYS, micro_units
from jupyterhub_aiinfn.values.writing import values_to_yaml

from .test_check import GOOD, changed

T4, CORE = "accelerators.t4.price_per_hour", "accounting.cpu_core_hour"
FORM = "must be a price such as 0.12, or a list such as [{from: 2026-01-01, price: 0.12}]"
RANGE, DECIMALS = "must be a price from 0 to 1,000,000", "must have at most 6 decimals"
AFTER = "must be after the day of the price before it"


def priced(where: str, prices: Any) -> Values:
    return parse_values(json.dumps(changed(where.replace(".", "/"), prices)), "x")


def dated(*prices: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"from": day, "price": price} for day, price in prices]


def test_nothing_has_a_price_by_itself_and_the_currency_is_the_euro() -> None:
    values = parse_values(json.dumps(GOOD), "x")
    assert (values.accelerators["t4"].price_per_hour, values.accounting.cpu_core_hour) == ((), ())
    assert values.site.currency == "EUR"


def test_a_list_and_a_plain_number_are_read_and_written_alike() -> None:
    prices = priced(T4, dated(("2026-01-01", 0.12), ("2026-07-01", 0))).accelerators["t4"].price_per_hour
    assert [(one.starts, one.price) for one in prices] == [(date(2026, 1, 1), 0.12), (date(2026, 7, 1), 0.0)]
    always = priced(CORE, 1)
    assert [(one.starts, one.price) for one in always.accounting.cpu_core_hour] == [(ALWAYS, 1.0)]
    assert plain_values(always)["accounting"] == {"cpu_core_hour": 1.0, "memory_gib_hour": []}


@pytest.mark.parametrize("where", [T4, CORE])
@pytest.mark.parametrize(
    ("prices", "below", "rule"),
    [
        ("0.12", "", FORM),
        (None, "", FORM),
        (True, "", FORM),
        ({"from": "2026-01-01", "price": 1}, "", FORM),
        (-0.01, "", RANGE),
        (1_000_000.5, "", RANGE),
        (10**17, "", RANGE),
        (float("nan"), "", RANGE),
        (float("inf"), "", RANGE),
        (0.0000001, "", DECIMALS),
        (0.1234567, "", DECIMALS),
        ([0.12], "[0]", "must be a map of keys and values"),
        ([{"price": 1}], "[0].from", "is missing"),
        ([{"from": "2026-01-01"}], "[0].price", "is missing"),
        ([{"from": "2026-01-01", "price": 1, "currency": "CHF"}], "[0].currency", "is not a known key"),
        (dated(("2026-02-30", 1)), "[0].from", "must be a date such as"),
        (dated(("2026-01-01", "1")), "[0].price", "must be a number"),
        (dated(("2026-01-01", True)), "[0].price", "must be a number"),
        (dated(("2026-01-01", -1)), "[0].price", RANGE),
        (dated(("2026-01-01", 1e-7)), "[0].price", DECIMALS),
        (dated(("2026-01-01", float("inf"))), "[0].price", RANGE),
        (dated(("2026-07-01", 1), ("2026-01-01", 2)), "[1].from", f"{AFTER}, 2026-07"),
        (dated(("2026-01-01", 1), ("2026-01-01", 1)), "[1].from", f"{AFTER}, 2026-01"),
    ],
)  # fmt: skip
def test_what_is_no_price_is_refused_where_it_stands(where: str, prices: Any, below: str, rule: str) -> None:
    found = problems(changed(where.replace(".", "/"), prices))
    assert [one.path for one in found] == [where + below]
    assert rule in found[0].rule


@pytest.mark.parametrize("currency", ["eur", "EURO", "€", "", "EU", "EUR\n", "<b>", 978])
def test_a_currency_is_three_capital_letters(currency: object) -> None:
    assert [one.path for one in problems(changed("site/currency", currency))] == ["site.currency"]


def problems(data: Any) -> list[Problem]:
    with pytest.raises(ValuesError) as caught:
        parse_values(yaml.safe_dump(data, sort_keys=False), "x")
    return list(caught.value.problems)


MICRO = st.integers(0, 10**12)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.dates(date(1000, 1, 1)), MICRO, max_size=5), MICRO)
def test_every_price_comes_back_to_the_millionth(days: dict[date, int], always: int) -> None:
    data = changed("accounting", {"cpu_core_hour": float(Decimal(always).scaleb(-6))})
    listed = [(str(day), float(Decimal(micro).scaleb(-6))) for day, micro in sorted(days.items())]
    data["accelerators"]["t4"]["price_per_hour"] = dated(*listed)
    first = parse_values(json.dumps(data), "x")
    again = parse_values(values_to_yaml(first), "again")
    assert values_hash(again) == values_hash(first)
    prices = again.accelerators["t4"].price_per_hour
    assert {one.starts: micro_units(one.price) for one in prices} == days
    assert [micro_units(one.price) for one in again.accounting.cpu_core_hour] == [always]
