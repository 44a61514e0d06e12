"""The devices of this machine: what the catalogue names and what is really there or emulated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jupyterhub_aiinfn.api.availability import DeviceAvailability
from jupyterhub_aiinfn.api.workloads import Phase, Workload
from jupyterhub_aiinfn.values.accelerators import Accelerator

ABSENT = {
    "gpu": "no NVIDIA GPU on this machine",
    "fpga": "no FPGA card on this machine",
    "qpu": "no QPU can be reached from this machine",
}
NVIDIA = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class DeviceCount:
    """How many devices of one accelerator there are."""

    total: int
    emulated: bool = False
    reason: str = ""


def count_devices(accelerators: Mapping[str, Accelerator], nvidia: Path = NVIDIA) -> dict[str, DeviceCount]:
    """Devices by key of the catalogue.

    NVIDIA's driver lists its cards in /proc. When several GPUs of the catalogue are not emulated, the first one has the
    cards: one card never counts twice. FPGA cards and QPUs are not reached from one machine yet.
    """
    cards = len(list(nvidia.iterdir())) if nvidia.is_dir() else 0
    counts = {}
    for key, accelerator in accelerators.items():
        if accelerator.emulated:
            counts[key] = DeviceCount(accelerator.emulated, emulated=True)
        elif accelerator.type == "gpu" and cards:
            counts[key], cards = DeviceCount(cards), 0
        else:
            counts[key] = DeviceCount(0, reason=ABSENT[accelerator.type])
    return counts


def held(workloads: Iterable[Workload], accelerator: str) -> dict[str, Workload]:
    """Who holds which device of an accelerator now."""
    live = [
        workload for workload in workloads if workload.phase is not Phase.ended and workload.accelerator == accelerator
    ]
    return {device: workload for workload in live for device in workload.devices}


def free_devices(count: DeviceCount, workloads: Iterable[Workload], accelerator: str) -> list[str]:
    """Devices of an accelerator that nobody holds, such as ``rtx5000/0``."""
    taken = held(workloads, accelerator)
    return [device for number in range(count.total) if (device := f"{accelerator}/{number}") not in taken]


def describe(accelerator: str, count: DeviceCount, workloads: Iterable[Workload]) -> DeviceAvailability:
    """What is free of one accelerator."""
    holders = held(workloads, accelerator)
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


def device_files(devices: Iterable[str], count: DeviceCount) -> list[str]:
    """Files of /dev that the holder of ``devices`` of a real GPU needs."""
    if count.emulated:
        return []
    numbers = [device.rpartition("/")[2] for device in devices]
    common = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
    return [*(f"/dev/nvidia{number}" for number in numbers), *common] if numbers else []
