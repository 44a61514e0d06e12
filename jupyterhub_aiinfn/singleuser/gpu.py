"""Graphics cards of this session, through NVML where the package ``nvidia-ml-py`` and a driver are there."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from jupyterhub_aiinfn.api.lab import GpuUse


class Cards:
    """The session's cards; nothing is loaded for a session that holds no real device."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """``variables`` say whether there is a real device, and which ones (``CUDA_VISIBLE_DEVICES``)."""
        holds = bool(variables.get("AIINFN_ACCELERATOR")) and variables.get("AIINFN_EMULATED") != "1"
        self._visible = variables.get("CUDA_VISIBLE_DEVICES")
        self._nvml = load() if holds else None

    def use(self) -> tuple[GpuUse, ...]:
        """What each card of the session does now; empty when the driver does not answer."""
        if self._nvml is None:
            return ()
        try:
            handles = [self._nvml.nvmlDeviceGetHandleByIndex(i) for i in range(self._nvml.nvmlDeviceGetCount())]
            named = [(one, text(self._nvml.nvmlDeviceGetUUID(one))) for one in handles]
            found = [one for index, (one, uuid) in enumerate(named) if is_visible(self._visible, index, uuid)]
            return tuple(self._read(one) for one in found)
        except self._nvml.NVMLError:
            return ()

    def _read(self, handle: Any) -> GpuUse:
        assert self._nvml is not None
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return GpuUse(
            name=text(self._nvml.nvmlDeviceGetName(handle)),
            busy_percent=self._busy(handle),
            memory_used_bytes=int(memory.used),
            memory_total_bytes=int(memory.total),
        )

    def _busy(self, handle: Any) -> int | None:
        assert self._nvml is not None
        try:
            return int(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        except self._nvml.NVMLError:  # slices of a card (MIG) do not say it
            return None


def load() -> Any:
    """NVML, ready; None where the package or the driver is absent."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


def is_visible(visible: str | None, index: int, uuid: str) -> bool:
    """Whether a card is the session's, by ``CUDA_VISIBLE_DEVICES`` (numbers or beginnings of UUIDs; None: all)."""
    if visible is None:
        return True
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return any(name == str(index) or (len(name) > 4 and uuid.startswith(name)) for name in names)


def text(name: str | bytes) -> str:
    """NVML answers bytes or text, by its version."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name
