"""One run of a cell as the server keeps it, in memory and as a file that outlives the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jupyterhub_aiinfn.model.merging import Output, Run
from jupyterhub_aiinfn.model.outputs import Recorded

ENDED_EARLY = "[The session or its kernel ended while this cell was running.]\n"


class Phase(StrEnum):
    """How far a run is."""

    running = "running"
    """Asked for, and perhaps still waiting for others."""
    done = "done"
    interrupted = "interrupted"
    """The kernel ended before the cell did."""


@dataclass(frozen=True)
class Request:
    """A tab asks for the run of a cell."""

    message_id: str
    cell_id: str
    source: str


@dataclass
class Kept:
    """A run, whose it is, and where its outputs went."""

    request: Request
    kernel: str
    tab: str
    """The session id of the kernel connection of the tab that has, or should have, the outputs in its document."""
    path: str = ""
    """Of the notebook, as Jupyter names it; empty while it is not known."""
    real_path: str = ""
    """Where that led when the cell was run."""
    seen: str = ""
    """What the file was then: number, size and time of change."""
    phase: Phase = Phase.running
    recorded: Recorded = field(default_factory=Recorded)
    loaded: tuple[Output, ...] | None = None
    """Of an earlier server: the outputs, complete."""
    ended: float | None = None
    """When, by the loop's clock."""
    orphan_since: float | None = None
    """Since when the tab is away, by the loop's clock."""
    asked: float = 0.0
    """When it was asked for, by the loop's clock."""
    owed: bool = False
    """Whether the tab was away and has not said yet that it has the outputs."""
    told: bool = False
    """Whether other tabs were told that there are outputs to fetch."""
    merged: tuple[str, str] | None = None
    """The notebook's hash before and after these outputs were written into it."""
    spooled: tuple[object, ...] = ()

    def outputs(self) -> list[Output]:
        """The outputs so far; of a run that was cut short, with a line that says so."""
        found = list(self.loaded if self.loaded is not None else self.recorded.outputs())
        if self.phase is Phase.interrupted:
            found.append({"output_type": "stream", "name": "stderr", "text": ENDED_EARLY})
        return found

    def as_run(self, saved_since: bool) -> Run:
        """What the decision about merging needs."""
        return Run(
            cell_id=self.request.cell_id,
            source=self.request.source,
            outputs=tuple(self.outputs()),
            execution_count=self.recorded.execution_count,
            rewritten=self.recorded.rewritten,
            saved_since=saved_since,
        )

    def for_tab(self, known: Mapping[str, int]) -> dict[str, Any]:
        """What a tab needs to show it; without the outputs where it has this version (or any, which is -1)."""
        had = known.get(self.request.message_id)
        return {
            "id": self.request.message_id,
            "cell": self.request.cell_id,
            "source": self.request.source,
            "running": self.phase is Phase.running,
            "version": self.recorded.version,
            "execution_count": self.recorded.execution_count,
            "outputs": None if had in (-1, self.recorded.version) else self.outputs(),
        }

    def as_json(self) -> dict[str, Any]:
        """For the file; a run that goes on is read as one that was cut short."""
        outputs = list(self.loaded if self.loaded is not None else self.recorded.outputs())
        return {
            "message": self.request.message_id,
            "cell": self.request.cell_id,
            "source": self.request.source,
            "kernel": self.kernel,
            "path": self.path,
            "real_path": self.real_path,
            "seen": self.seen,
            "done": self.phase is Phase.done,
            "execution_count": self.recorded.execution_count,
            "rewritten": self.recorded.rewritten,
            "outputs": outputs,
            "merged": self.merged,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Kept:
        """Read again; KeyError, TypeError or ValueError for anything else than :meth:`as_json` wrote."""
        request = Request(*(_text(data[name]) for name in ("message", "cell", "source")))
        count = data["execution_count"]
        recorded = Recorded(
            execution_count=count if isinstance(count, int) else None, rewritten=bool(data["rewritten"])
        )
        merged = data["merged"]
        return cls(
            request=request,
            kernel=_text(data["kernel"]),
            tab="",
            path=_text(data["path"]),
            real_path=_text(data["real_path"]),
            seen=_text(data["seen"]),
            phase=Phase.done if data["done"] else Phase.interrupted,
            recorded=recorded,
            loaded=tuple(dict(output) for output in data["outputs"]),
            ended=0.0,
            orphan_since=0.0,
            merged=(_text(merged[0]), _text(merged[1])) if merged else None,
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {type(value).__name__}")
    return value
