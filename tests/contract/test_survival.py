"""What survives, what does not, and what is known afterwards (the local backend's runners and records)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase
from jupyterhub_aiinfn.backends.local import runner
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.cgroups import Cgroups
from jupyterhub_aiinfn.backends.local.launching import launch
from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.records import Records
from jupyterhub_aiinfn.backends.local.state import StateFolder, read_json
from jupyterhub_aiinfn.backends.local.uids import UIDS, uid_of
from jupyterhub_aiinfn.errors import BackendError

from .conftest import make_values
from .test_verbs import shell, spec, until, until_ended, until_logged, until_processes

HERE = Path(__file__).parents[2]
CGROUPS = ("aiinfn-00000000", "aiinfn-11111111", "aiinfn-22222222", "aiinfn-33333333", "process_api")
"""Our own, a dead one, one that was just made, one in which something runs, and somebody else's."""


def other_process(program: str, state: StateFolder) -> subprocess.Popen[str]:
    """Another process of the platform, with a backend of its own."""
    text = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from tests.contract.conftest import make_values\nfrom tests.contract.test_verbs import shell\n"
        "from jupyterhub_aiinfn.errors import NothingFree\n"
        "from jupyterhub_aiinfn.backends.local.backend import LocalBackend\n"
        "from jupyterhub_aiinfn.backends.local.state import StateFolder\n"
        "backend = LocalBackend(make_values(), StateFolder(Path(sys.argv[1])))\n" + program
    )
    return subprocess.Popen([sys.executable, "-c", text, str(state.root)], cwd=HERE, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    """Kill it as the kernel would."""
    process.kill()
    process.wait()
    process.stdout.close()


def identity(state: StateFolder, workload_id: str, name: str) -> ProcessIdentity:
    found = ProcessIdentity.from_json(read_json(state.workloads / workload_id / "started")[name])
    assert found is not None
    return found


async def test_a_killed_runner_takes_its_workload_along(local: LocalBackend, state: StateFolder) -> None:
    mark = f"32{time.time_ns() % 10**9}"
    workload = await local.start(shell(f"setsid sleep {mark} & sleep {mark}"))
    assert await until_processes(mark, 2)
    os.kill(identity(state, workload.id, "runner").pid, signal.SIGKILL)
    assert await until_processes(mark, 0)
    ended = await until_ended(local, workload.id, 5)
    assert (ended.reason, ended.inferred) == (EndReason.lost, True)
    written = (state.workloads / workload.id / "ended").read_bytes()
    again = LocalBackend(make_values(), state)
    assert await again.workload(workload.id) == ended
    assert (state.workloads / workload.id / "ended").read_bytes() == written


async def test_a_killed_bubblewrap_ends_the_workload(local: LocalBackend, state: StateFolder) -> None:
    workload = await local.start(shell("sleep 60"))
    assert identity(state, workload.id, "sandbox").send(signal.SIGKILL)
    ended = await until_ended(local, workload.id, 5)
    assert (ended.reason, ended.inferred) == (EndReason.failed, False)


async def test_workloads_outlive_the_process_that_started_them(local: LocalBackend, state: StateFolder) -> None:
    starter = other_process(
        "w = asyncio.run(backend.start(shell('echo up; sleep 60')))\nprint(w.id, flush=True)\ninput()", state
    )
    workload_id = starter.stdout.readline().strip()
    end(starter)
    workload = await local.workload(workload_id)
    assert workload.phase is Phase.running
    assert identity(state, workload_id, "runner").alive()
    assert (await local.stop(workload_id)).reason is EndReason.stopped


async def test_a_killed_watcher_loses_nothing(local: LocalBackend, state: StateFolder) -> None:
    look = (
        "async def look():\n  async for w in backend.watch():\n    print(w.id, w.phase, flush=True)\n"
        "asyncio.run(look())"
    )
    workload = await local.start(shell("sleep 1.5; exit 4"))
    watcher = other_process(look, state)
    assert workload.id in watcher.stdout.readline()
    end(watcher)
    await until_ended(local, workload.id)
    second = other_process(look, state)
    assert second.stdout.readline().split() == [workload.id, "ended"]
    end(second)


async def test_devices_are_allotted_once_among_processes(local: LocalBackend, state: StateFolder) -> None:
    program = (
        "async def go():\n"
        "  spec = lambda: shell('sleep 60', accelerator='rtx5000', accelerator_count=1)\n"
        "  found = await asyncio.gather(*(backend.start(spec()) for _ in range(4)), return_exceptions=True)\n"
        "  refused = sum(isinstance(f, NothingFree) for f in found)\n"
        "  print(sum(not isinstance(f, BaseException) for f in found), refused)\n"
        "asyncio.run(go())"
    )
    starters = [other_process(program, state) for _ in range(3)]
    counts = [tuple(map(int, starter.communicate(timeout=60)[0].split())) for starter in starters]
    assert sum(won for won, _ in counts) == 2
    assert sum(refused for _, refused in counts) == 10


async def test_the_end_of_the_supervisor_ends_everything(state: StateFolder) -> None:
    supervisor = subprocess.Popen(["sleep", "60"])
    try:
        local = LocalBackend(make_values(), state, supervisor=ProcessIdentity.of(supervisor.pid))
        workload = await local.start(shell("trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"))
        await until_logged(local, workload.id, "up")
    finally:
        supervisor.kill()
        supervisor.wait()
    ended = await until_ended(local, workload.id, 5)
    assert ended.reason is EndReason.platform_stopped
    assert "saved" in await local.log(workload.id)
    with pytest.raises(BackendError, match="aiinfn up"):
        await local.start(shell("true"))


async def test_all_end_together(local: LocalBackend) -> None:
    for _ in range(4):
        await local.start(shell("trap '' TERM; while :; do sleep 1; done"))
    began = time.monotonic()
    ended = await local.end_all("the platform stops", 1.0)
    assert time.monotonic() - began < 4
    assert {workload.reason for workload in ended} == {EndReason.platform_stopped}
    assert {workload.message for workload in ended} == {"the platform stops"}


def zombies() -> set[int]:
    """Children of this process that ended and were not waited for."""
    command = ["ps", "--ppid", str(os.getpid()), "-o", "pid=,stat="]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return {int(pid) for pid, state in map(str.split, lines) if state.startswith("Z")}


async def test_no_zombie_and_no_descriptor_is_left(local: LocalBackend, state: StateFolder) -> None:
    before = zombies()
    secret_file = (state.root / "open").open("w")
    os.set_inheritable(secret_file.fileno(), True)
    workload = await local.start(shell("ls -l /proc/self/fd; sleep 60"))
    await until_logged(local, workload.id, "/proc/")
    pid = identity(state, workload.id, "runner").pid
    open_files = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    assert not [name for name in open_files if name.endswith("/open")]
    numbers = [int(line.split()[8]) for line in (await local.log(workload.id)).split("\n") if "->" in line]
    assert sorted(numbers) == [0, 1, 2, 3]  # 3 is ls itself
    assert zombies() <= before
    secret_file.close()


@pytest.mark.root
async def test_more_memory_than_allowed_ends_it_in_words(local: LocalBackend) -> None:
    if not next(item for item in local.enforcement() if item.name == "memory").enforced:
        pytest.fail("this machine enforces no memory limit: run the tests as root or in a delegated cgroup")
    workload = await local.start(spec(sys.executable, "-c", "bytearray(400 << 20)", memory_gib=0.1))
    ended = await until_ended(local, workload.id)
    assert ended.reason is EndReason.out_of_memory
    assert "0.1 GiB" in ended.message


async def test_cgroups_are_removed(local: LocalBackend) -> None:
    workload = await local.start(shell("sleep 60"))
    folders = [folder / workload.id for folder in local._cgroups.folders.values()]
    assert all(folder.is_dir() for folder in folders)
    await local.stop(workload.id)
    assert not any(folder.exists() for folder in folders)


def fill(descriptor: int) -> None:
    """Write until the disk is full."""
    while True:
        os.write(descriptor, b"x" * 4096)


@pytest.mark.root
async def test_a_full_disk_is_a_sentence(local: LocalBackend, state: StateFolder) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", str(state.workloads)], check=True)
    try:
        workload = await local.start(shell("echo up; sleep 60"))
        await until_logged(local, workload.id, "up")
        filler = os.open(state.workloads / "filler", os.O_WRONLY | os.O_CREAT)
        with pytest.raises(OSError, match="space"):
            fill(filler)
        os.close(filler)
        with pytest.raises(BackendError, match="make room"):
            await local.start(shell("true"))
        ended = await local.stop(workload.id)
        assert (ended.phase, ended.inferred, ended.exit_code) == (Phase.ended, False, -15)
    finally:
        subprocess.run(["umount", "-l", str(state.workloads)], check=True)


async def test_a_start_whose_starter_vanished_is_given_up(local: LocalBackend, state: StateFolder) -> None:
    workload = await local.start(shell("true"))
    await until_ended(local, workload.id)
    folder = state.workloads / workload.id
    record = json.loads((folder / "spec").read_text())
    (folder / "ended").unlink()
    (folder / "started").unlink()
    (folder / "spec").write_text(
        json.dumps(record | {"starter": record["starter"] | {"start_time": 1}, "created_at": 1.0})
    )
    found = Records(state.workloads).get(workload.id)
    assert (found.reason, found.inferred) == (EndReason.not_started, True)


async def test_a_runner_that_comes_after_its_start_was_given_up_ends(local: LocalBackend, state: StateFolder) -> None:
    """Whoever gave it up had looked when there was no runner yet."""
    workload = await local.start(shell("sleep 60"))
    processes = [identity(state, workload.id, name) for name in ("runner", "sandbox")]
    Records(state.workloads).infer_end(workload.id, None)
    await until(lambda: not any(one.alive() for one in processes))
    # A runner that sees its sandbox killed may be the first to write the end.
    assert (await local.workload(workload.id)).reason in (EndReason.not_started, EndReason.failed)


async def test_a_start_that_is_stopped_before_it_began_begins_nothing(local: LocalBackend, state: StateFolder) -> None:
    wanted = shell("sleep 60")
    local.records.add(wanted, (), emulated=False)
    ending = asyncio.ensure_future(local.stop(wanted.id))
    await until(lambda: (state.workloads / wanted.id / "stop").exists())
    with pytest.raises(BackendError, match="stopped before it began"):
        launch(state.workloads / wanted.id, local._plan(wanted, local._occupant(wanted), (), {}))
    assert (await ending).reason is EndReason.not_started


BROKEN = {
    "nonsense": b"{",
    "a list": b"[1]",
    "deep": b"[" * 100_000,
    "no time": b'{"id": "x", "starter": null}',
    "another reason": None,
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_record_that_cannot_be_read_hides_no_other(
    local: LocalBackend, state: StateFolder, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = await local.start(shell("sleep 60")), await local.start(shell("true", person="bob"))
    await until_ended(local, bad.id)
    folder = state.workloads / bad.id
    if (content := BROKEN[kind]) is None:
        (folder / "ended").write_text(json.dumps({"reason": "eaten", "ended_at": 1.0}))
    else:
        (folder / "ended").unlink()
        (folder / "spec").write_bytes(content)
    fresh = LocalBackend(make_values(), state)
    for _ in range(3):
        assert [workload.id for workload in await fresh.workloads()] == [good.id]
    assert [record.getMessage() for record in caplog.records if bad.id in record.getMessage()] == [
        next(text for text in caplog.messages if "cannot be read and is left out" in text)
    ]
    assert [workload.id for workload in await fresh.end_all("the test is over", 0.2)] == [good.id]
    assert (folder / "ended").exists(), "nobody looks for its end again"


async def test_what_runs_under_an_unreadable_record_ends_too(local: LocalBackend, state: StateFolder) -> None:
    workload = await local.start(shell("sleep 60"))
    processes = [identity(state, workload.id, name) for name in ("runner", "sandbox")]
    (state.workloads / workload.id / "spec").write_text("{}")
    assert await LocalBackend(make_values(), state).end_all("the platform stops", 0.5) == []
    assert not any(one.alive() for one in processes)


async def test_folders_of_starts_that_never_were_are_removed(local: LocalBackend, state: StateFolder) -> None:
    old, young = (state.workloads / f"w{number:020x}" for number in range(2))
    old.mkdir()
    young.mkdir()
    os.utime(old, (1, 1))
    await local.sweep()
    assert [folder.exists() for folder in (old, young)] == [False, True]


async def test_all_end_together_though_one_runner_does_not_react(local: LocalBackend, state: StateFolder) -> None:
    workloads = [await local.start(shell("sleep 60", person=name)) for name in ("alice", "bob")]
    processes = [identity(state, one.id, name) for one in workloads for name in ("runner", "sandbox")]
    processes[0].send(signal.SIGSTOP)
    began = time.monotonic()
    ended = await local.end_all("the platform stops", 0.5)
    assert time.monotonic() - began < 4
    assert {workload.reason for workload in ended} == {EndReason.platform_stopped}
    while any(one.alive() for one in processes):  # the kernel takes a moment to end what was killed
        assert time.monotonic() - began < 6
        await asyncio.sleep(0.02)


def test_what_is_recorded_is_flushed_with_its_name(
    state: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (flushed.append(os.fstat(number).st_ino), really(number))[1])
    Records(state.workloads).add(shell("true", id="w00000000000000000001"), (), emulated=False)
    assert state.workloads.stat().st_ino in flushed
    flushed.clear()
    runner.write(str(tmp_path), "started", {}, durable=True)
    assert flushed == [(tmp_path / "started").stat().st_ino, tmp_path.stat().st_ino]
    flushed.clear()
    runner.write_end(str(tmp_path), 0, "finished", "")
    assert flushed == [(tmp_path / "ended").stat().st_ino, tmp_path.stat().st_ino]


@pytest.mark.parametrize("character", ["x", "é", "🙂", "\\", "\udc80"])
def test_the_end_fits_into_the_room_reserved_for_it(tmp_path: Path, character: str) -> None:
    runner.reserve_end(str(tmp_path))
    runner.write_end(str(tmp_path), 3, "failed", character * 3000)
    data = (tmp_path / "ended").read_bytes()
    assert len(data) == runner.RESERVED_BYTES
    message = json.loads(data)["message"]
    assert 300 < len(message) <= runner.MESSAGE_CHARACTERS
    assert set(message) == {character}


async def test_pid_of_another_boot_or_time_is_nobody(local: LocalBackend, state: StateFolder) -> None:
    """After a reboot, a stranger has the pid of the runner: it is neither believed nor signalled."""
    workload = await local.start(shell("true"))
    await until_ended(local, workload.id)
    stranger = subprocess.Popen(["sleep", "60"])
    folder = state.workloads / workload.id
    (folder / "ended").unlink()
    false = ProcessIdentity.of(stranger.pid)._replace(boot_id="another").as_json()
    (folder / "started").write_text(json.dumps({"runner": false, "sandbox": false, "started_at": 1.0}))
    fresh = LocalBackend(make_values(), state)
    assert (await fresh.stop(workload.id)).reason is EndReason.lost
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


async def test_hundreds_of_ended_workloads_are_listed_fast(local: LocalBackend, state: StateFolder) -> None:
    workload = await local.start(shell("true"))
    await until_ended(local, workload.id)
    model = state.workloads / workload.id
    for number in range(200):
        folder = state.workloads / f"w{number:020x}"
        folder.mkdir()
        for name in ("spec", "started", "ended"):
            text = (model / name).read_text().replace(workload.id, folder.name)
            (folder / name).write_text(text)
    fresh = LocalBackend(make_values(), state)
    began = time.perf_counter()
    assert len(await fresh.workloads()) == 201
    cold = time.perf_counter() - began
    began = time.perf_counter()
    await fresh.workloads()
    warm = time.perf_counter() - began
    assert cold < 1
    assert warm < 0.05
    assert len(await fresh.prune(timedelta(0))) == 200
    assert len(await fresh.workloads()) == 1


@pytest.mark.root
async def test_a_suspicious_home_is_refused(local: LocalBackend, state: StateFolder) -> None:
    state.home("user-alice").symlink_to("/etc")
    with pytest.raises(BackendError, match="link"):
        await local.start(shell("true"))
    state.home("user-bob").mkdir()
    os.chown(state.home("user-bob"), 4242, 4242)
    with pytest.raises(BackendError, match="belongs to uid 4242"):
        await local.start(shell("true", person="bob"))


async def test_uids_are_never_given_twice(local: LocalBackend, state: StateFolder) -> None:
    names = [f"p{number}" for number in range(12)]
    uids = await asyncio.gather(*(asyncio.to_thread(uid_of, state, name) for name in names * 2))
    assert uids[:12] == uids[12:]
    assert len(set(uids)) == 12
    assert min(uids) == UIDS.first
    assert max(uids) < 100_000, "from there on, containers have them"


def test_people_keep_the_uid_that_an_earlier_version_gave(state: StateFolder) -> None:
    (state.root / "uids.json").write_text(json.dumps({"alice": 210_000, "bob": 65_603}))
    assert [uid_of(state, name) for name in ("alice", "carol", "bob", "dora")] == [210_000, 65_604, 65_603, 65_605]


async def test_a_sweep_after_a_crash(local: LocalBackend, state: StateFolder) -> None:
    workload = await local.start(shell("sleep 60"))
    kept = await local.start(shell("sleep 60", person="bob"))
    os.kill(identity(state, workload.id, "runner").pid, signal.SIGKILL)
    killed = identity(state, workload.id, "runner")
    await until(lambda: not killed.alive())
    await asyncio.sleep(0.3)
    assert [found.id for found in await local.sweep()] == [kept.id]
    assert not any((folder / workload.id).exists() for folder in local._cgroups.folders.values())


def test_cgroups_of_dead_installations_are_swept(tmp_path: Path) -> None:
    """On ordinary folders, which can be removed under the same condition: nothing is in them."""
    own, dead, young, used, foreign = (tmp_path / name for name in CGROUPS)
    for folder in (own / "w1", own / "w2", dead / "w3", young, used / "w4" / "process", foreign):
        folder.mkdir(parents=True)
    for folder in (own, dead / "w3", dead, used / "w4", used, foreign):
        os.utime(folder, (1, 1))
    Cgroups(1, {"memory": own}).sweep({"w1"})
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(CGROUPS[:1] + CGROUPS[2:])
    assert [folder.name for folder in own.iterdir()] == ["w1"]


@pytest.mark.root
async def test_limits_hold_after_another_installation_removed_our_folder(local: LocalBackend) -> None:
    await until_ended(local, (await local.start(shell("true"))).id)
    local._cgroups.remove()
    workload = await local.start(shell("sleep 60"))
    assert local._cgroups.folders
    assert all((folder / workload.id / "cgroup.procs").read_text() for folder in local._cgroups.folders.values())


@pytest.mark.slow
async def test_an_extension_survives_whoever_wrote_it(local: LocalBackend, state: StateFolder) -> None:
    begun, workload = time.monotonic(), await local.start(shell("sleep 60", max_seconds=8))
    extending = (
        "import asyncio, sys; from pathlib import Path; from tests.contract.conftest import make_values;"
        "from jupyterhub_aiinfn.backends.local.backend import LocalBackend;"
        "from jupyterhub_aiinfn.backends.local.state import StateFolder;"
        "backend = LocalBackend(make_values(), StateFolder(Path(sys.argv[1])));"
        "asyncio.run(backend.extend(sys.argv[2], 11)); import os; os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", extending, str(state.root), workload.id], check=False, cwd=HERE)
    await asyncio.sleep(max(0, begun + 9 - time.monotonic()))
    assert (await local.workload(workload.id)).phase is Phase.running
    ended = await until_ended(local, workload.id)
    assert ended.reason is EndReason.max_age


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"[]", b'{"max_seconds": "1e9"}', b'{"max_seconds": -1}'])
async def test_an_extension_that_makes_no_sense_is_none(
    local: LocalBackend, state: StateFolder, content: bytes
) -> None:
    workload = await local.start(shell("sleep 60", max_seconds=2))
    (state.workloads / workload.id / "extended").write_bytes(content)
    assert (await local.workload(workload.id)).ends_at == workload.ends_at
    assert (await until_ended(local, workload.id, 6)).reason is EndReason.max_age


@pytest.mark.slow
async def test_a_session_cannot_extend_itself(local: LocalBackend, state: StateFolder) -> None:
    folder = state.workloads
    workload = await local.start(shell(f"ls -d {folder}; find / -name extended 2>/dev/null | head -1; sleep 60"))
    await asyncio.sleep(1)
    assert str(folder) not in (await local.log(workload.id)).replace(f"'{folder}'", "")
