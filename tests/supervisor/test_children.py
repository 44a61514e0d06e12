import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.supervisor import children
from jupyterhub_aiinfn.supervisor.children import Child, GivenUp, Program, delay_after, describe
from jupyterhub_aiinfn.supervisor.logs import BoundedLog


def child(folder: Path, code: str, said: list[str] | None = None) -> Child:
    program = Program("thing", [sys.executable, "-c", code], {"PATH": os.environ["PATH"]}, folder)
    return Child(program, BoundedLog(folder / "thing.log"), (said if said is not None else []).append)


async def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


async def wait_for_text(file: Path, text: str) -> None:
    await wait_until(lambda: file.exists() and text in file.read_text())


async def test_output_is_logged_in_a_private_file(tmp_path: Path) -> None:
    one = child(
        tmp_path, "import sys, time; print('to stdout', flush=True); sys.stderr.write('to stderr\\n'); time.sleep(60)"
    )
    one.start()
    await wait_for_text(tmp_path / "thing.log", "to stderr")
    await one.stop(5)
    assert one.log.last_lines(5) == ["to stdout", "to stderr"]
    assert (tmp_path / "thing.log").stat().st_mode & 0o777 == 0o600


async def test_a_process_that_is_killed_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    one = child(tmp_path, "import os, time; print('I am', os.getpid(), flush=True); time.sleep(60)", said)
    running = asyncio.ensure_future(one.keep_running())
    await wait_for_text(tmp_path / "thing.log", "I am")
    first = one.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await wait_until(lambda: one.pid not in (None, first))
    assert said == ["thing ended (killed by SIGKILL); it is started again in 0.5 s"]
    await one.stop(5)
    await running
    assert one.pid is None


async def test_a_process_that_does_not_live_is_given_up_with_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_DELAY", 0.01)
    one = child(tmp_path, "raise SystemExit('the configuration is wrong')")
    with pytest.raises(
        GivenUp, match=r"thing ended 4 times in a row .*\(exit code 1\)(.|\n)*the configuration is wrong"
    ):
        await asyncio.wait_for(one.keep_running(), 20)


async def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    one = Child(Program("thing", ["/nonexistent/program"], {}, tmp_path), BoundedLog(tmp_path / "log"))
    with pytest.raises(GivenUp, match="thing cannot be started: No such file or directory"):
        one.start()


async def test_a_process_that_ignores_the_polite_signal_is_killed_with_its_group(tmp_path: Path) -> None:
    code = """
        import os, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
        grandchild = subprocess.Popen([sys.executable, "-c", code])
        print("grandchild", grandchild.pid, flush=True)
        time.sleep(60)
    """
    one = child(tmp_path, textwrap.dedent(code))
    one.start()
    await wait_for_text(tmp_path / "thing.log", "grandchild")
    grandchild = ProcessIdentity.of(int((tmp_path / "thing.log").read_text().split()[1]))
    assert grandchild is not None
    began = time.monotonic()
    await one.stop(0.3)
    assert time.monotonic() - began < 3
    await wait_until(lambda: not grandchild.alive())


async def test_stopping_during_the_wait_for_a_restart_starts_nothing(tmp_path: Path) -> None:
    one = child(tmp_path, "print('once', flush=True)")
    running = asyncio.ensure_future(one.keep_running())
    await wait_for_text(tmp_path / "thing.log", "once")
    await asyncio.sleep(0.1)
    await one.stop(1)
    await asyncio.wait_for(running, 2)
    assert (tmp_path / "thing.log").read_text() == "once\n"


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = f"""
        import asyncio, os, sys
        from pathlib import Path
        from jupyterhub_aiinfn.supervisor.children import Child, Program
        from jupyterhub_aiinfn.supervisor.logs import BoundedLog
        async def main():
            command = [sys.executable, "-c", "import time; time.sleep(60)"]
            program = Program("thing", command, {{}}, Path({str(tmp_path)!r}))
            one = Child(program, BoundedLog(Path({str(tmp_path / "log")!r})))
            one.start()
            print(one.pid, flush=True)
            await one.keep_running()
        asyncio.run(main())
    """
    supervisor = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    with contextlib.closing(supervisor.stdout) as output:  # type: ignore[type-var]
        identity = ProcessIdentity.of(int(output.readline()))
        assert identity is not None
        supervisor.kill()
        supervisor.wait()
    end = time.monotonic() + 5
    while identity.alive() and time.monotonic() < end:
        time.sleep(0.02)
    assert not identity.alive()


def test_a_log_is_bounded_and_survives_a_missing_folder(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "thing.log", limit=1000)
    for number in range(200):
        log.write(f"line {number:03}\n".encode())
    sizes = sorted(file.stat().st_size for file in tmp_path.iterdir())
    assert len(sizes) == 2
    assert sizes[-1] <= 1000
    assert log.last_lines(2) == ["line 198", "line 199"]
    gone = BoundedLog(tmp_path / "no" / "thing.log")
    gone.write(b"kept in memory\nhalf")
    assert gone.last_lines(2) == ["kept in memory", "half"]


def test_ends_are_described() -> None:
    assert describe(3) == "exit code 3"
    assert describe(-9) == "killed by SIGKILL"
    assert describe(-63) == "killed by signal 63"


async def test_what_sessions_run_on_without_is_never_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LONGEST_DELAY", 0.1)
    monkeypatch.setattr(children, "FIRST_DELAY", 0.1)
    one = child(tmp_path, "raise SystemExit(1)")
    one.patient = True
    running = asyncio.ensure_future(one.keep_running())
    await wait_until(lambda: one.restarts > children.QUICK_DEATHS + 2)
    await one.stop(5)
    await running


async def test_the_way_is_made_before_each_restart(tmp_path: Path) -> None:
    made: list[bool] = []
    one = child(tmp_path, "import time; print('up', flush=True); time.sleep(60)")

    async def make_way() -> None:
        made.append(one.pid is None)

    one.make_way = make_way
    running = asyncio.ensure_future(one.keep_running())
    await wait_for_text(tmp_path / "thing.log", "up")
    assert made == [], "nobody can be in the way at the first start: its ports were found free"
    one.signal(signal.SIGKILL)
    await wait_until(lambda: one.restarts == 1 and one.pid is not None)
    assert made == [True]
    await one.stop(5)
    await running


async def test_a_start_that_the_machine_refuses_for_a_while_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "LONGEST_DELAY", 0.1)
    program, away = tmp_path / "program", tmp_path / "away"
    program.write_text("#!/bin/sh\necho up\nexec sleep 60\n")
    program.chmod(0o755)
    said: list[str] = []
    log = BoundedLog(tmp_path / "thing.log")
    one = Child(Program("thing", [str(program)], {"PATH": os.environ["PATH"]}, tmp_path), log, said.append)
    one.patient = True
    running = asyncio.ensure_future(one.keep_running())
    await wait_for_text(tmp_path / "thing.log", "up")
    first = one.pid
    program.rename(away)
    one.signal(signal.SIGKILL)
    await wait_until(lambda: any("thing cannot be started: No such file" in line for line in said))
    away.rename(program)
    await wait_until(lambda: one.pid not in (None, first))
    await one.stop(5)
    await running


def test_the_delay_grows_to_a_bound_however_often_it_dies() -> None:
    assert [delay_after(deaths) for deaths in (1, 2, 3, 4, 5, 5000)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
