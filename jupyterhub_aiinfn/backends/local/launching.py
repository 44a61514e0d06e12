"""Start a runner that belongs to nobody: hub and service may end, and leave no zombie behind."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.errors import BackendError

PACKAGES = Path(__file__).resolve().parents[3]
"""The folder in which this package lies; the runner starts without site packages (-I -S), which saves half its time."""
PROGRAM = "import sys; sys.path.append(sys.argv.pop(1)); from {module} import main; main(sys.argv[1])".format(
    module=f"{__package__}.runner"
)


@dataclass(frozen=True)
class Plan:
    """What a runner must know. It holds secrets: it travels through a pipe and is never written anywhere."""

    command: Sequence[str]
    environment: Mapping[str, str]
    grace_seconds: float
    max_seconds: int | None = None
    supervisor: Mapping[str, int | str] | None = None
    files: Mapping[int, bytes] = field(default_factory=dict)
    """Descriptors that bubblewrap reads, with their contents."""
    cgroups: Sequence[Mapping[str, Any]] = ()
    memory_events: str | None = None
    """The cgroup's file that counts kills for want of memory."""
    memory_sentence: str = ""
    own_abstract_sockets: bool = False
    """Whether abstract sockets of others must be out of reach."""

    def as_json(self) -> bytes:
        """What the runner reads from stdin."""
        files = {str(number): base64.b64encode(content).decode() for number, content in self.files.items()}
        return json.dumps({**asdict(self), "files": files}).encode()


def launch(folder: Path, plan: Plan) -> None:
    """Start the runner of ``folder`` and return once the program may run; :class:`BackendError` says why it does not.

    Blocking (about 50 ms): call it in a thread.
    """
    started = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM, str(PACKAGES), str(folder)],
        input=plan.as_json(),
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    lines = started.stdout.splitlines()
    answer = json.loads(lines[-1]) if lines else {"error": last_line(started.stderr) or "its runner said nothing"}
    if "error" in answer:
        raise BackendError(f"the workload could not be started: {answer['error']}")


def last_line(output: bytes) -> str:
    """The last line of what a program wrote, for a sentence."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
