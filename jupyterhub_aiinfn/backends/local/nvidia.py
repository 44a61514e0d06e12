"""NVIDIA's cards of this machine as the driver lists them in /proc, and how a program is shown some of them only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GPUS = Path("/proc/driver/nvidia/gpus")
PRODUCT = "nvidia.com/gpu.product"
"""Label of a node that names the model of its cards; NVIDIA's feature discovery writes it with hyphens for blanks."""
COMMON_FILES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
UUID = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LONGEST_INFORMATION = 64 * 1024


@dataclass(frozen=True)
class Card:
    """One graphics card. ``minor`` names its file in /dev and has nothing to do with CUDA's numbers."""

    minor: int
    model: str
    uuid: str = ""
    """Empty where the driver shows it to root only."""

    def is_model(self, product: str) -> bool:
        """Whether a node's label ``nvidia.com/gpu.product`` of this value means the card."""
        return words_of(self.model) == words_of(product)


def words_of(name: str) -> list[str]:
    """``NVIDIA A100 80GB PCIe`` and ``NVIDIA-A100-80GB-PCIe`` are the same model."""
    return re.findall(r"[a-z0-9.]+", name.lower())


def read_cards(gpus: Path = GPUS) -> list[Card]:
    """The usable cards, in the order of their places on the bus.

    A card that the driver excludes, or whose file in /dev is not known, cannot be handed out and is left out.
    """
    try:
        places = sorted(gpus.iterdir())
    except OSError:
        return []
    return [card for place in places if (card := _read_card(place / "information")) is not None]


def _read_card(information: Path) -> Card | None:
    try:
        with information.open("rb") as file:
            text = file.read(LONGEST_INFORMATION).decode(errors="replace")
    except OSError:
        return None
    pairs = (line.partition(":") for line in text.splitlines())
    said = {name.strip(): value.strip() for name, _, value in pairs}
    minor, uuid = said.get("Device Minor", ""), said.get("GPU UUID", "").replace("gpu-", "GPU-")
    if not re.fullmatch(r"[0-9]{1,4}", minor) or said.get("GPU Excluded", "No") != "No":
        return None
    return Card(int(minor), said.get("Model", ""), uuid if UUID.fullmatch(uuid) else "")


def device_files(cards: Sequence[Card]) -> list[str]:
    """Files of /dev that the holder of the cards needs; none without a card."""
    return [*(f"/dev/nvidia{card.minor}" for card in cards), *COMMON_FILES] if cards else []


def visibility(cards: Sequence[Card]) -> dict[str, str]:
    """The variables that make CUDA and NVIDIA's container tools see exactly these cards, or none.

    They only spare programs a wrong guess: what keeps cards apart is that the sandbox has no file of the others. Cards
    whose UUID is hidden are numbered from 0, because CUDA counts only those that it can open. Without a card the
    value is ``-1`` and not empty: scripts take an empty variable for one that is not set.
    """
    known = all(card.uuid for card in cards)  # CUDA takes UUIDs or numbers, not both
    names = [card.uuid if known else str(number) for number, card in enumerate(cards)]
    return {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": ",".join(names) or "-1",
        "NVIDIA_VISIBLE_DEVICES": ",".join(names) or "void",
    }
