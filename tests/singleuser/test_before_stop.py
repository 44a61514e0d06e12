"""The person's own program before the end: run, told why and for how long, and no delay beyond that."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyterhub_aiinfn.singleuser.before_stop import LARGEST_FILE, SECONDS, BeforeStop, reason

from .conftest import JupyterServer, of_session, running
from .platform_service import SmallService
from .tabs import until

pytestmark = pytest.mark.slow


def write_hook(home: Path, text: str, mode: int = 0o755) -> None:
    file = home / ".config" / "aiinfn" / "before-stop"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(mode)


def run_hook(home: Path) -> float | None:
    """How long it took; None when nothing was run."""

    async def run() -> bool:
        hook = BeforeStop.start({"HOME": str(home), "PATH": os.environ["PATH"]}, logging.getLogger())
        if hook is not None:
            await hook.ended()
        return hook is not None

    begun = time.monotonic()
    return time.monotonic() - begun if asyncio.run(run()) else None


def log(home: Path) -> str:
    return (home / ".local/state/aiinfn/before-stop.log").read_text()


@pytest.mark.slow
def test_it_is_told_of_an_end_that_the_service_has_moved(service: SmallService, tmp_path: Path) -> None:
    """The session was started with an end far away; a report brings that it is over now."""
    write_hook(tmp_path, "#!/bin/sh\necho $AIINFN_STOP_REASON $AIINFN_ENDS_AT\n")
    far, over = (datetime.now(UTC) + timedelta(hours=by) for by in (5, -1))
    service.says(ends_at=over.isoformat())
    with running(tmp_path, of_session(service.url) | {"AIINFN_ENDS_AT": far.isoformat()}) as server:
        until(lambda: server.session().json()["limits"])
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
    assert log(tmp_path) == f"max-age {over.isoformat()}\n"


@pytest.mark.slow
def test_a_server_that_ends_runs_it_and_waits(own_server: JupyterServer) -> None:
    script = "#!/bin/sh\necho $AIINFN_STOP_REASON $AIINFN_STOP_SECONDS\nsleep 1\ntouch done\necho to the log >&2\n"
    write_hook(own_server.folder, script)
    own_server.process.send_signal(signal.SIGTERM)
    own_server.process.wait(20)
    assert log(own_server.folder) == "stopped 2.5\nto the log\n"
    assert (own_server.folder / "done").exists(), "it is run in the home"


def test_one_that_forks_ignores_signals_and_fills_the_disk_is_ended_in_time(tmp_path: Path) -> None:
    script = "#!/bin/sh\ntrap '' TERM INT HUP\necho $$ > group\ncat /dev/zero &\nsleep 61 &\n"
    script += "while :; do sleep 61; done\n"
    write_hook(tmp_path, script)
    taken = run_hook(tmp_path)
    assert taken is not None
    assert SECONDS <= taken < SECONDS + 3
    assert (tmp_path / ".local/state/aiinfn/before-stop.log").stat().st_size <= LARGEST_FILE
    group = int((tmp_path / "group").read_text())
    deadline = time.monotonic() + 10
    while alive(group):
        assert time.monotonic() < deadline, "its children are left"
        time.sleep(0.05)


def alive(group: int) -> bool:
    """Whether a process of the group runs; dead ones that wait for their parent do not."""
    for folder in Path("/proc").iterdir():
        try:
            state, _, number = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(number) == group and state != "Z":
            return True
    return False


@pytest.mark.parametrize(
    ("text", "mode"),
    [("#!/bin/sh\ntouch done\n", 0o644), ("no program", 0o755), ("#!/no/interpreter\n", 0o755), ("", 0o755)],
)
def test_what_is_no_program_is_passed_over(tmp_path: Path, text: str, mode: int) -> None:
    write_hook(tmp_path, text, mode)
    assert run_hook(tmp_path) is None
    assert not (tmp_path / "done").exists()


def test_a_folder_or_nothing_of_that_name_is_passed_over(tmp_path: Path) -> None:
    assert run_hook(tmp_path) is None
    (tmp_path / ".config" / "aiinfn" / "before-stop").mkdir(parents=True)
    assert run_hook(tmp_path) is None


def test_a_log_that_cannot_be_written_is_no_reason_not_to_run(tmp_path: Path) -> None:
    write_hook(tmp_path, "#!/bin/sh\necho x\ntouch done\n")
    (tmp_path / ".local").write_text("not a folder")
    assert run_hook(tmp_path) is not None
    assert (tmp_path / "done").exists()


def test_its_log_is_made_anew_each_time(tmp_path: Path) -> None:
    write_hook(tmp_path, "#!/bin/sh\necho once\n")
    run_hook(tmp_path)
    run_hook(tmp_path)
    assert log(tmp_path) == "once\n"


@pytest.mark.parametrize(
    ("ends_at", "expected"),
    [
        ("", "stopped"),
        ("nonsense", "stopped"),
        ("2020-01-01T00:00:00", "stopped"),  # without an offset nobody knows when that is
        ("2020-01-01T00:00:00+00:00", "max-age"),
        pytest.param((datetime.now(UTC) + timedelta(hours=1)).isoformat(), "stopped", id="in-an-hour"),
    ],
)
def test_the_reason(ends_at: str, expected: str) -> None:
    assert reason({"AIINFN_ENDS_AT": ends_at}) == expected
