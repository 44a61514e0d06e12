"""Prices: what an hour of something costs, from which day on; and the ``accounting`` section."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from .base import Date, Section

MICRO = 1_000_000
"""Millionths in one unit of the currency: money is counted in whole ones."""
MAX_PRICE = 1_000_000
"""More than anything here costs, and small enough that a number of the file says its millionths exactly."""
ALWAYS = date.min
"""The day from which a price holds that was written as a plain number."""


def check_price(value: float) -> float:
    """The price itself; :class:`ValueError` when it is no amount that can be counted in millionths."""
    if not 0 <= value <= MAX_PRICE:  # nor a NaN
        raise ValueError(f"must be a price from 0 to {MAX_PRICE:,}")
    if micro_units(value) != _millionths(value):
        raise ValueError("must have at most 6 decimals, because money is counted in millionths")
    return float(value) or 0.0  # no minus before a zero


def micro_units(price: float) -> int:
    """Millionths of the currency: 0.12 is 120000."""
    return round(_millionths(price))


def _millionths(price: float) -> Decimal:
    """As many as the digits in the file say, not their nearest binary fraction."""
    return Decimal(repr(price)).scaleb(6)


AMOUNT_SCHEMA: JsonSchemaValue = {"type": "number", "minimum": 0, "maximum": MAX_PRICE}
Amount = Annotated[float, AfterValidator(check_price), WithJsonSchema(AMOUNT_SCHEMA)]


class Price(Section):
    """What something costs from one day on."""

    starts: Date = Field(alias="from")
    """First day, in the site's time zone; the price holds until the next one of the list."""
    price: Amount
    """Amount in ``site.currency``, with at most 6 decimals."""


def read_prices(value: Any) -> Any:
    """A plain number is the price of always; lists go on to be checked as such."""
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple):
        raise ValueError("must be a price such as 0.12, or a list such as [{from: 2026-01-01, price: 0.12}]")
    if isinstance(value, int | float):
        return (Price(starts=ALWAYS, price=check_price(value)),)
    return tuple(value)


def write_prices(prices: tuple[Price, ...]) -> float | list[dict[str, Any]]:
    """The shortest that :func:`read_prices` reads back as ``prices``."""
    if len(prices) == 1 and prices[0].starts == ALWAYS:
        return prices[0].price
    return [price.model_dump(mode="json", by_alias=True) for price in prices]


class _NumberOrList:
    """The schema of what people may write: it is wider than the type."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [AMOUNT_SCHEMA, handler(core)]}


Prices = Annotated[tuple[Price, ...], BeforeValidator(read_prices), PlainSerializer(write_prices), _NumberOrList()]
"""A price for always, or a list of prices with the day from which each holds, in the order of the days."""


class Accounting(Section):
    """What cores and memory cost, beside the price of each accelerator."""

    cpu_core_hour: Prices = ()
    """One core for an hour: a price for always, or a list of ``from`` and ``price``."""
    memory_gib_hour: Prices = ()
    """One GiB of memory for an hour: a price for always, or a list of ``from`` and ``price``."""
