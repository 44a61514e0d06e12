"""What an hour costs, in whole millionths of the site's currency. Pure; moments are aware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.prices import MICRO, Price, micro_units


@dataclass(frozen=True)
class Holding:
    """What is paid for while it is held, whether it is used or not."""

    cores: float
    memory_gib: float
    accelerator: str | None = None
    """Key of ``accelerators``."""
    count: int = 0


def site_day(values: Values, moment: datetime) -> date:
    """The day on which ``moment`` is at the site: days of prices begin and end there."""
    return moment.astimezone(ZoneInfo(values.site.timezone)).date()


def price_at(prices: Sequence[Price], day: date) -> int:
    """The price that holds on ``day``, in millionths; 0 before the first one and without any."""
    begun = [price for price in prices if price.starts <= day]
    return micro_units(begun[-1].price) if begun else 0


def cost_per_hour(values: Values, held: Holding, day: date) -> int:
    """What an hour of all that is held costs at the prices of ``day``, in millionths; halves go to the even one.

    An accelerator that the values do not have costs nothing: see :func:`is_in_catalogue`.
    """
    accelerator = values.accelerators.get(held.accelerator or "")
    cores = _times(held.cores, price_at(values.accounting.cpu_core_hour, day))
    memory = _times(held.memory_gib, price_at(values.accounting.memory_gib_hour, day))
    devices = held.count * price_at(accelerator.price_per_hour, day) if accelerator else 0
    return round(cores + memory + devices)


def is_in_catalogue(values: Values, held: Holding) -> bool:
    """Whether the values know all that is held, so that its cost is the whole cost."""
    return held.accelerator is None or held.accelerator in values.accelerators


def money(micro: int, currency: str) -> str:
    """``0.12 EUR``, ``1.50 EUR``, ``0.000125 EUR``: two decimals, and as many more as there are."""
    whole, rest = divmod(abs(micro), MICRO)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micro < 0 else ''}{whole}.{decimals} {currency}"


def _times(figure: float, price: int) -> Decimal:
    """Of the digits that were asked for, not their nearest binary fraction: 0.1 cores are a tenth."""
    return Decimal(repr(figure)) * price
