"""What an hour costs, as tables of cases: whole millionths, on the right day, whatever the values still have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.model.pricing import Holding, cost_per_hour, is_in_catalogue, money, price_at, site_day
from jupyterhub_aiinfn.values import Values, parse_values
from jupyterhub_aiinfn.values.prices import Price

TEXT = """
version: 1
site: {name: Site, timezone: ZONE}
accelerators:
  t4: {type: gpu, name: T4, price_per_hour: [{from: 2026-01-01, price: 0.12}, {from: 2026-07-01, price: 0.1}]}
  old: {type: gpu, name: Old}
images: {python: {name: Python, folder: images/python}}
profiles: {cpu: {name: CPU, image: python, sizes: {s: {cores: 1, memory_gib: 1}}, max: 1h}}
accounting: {cpu_core_hour: 0.01, memory_gib_hour: [{from: 2026-03-01, price: 0.002}]}
"""
JANUARY, MARCH, JULY = date(2026, 1, 1), date(2026, 3, 1), date(2026, 7, 1)
BEFORE = timedelta(days=1)


def values(zone: str = "Europe/Rome", text: str = TEXT) -> Values:
    return parse_values(text.replace("ZONE", zone), "test")


@pytest.mark.parametrize(
    ("prices", "day", "micro"),
    [
        ([], JANUARY, 0),
        ([(JANUARY, 0.12)], JANUARY - BEFORE, 0),
        ([(JANUARY, 0.12)], JANUARY, 120_000),
        ([(JANUARY, 0.12)], date.max, 120_000),
        ([(JANUARY, 0.12), (JULY, 0.1)], JULY - BEFORE, 120_000),
        ([(JANUARY, 0.12), (JULY, 0.1)], JULY, 100_000),
        ([(JANUARY, 0.12), (MARCH, 0), (JULY, 0.1)], MARCH, 0),
        ([(JANUARY, 0.12), (MARCH, 0), (JULY, 0.1)], JULY, 100_000),
        ([(date.min, 0.000001)], date.min, 1),
        ([(date.min, 1_000_000)], JANUARY, 10**12),
        # 0.29 * 10**6 is 289999.99999999994 in binary fractions
        ([(date.min, 0.29)], JANUARY, 290_000),
    ],
)
def test_the_price_of_a_day(prices: list[tuple[date, float]], day: date, micro: int) -> None:
    assert price_at([Price(starts=starts, price=float(price)) for starts, price in prices], day) == micro


@pytest.mark.parametrize(
    ("held", "day", "micro"),
    [
        (Holding(1, 1), JANUARY - BEFORE, 10_000),  # a plain number is the price of always
        (Holding(2, 8), JANUARY, 20_000),
        (Holding(2, 8), MARCH, 20_000 + 16_000),
        (Holding(2, 8, "t4", 1), JANUARY - BEFORE, 20_000),
        (Holding(2, 8, "t4", 2), JANUARY, 20_000 + 240_000),
        (Holding(2, 8, "t4", 2), JULY, 20_000 + 16_000 + 200_000),
        (Holding(2, 8, "old", 2), JULY, 36_000),
        (Holding(2, 8, "removed", 2), JULY, 36_000),
        (Holding(0.1, 0.5), JULY, 1_000 + 1_000),
        (Holding(0.0001, 0.0001), JULY, 1),  # 1.2 millionths
    ],
)
def test_the_cost_of_an_hour(held: Holding, day: date, micro: int) -> None:
    assert cost_per_hour(values(), held, day) == micro


def test_nothing_is_priced_without_prices() -> None:
    bare = TEXT.partition("accounting:")[0]
    assert cost_per_hour(values(text=bare), Holding(4096, 65536, "old", 8), JULY) == 0


def test_what_is_no_longer_in_the_catalogue_is_told() -> None:
    told = [is_in_catalogue(values(), Holding(1, 1, key, 1)) for key in (None, "t4", "removed")]
    assert told == [True, True, False]


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("Europe/Rome", datetime(2026, 6, 30, 21, 59, 59, tzinfo=UTC), date(2026, 6, 30)),
        ("Europe/Rome", datetime(2026, 6, 30, 22, 0, tzinfo=UTC), JULY),
        ("Europe/Rome", datetime(2025, 12, 31, 22, 59, 59, tzinfo=UTC), JANUARY - BEFORE),
        ("Europe/Rome", datetime(2025, 12, 31, 23, 0, tzinfo=UTC), JANUARY),
        ("America/New_York", datetime(2026, 7, 1, 3, 0, tzinfo=UTC), date(2026, 6, 30)),
        ("UTC", datetime(2026, 7, 1, 0, 0, tzinfo=UTC), JULY),
    ],
)
def test_the_day_begins_at_midnight_of_the_site(zone: str, moment: datetime, day: date) -> None:
    assert site_day(values(zone), moment) == day


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0.00 EUR"),
        (120_000, "0.12 EUR"),
        (1_500_000, "1.50 EUR"),
        (125_000, "0.125 EUR"),
        (1, "0.000001 EUR"),
        (1_000_000_000_000, "1000000.00 EUR"),
        (-2_500_000, "-2.50 EUR"),
    ],
)
def test_money_is_written_without_losing_a_millionth(micro: int, text: str) -> None:
    assert money(micro, "EUR") == text


@given(st.integers(1, 4096), st.integers(1, 65536), st.integers(0, 8))
def test_costs_add_up_exactly_for_whole_figures(cores: int, memory: int, count: int) -> None:
    found = cost_per_hour(values(), Holding(cores, memory, "t4", count), JULY)
    assert found == (cores * Fraction("0.01") + memory * Fraction("0.002") + count * Fraction("0.1")) * 10**6
