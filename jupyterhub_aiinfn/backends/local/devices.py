"""The devices of this machine: what the catalogue names and what is really there or emulated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jupyterhub_aiinfn.api.availability import DeviceAvailability
from jupyterhub_aiinfn.api.workloads import Phase, Workload
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values.accelerators import Accelerator

from .nvidia import GPUS, PRODUCT, Card, read_cards

ABSENT = {
    "gpu": "no NVIDIA GPU on this machine",
    "fpga": "no FPGA card on this machine",
    "qpu": "no QPU can be reached from this machine",
}


@dataclass(frozen=True)
class DeviceCount:
    """The devices of one accelerator.

    ``numbers`` tells them apart: of cards it is the number of the file in /dev, which stays when another card fails;
    of emulated devices any. ``cards`` is empty for these.
    """

    numbers: Sequence[int] = ()
    cards: tuple[Card, ...] = ()
    emulated: bool = False
    reason: str = ""

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.numbers)


def count_devices(accelerators: Mapping[str, Accelerator], gpus: Path = GPUS) -> dict[str, DeviceCount]:
    """Devices by key of the catalogue.

    An accelerator whose node selector names a model (``nvidia.com/gpu.product``) has the cards of that model; the
    first GPU without one has all other cards. One card never counts twice. FPGA cards and QPUs are not reached from one
    machine yet.
    """
    left = read_cards(gpus)
    models = ", ".join(sorted({card.model or "unnamed" for card in left}))
    counts = {}
    # those that name a model choose first, wherever they stand
    for key, accelerator in sorted(accelerators.items(), key=lambda item: PRODUCT not in item[1].node_selector):
        if accelerator.emulated:
            counts[key] = DeviceCount(range(accelerator.emulated), emulated=True)
        elif accelerator.type == "gpu" and models:
            mine = _cards_of(accelerator, left)
            left = [card for card in left if card not in mine]
            numbers = tuple(card.minor for card in mine)
            counts[key] = DeviceCount(numbers, mine, reason="" if mine else _no_card(accelerator, models))
        else:
            counts[key] = DeviceCount(reason=ABSENT[accelerator.type])
    return {key: counts[key] for key in accelerators}


def _cards_of(accelerator: Accelerator, cards: Iterable[Card]) -> tuple[Card, ...]:
    product = accelerator.node_selector.get(PRODUCT)
    return tuple(card for card in cards if product is None or card.is_model(product))


def _no_card(accelerator: Accelerator, models: str) -> str:
    product = accelerator.node_selector.get(PRODUCT)
    if product is None:
        return "every NVIDIA GPU of this machine belongs to another accelerator of the values file"
    return f"no {product} on this machine, only {models}"


def held(count: DeviceCount, workloads: Iterable[Workload], accelerator: str) -> dict[str, Workload]:
    """Who holds which device of an accelerator now.

    A card that was handed out under another key is held too: the values may have renamed its accelerator since.
    """
    live = [workload for workload in workloads if workload.phase is not Phase.ended]
    found = {device: work for work in live if work.accelerator == accelerator for device in work.devices}
    if count.cards:
        real = ((work, device) for work in live if not work.emulated for device in work.devices)
        found = {f"{accelerator}/{device.rpartition('/')[2]}": work for work, device in real} | found
        return {device: found[device] for device in names(count, accelerator) if device in found}
    return found


def names(count: DeviceCount, accelerator: str) -> list[str]:
    """All devices of an accelerator, such as ``rtx5000/0``."""
    return [f"{accelerator}/{number}" for number in count.numbers]


def free_devices(count: DeviceCount, workloads: Iterable[Workload], accelerator: str) -> list[str]:
    """Devices of an accelerator that nobody holds."""
    taken = held(count, workloads, accelerator)
    return [device for device in names(count, accelerator) if device not in taken]


def describe(accelerator: str, count: DeviceCount, workloads: Iterable[Workload]) -> DeviceAvailability:
    """What is free of one accelerator."""
    holders = held(count, workloads, accelerator)
    return DeviceAvailability(
        accelerator=accelerator,
        total=count.total,
        used=len(holders),
        emulated=count.emulated,
        reason=count.reason,
        next_free_at=None if len(holders) < count.total else next_free(holders.values()),
    )


def next_free(holders: Iterable[Workload]) -> datetime | None:
    """When the first of the holders must have ended."""
    return min((workload.ends_at for workload in holders if workload.ends_at is not None), default=None)


def held_cards(devices: Iterable[str], count: DeviceCount) -> list[Card]:
    """The cards behind devices of an accelerator, in the order of the bus; none behind emulated ones.

    Raises :class:`BackendError` when one of them is gone since it was handed out.
    """
    numbers = {int(device.rpartition("/")[2]) for device in devices}
    cards = [card for card in count.cards if card.minor in numbers]
    if not count.emulated and len(cards) < len(numbers):
        raise BackendError("a GPU of this session has just disappeared from the machine; start the session again")
    return cards
