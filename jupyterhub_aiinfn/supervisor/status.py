"""`aiinfn status`: what runs on one state folder, whether it answers, what this machine enforces."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyterhub_aiinfn.api.workloads import Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.local.agreement import Agreements
from jupyterhub_aiinfn.backends.local.state import StateFolder

from .apply import Parts
from .asking import ask
from .known_values import known_values
from .leftovers import local_backend
from .places import find_state
from .record import Record, of_another_user, read_record
from .steps import enforcement_lines
from .unused import unused_installation

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.local.enforcement import Enforcement

RUNNING, NOT_RUNNING = 0, 3
"""Exit codes; 3 is what init scripts answer for a service that is not running."""


@dataclass(frozen=True)
class HeldByParts:
    """The hashes of the values that each part says it holds, and the one that is agreed."""

    agreed: str
    hub: str
    service: str
    waiting: tuple[str, ...] = ()
    """Paths whose new value waits for a restart."""

    @property
    def agree(self) -> bool:
        """Whether both hold what is agreed."""
        return self.hub == self.service == self.agreed

    def sentences(self) -> list[str]:
        """What there is to know about them."""
        lines = []
        if self.agree:
            lines.append(f"hub and service hold {self.agreed}")
        else:
            said = {"hub": self.hub, "service": self.service}
            words = ", ".join(f"the {part} {f'holds {one}' if one else 'does not say'}" for part, one in said.items())
            lines.append(f"NOT the same everywhere: {self.agreed} is agreed, {words}; it settles within seconds")
        if self.waiting:
            lines.append(f"waiting for a restart of the platform: {', '.join(self.waiting)}")
        return lines


async def held_values(folder: StateFolder) -> HeldByParts | None:
    """What each part holds; None before anything was agreed."""
    agreement = Agreements(folder).agreed()
    if agreement is None:
        return None
    said = await Parts.of(folder).held()
    return HeldByParts(agreement.hash, said["hub"], said["service"], agreement.waiting)


@dataclass(frozen=True)
class Status:
    """What `aiinfn status` found; ``parts`` says of proxy, hub and service ``ok`` or what is wrong."""

    running: bool
    state: str
    values: str
    values_held: HeldByParts | None = None
    pid: int | None = None
    url: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    enforcement: list[Enforcement] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 when the platform runs, 3 when it does not."""
        return RUNNING if self.running else NOT_RUNNING

    def as_json(self) -> str:
        """The same as a JSON object."""
        return json.dumps(asdict(self), indent=1)


async def look(state: Path | None, values: Path | None) -> Status:
    """Look at one installation. Raises :class:`AiinfnError`."""
    folder = StateFolder(find_state(state))
    found = read_record(folder)
    known = known_values(values, folder)
    backend = local_backend(unused_installation(folder, known.file), known.values)
    if found is None or not found[0].alive():
        return Status(False, str(folder.root), str(known.file), enforcement=list(backend.enforcement()))
    identity, record = found
    try:
        workloads = [one for one in await backend.workloads() if one.phase is not Phase.ended]
    except PermissionError as error:
        raise of_another_user(error, folder.root) from error
    return Status(
        running=True,
        state=str(folder.root),
        values=str(known.file),
        values_held=await held_values(folder),
        pid=identity.pid,
        url=record.url,
        parts=await answers_of_parts(record),
        sessions=[_row(one) for one in workloads if one.kind is WorkloadKind.session],
        jobs=[_row(one) for one in workloads if one.kind is WorkloadKind.job],
        enforcement=list(backend.enforcement()),
    )


def as_text(status: Status) -> str:
    """The status as people read it."""
    lines = [_line("platform", f"running (process {status.pid})" if status.running else "not running")]
    if status.url:
        lines.append(_line("address", status.url))
    lines += [_line(name, word) for name, word in status.parts.items()]
    lines += [_line("state", status.state), _line("values", status.values)]
    if status.values_held is not None:
        lines += [_line("", sentence) for sentence in status.values_held.sentences()]
    if status.running:
        lines += _workload_lines("sessions", status.sessions) + _workload_lines("jobs", status.jobs)
    first, *rest = enforcement_lines(status.enforcement) or ["nothing"]
    return "\n".join([*lines, _line("limits", first), *(_line("", line) for line in rest)])


async def answers_of_parts(record: Record) -> dict[str, str]:
    """Of proxy, hub and service: ``ok``, or what is wrong."""
    proxy, hub, service = await asyncio.gather(
        ask(f"{record.local_url}/"),
        ask(f"http://127.0.0.1:{record.hub_port}/hub/health"),
        ask(f"http://127.0.0.1:{record.service_port}/services/aiinfn/health"),
    )
    return {
        "proxy": "ok" if proxy[0] else "does not answer",
        "hub": "ok" if hub[0] == 200 else "does not answer",
        "service": _service_word(*service),
    }


def _service_word(status: int, body: bytes) -> str:
    if status != 200:
        return "does not answer"
    try:
        found = json.loads(body)
        wrong = [f"{part}: {found[part]}" for part in ("database", "backend", "hub") if found[part] != "ok"]
    except (ValueError, KeyError, TypeError):
        return "answers with something else than its health"
    return "; ".join(wrong) or "ok"


def _row(workload: Workload) -> dict[str, Any]:
    keys = ("id", "name", "person", "server_name", "profile", "project", "devices", "phase", "started_at")
    return {key: value for key, value in workload.model_dump(mode="json").items() if key in keys}


def _workload_lines(title: str, rows: list[dict[str, Any]]) -> list[str]:
    details = [f"{row['name']} ({row['id']}, {row['phase']}, since {row['started_at'] or '-'})" for row in rows]
    return [_line(title, str(len(rows))), *(_line("", detail) for detail in details)]


def _line(title: str, text: str) -> str:
    return f"{title:<10}{text}"
