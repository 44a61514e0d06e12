"""What every backend does.

Tests with ``local`` instead of ``backend`` are of one machine only; each says why in its first line.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase, Progress, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend, WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import BackendError, NothingFree, WorkloadNotFound


def spec(*command: str, **fields: object) -> WorkloadSpec:
    given = {"kind": WorkloadKind.session, "name": "test", "cores": 1, "memory_gib": 0.5, "person": "alice"}
    # what only a cluster looks at: an image, and little that is kept, so that many fit on the machine of the tests
    given |= {"image": "python", "project": "quantum-lab", "guaranteed_cores": 0.02, "guaranteed_memory_gib": 0.03}
    return WorkloadSpec(command=command, **(given | fields))  # type: ignore[arg-type]


def shell(script: str, **fields: object) -> WorkloadSpec:
    return spec("/bin/sh", "-c", script, **fields)


def job(script: str, job_class: JobClass = JobClass.platform, **fields: object) -> WorkloadSpec:
    """One of the platform itself."""
    given = {"kind": WorkloadKind.job, "job_class": job_class, "person": None, "grace_seconds": 1}
    return shell(script, **(given | fields))


async def until_runs(backend: Backend, workload_id: str) -> Workload:
    """A cluster says that it starts, and starts it a moment later."""
    async with asyncio.timeout(60):
        while (workload := await backend.workload(workload_id)).phase is Phase.starting:
            await asyncio.sleep(0.02)
    assert workload.phase is Phase.running, workload
    return workload


async def until_ended(backend: Backend, workload_id: str, seconds: float = 60) -> Workload:
    async with asyncio.timeout(seconds):
        while (workload := await backend.workload(workload_id)).phase is not Phase.ended:
            await asyncio.sleep(0.02)
    return workload


async def until_logged(backend: Backend, workload_id: str, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in await backend.log(workload_id):
            await asyncio.sleep(0.02)


TRAP = "trap 'echo saved; exit 0' TERM"


async def test_a_workload_runs_and_its_end_is_told(backend: Backend) -> None:
    workload = await backend.start(shell("echo out; echo err >&2; exit 3", profile="python", server_name=""))
    assert workload.person == "alice"
    ended = await until_ended(backend, workload.id)
    assert (ended.exit_code, ended.reason, ended.inferred) == (3, EndReason.failed, False)
    assert "exited with code 3" in ended.message
    assert ended.ended_at >= ended.started_at >= ended.created_at
    assert sorted((await backend.log(workload.id)).split("\n")) == ["err", "out"]


async def test_success_is_finished(backend: Backend) -> None:
    workload = await backend.start(shell("true"))
    assert (await until_ended(backend, workload.id)).reason is EndReason.finished


async def test_a_signal_is_a_negative_exit_code(local: LocalBackend) -> None:
    # In a container the program is the first process, which no signal from within it ends.
    workload = await local.start(shell("kill -SEGV $$"))
    ended = await until_ended(local, workload.id)
    assert (ended.exit_code, ended.reason) == (-11, EndReason.failed)


async def test_a_missing_program_ends_at_once_and_says_so(backend: Backend) -> None:
    workload = await backend.start(spec("/nowhere/program"))
    ended = await until_ended(backend, workload.id)
    assert ended.reason in (EndReason.failed, EndReason.not_started)
    assert "/nowhere/program" in ended.message + await backend.log(workload.id)


async def test_stop_is_polite_to_the_program_itself(backend: Backend) -> None:
    workload = await backend.start(shell(f"{TRAP}; echo up; while :; do sleep 0.05; done"))
    await until_logged(backend, workload.id, "up")
    ended = await backend.stop(workload.id, "an administrator stopped it")
    assert (ended.phase, ended.reason) == (Phase.ended, EndReason.stopped)
    assert ended.message == "an administrator stopped it"
    assert ended.exit_code == 0


async def test_the_log_of_what_was_stopped_is_kept(local: LocalBackend) -> None:
    # A cluster deletes the log with the pod: whoever stops a job and wants its log reads it before.
    workload = await local.start(shell(f"{TRAP}; echo up; while :; do sleep 0.05; done"))
    await until_logged(local, workload.id, "up")
    await local.stop(workload.id)
    assert "saved" in await local.log(workload.id)


async def test_stop_is_hard_after_the_grace(backend: Backend) -> None:
    workload = await backend.start(shell("trap '' TERM; echo up; while :; do sleep 1; done"))
    await until_logged(backend, workload.id, "up")
    began = time.monotonic()
    ended = await backend.stop(workload.id, grace_seconds=0.5)
    assert 0.4 < time.monotonic() - began < 10  # a cluster counts graces in whole seconds
    assert (ended.reason, ended.exit_code) == (EndReason.stopped, -9)


async def test_stop_is_idempotent_and_may_come_from_many(backend: Backend) -> None:
    workload = await backend.start(shell("sleep 60"))
    ends = await asyncio.gather(*(backend.stop(workload.id, f"reason {n}") for n in range(8)))
    assert len({end.model_dump_json() for end in ends}) == 1
    assert (await backend.stop(workload.id, "later")) == ends[0]


async def test_the_longest_life_is_kept(backend: Backend) -> None:
    workload = await until_runs(backend, (await backend.start(shell("sleep 60", max_seconds=3))).id)
    assert 2.9 < (workload.ends_at - workload.started_at).total_seconds() < 3.1
    ended = await until_ended(backend, workload.id)
    assert ended.reason is EndReason.max_age


async def test_nothing_that_it_started_survives(backend: Backend) -> None:
    mark = f"31{time.time_ns() % 10**9}"
    workload = await backend.start(shell(f"setsid sleep {mark} & sleep {mark}"))
    assert await until_processes(mark, 2)
    await backend.stop(workload.id, grace_seconds=1)
    assert await until_processes(mark, 0)


async def until_processes(mark: str, count: int) -> bool:
    for _ in range(100):
        found = subprocess.run(["pgrep", "-fc", f"^sleep {mark}"], capture_output=True, text=True).stdout
        if int(found) == count:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_secrets_reach_the_process_only(local: LocalBackend, state: StateFolder) -> None:
    # Where else they could be is another place on a cluster: tests/cluster/test_local.py looks there.
    secret = "s3cret-" + new_workload_id()
    workload = await local.start(shell('printf %s "$TOKEN" | wc -c; sleep 60'), {"TOKEN": secret})
    await until_logged(local, workload.id, str(len(secret)))
    assert subprocess.run(["grep", "-rqF", secret, str(state.root)]).returncode == 1
    lines = subprocess.run(["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null"], capture_output=True).stdout
    assert secret.encode() not in lines
    await local.stop(workload.id)


async def test_devices_are_allotted_once(local: LocalBackend) -> None:
    # A cluster lets who comes late wait, and has no names of devices: see the test after this one.
    starts = (local.start(shell("sleep 60", accelerator="rtx5000", accelerator_count=1)) for _ in range(10))
    results = await asyncio.gather(*starts, return_exceptions=True)
    won = [result for result in results if isinstance(result, Workload)]
    refused = [result for result in results if isinstance(result, NothingFree)]
    assert (len(won), len(refused)) == (2, 8)
    assert sorted(workload.devices[0] for workload in won) == ["rtx5000/0", "rtx5000/1"]
    assert all(workload.emulated for workload in won)
    assert "2 of 2 Quadro RTX5000 (EMULATED) are in use" in str(refused[0])
    found = (await local.availability()).devices["rtx5000"]
    assert (found.total, found.used, found.free, found.emulated) == (2, 2, 0, True)
    await local.stop(won[0].id)
    assert (await local.availability()).devices["rtx5000"].free == 1


async def test_no_more_devices_are_held_than_there_are(backend: Backend) -> None:
    starts = (backend.start(shell("sleep 60", accelerator="rtx5000", accelerator_count=1)) for _ in range(4))
    results = await asyncio.gather(*starts, return_exceptions=True)
    made = [result.id for result in results if isinstance(result, Workload)]
    assert all(isinstance(result, Workload | NothingFree) for result in results)
    assert len(await running(backend, made, 2)) == 2
    found = (await backend.availability()).devices["rtx5000"]
    assert (found.total, found.free) == (2, 0)
    await asyncio.sleep(1)
    held = await running(backend, made, 2)
    assert len(held) == 2
    await backend.stop(held[0], grace_seconds=1)
    others = [one for one in made if one != held[0]]
    if len(made) > 2:  # those who wait on a cluster get what is given back, in their order
        assert len(await running(backend, others, 2)) == 2
    else:
        assert (await backend.availability()).devices["rtx5000"].free == 1


async def running(backend: Backend, workloads: Sequence[str], count: int) -> list[str]:
    """Those that run, once so many do."""
    async with asyncio.timeout(60):
        while True:
            found = [one for one in workloads if (await backend.workload(one)).phase is Phase.running]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


async def test_when_one_is_free_is_known(backend: Backend) -> None:
    card = {"accelerator": "rtx5000", "accelerator_count": 1}
    started = [await backend.start(shell("sleep 60", max_seconds=seconds, **card)) for seconds in (600, 60)]
    first, second = [await until_runs(backend, one.id) for one in started]
    found = (await backend.availability()).devices["rtx5000"]
    assert found.next_free_at == second.ends_at < first.ends_at


async def test_what_this_installation_lacks_has_a_reason(backend: Backend) -> None:
    found = (await backend.availability()).devices["u55c"]
    assert (found.total, found.free) == (0, 0)
    assert "FPGA" in found.reason or "no node of the cluster" in found.reason


async def test_nobody_waits_for_what_this_machine_lacks(local: LocalBackend) -> None:
    # On a cluster a node that has it may come at any moment.
    with pytest.raises(NothingFree, match="FPGA"):
        await local.start(shell("true", accelerator="u55c", accelerator_count=1))


async def test_availability_counts_sessions(backend: Backend) -> None:
    await backend.start(shell("sleep 60"))
    await backend.start(shell("sleep 60", kind=WorkloadKind.job, job_class=JobClass.platform, person=None))
    assert (await backend.availability()).sessions == 1


async def test_a_key_has_one_live_workload(backend: Backend) -> None:
    found = await asyncio.gather(*(backend.start(job("sleep 60", key="environment-abc")) for _ in range(5)))
    assert len({workload.id for workload in found}) == 1
    await backend.stop(found[0].id)
    again = await backend.start(job("sleep 60", key="environment-abc"))
    assert again.id != found[0].id


async def test_an_identifier_is_used_once(backend: Backend) -> None:
    workload = await backend.start(shell("true"))
    with pytest.raises(BackendError, match="new identifier"):
        await backend.start(shell("true", id=workload.id))


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "..",
        "../../etc",
        "w" + "0" * 20 + "\n",
        "x",
        "w" * 400,
        "w\0",
        pytest.param("w" + "0123456789" * 2, id="of-nobody"),
    ],
)
async def test_hostile_and_unknown_identifiers(backend: Backend, identifier: str) -> None:
    verbs = (backend.workload, backend.stop, backend.log, backend.progress, backend.release, backend.acknowledge_end)
    for verb in verbs:
        with pytest.raises(WorkloadNotFound):
            await verb(identifier)


@pytest.mark.parametrize("person", ["..", "a/b", "", "../bob"])
async def test_hostile_names_of_people(local: LocalBackend, person: str) -> None:
    # Here a name is that of a folder. On a cluster every name is made harmless: tests/unit/kubernetes/test_names.py.
    with pytest.raises(BackendError):
        await local.start(shell("true", person=person))


async def test_watch_sees_everything(backend: Backend) -> None:
    before = await backend.start(shell("true"))
    await until_ended(backend, before.id)
    seen: list[tuple[str, Phase]] = []

    async def look() -> None:
        async for workload in backend.watch():
            seen.append((workload.id, workload.phase))

    watcher = asyncio.create_task(look())
    other = asyncio.create_task(look())
    await until(lambda: seen.count((before.id, Phase.ended)) == 2)
    workload = await backend.start(shell("sleep 60"))
    await until(lambda: seen.count((workload.id, Phase.running)) == 2)
    other.cancel()
    await backend.stop(workload.id)
    await until(lambda: (workload.id, Phase.ended) in seen)
    watcher.cancel()
    assert [phase for one, phase in seen if one == workload.id].count(Phase.ended) == 1
    everything = await first_of(backend, len(await backend.workloads()))
    assert {before.id, workload.id} <= everything


async def first_of(backend: Backend, count: int) -> set[str]:
    """What a new watch tells first."""
    found: set[str] = set()
    async for workload in backend.watch():
        found.add(workload.id)
        if len(found) == count:
            break
    return found


async def until(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


SAID = '{"step": "half", "done": 1, "total": 2, "updated_at": "2026-01-01T00:00:00Z"}'


async def test_progress_is_what_the_job_says_last_and_stays_when_it_has_ended(backend: Backend) -> None:
    more = "aiinfn-progress " + SAID.replace("half", "all")
    workload = await backend.start(job(f"echo 'aiinfn-progress {SAID}'; sleep 4; echo '{more}'; echo over; sleep 0.5"))
    progress = await until_progress(backend, workload.id)
    assert (progress.step, progress.done, progress.total) == ("half", 1, 2)
    await until_ended(backend, workload.id)
    async with asyncio.timeout(20):
        while (await until_progress(backend, workload.id)).step != "all":
            await asyncio.sleep(0.1)


async def test_progress_may_be_a_file_on_one_machine(local: LocalBackend) -> None:
    # A job on a cluster has no folder into which the platform looks.
    script = f"f=$AIINFN_PROGRESS_FILE; echo '{SAID}' > $f.new; mv $f.new $f; echo 'aiinfn-progress {{}}'; sleep 60"
    workload = await local.start(job(script))
    assert (await until_progress(local, workload.id)).step == "half"


async def test_a_session_has_no_progress_whatever_it_says(backend: Backend) -> None:
    workload = await backend.start(shell(f"echo 'aiinfn-progress {SAID}'; echo up; sleep 60"))
    await until_logged(backend, workload.id, "up")
    assert await backend.progress(workload.id) is None


NONSENSE = {
    "silent": "true",
    "no-json": "echo 'aiinfn-progress half of it'",
    "of-a-wrong-type": """echo 'aiinfn-progress {"step": 7, "updated_at": "2026-01-01T00:00:00Z"}'""",
    "in-a-line": f"echo 'I say aiinfn-progress {SAID}'",
    "without-end": f"head -c 3000000 /dev/zero; echo 'aiinfn-progress {SAID}'",
    "binary": f"head -c 300000 /dev/urandom | tr -d a; echo; printf 'aiinfn-progress \\377\\0{SAID}'",
    "many": "i=0; while [ $i -lt 30000 ]; do echo 'aiinfn-progress {}'; i=$((i+1)); done",
    "before-much": f"echo 'aiinfn-progress {SAID}'; i=0; while [ $i -lt 9000 ]; do echo line-of-$i; i=$((i+1)); done",
}


async def test_progress_that_makes_no_sense_is_none(backend: Backend) -> None:
    jobs = {name: job(f"{script}; echo; echo up; sleep 60") for name, script in NONSENSE.items()}
    started = dict(zip(jobs, await asyncio.gather(*map(backend.start, jobs.values())), strict=True))
    await asyncio.gather(*(until_logged(backend, one.id, "up") for one in started.values()))
    assert {name: await backend.progress(one.id) for name, one in started.items()} == dict.fromkeys(NONSENSE)


async def until_progress(backend: Backend, workload_id: str) -> Progress:
    async with asyncio.timeout(60):
        while (found := await backend.progress(workload_id)) is None:
            await asyncio.sleep(0.1)
    return found


async def test_the_log_is_bounded_and_survives_any_bytes(backend: Backend) -> None:
    # A node writes 50 bytes more for each line and begins a new file at 10 MiB, the only one that it still shows;
    # containerd 1.6 loses what it has not written when the program ends.
    size = 25_000_000 if isinstance(backend, LocalBackend) else 1_500_000
    workload = await backend.start(
        shell(f"printf '\\377\\376\\0x\\n'; yes 0123456789 | head -c {size}; echo; echo last; sleep 3")
    )
    await until_ended(backend, workload.id, 30)
    text = await backend.log(workload.id, 2)
    assert text.endswith("\nlast")
    assert len((await backend.log(workload.id, 10**9)).encode()) <= 1024 * 1024


async def test_workloads_are_listed_oldest_first(backend: Backend) -> None:
    started = [await backend.start(shell("true")) for _ in range(3)]
    ours = {workload.id for workload in started}
    listed = [workload for workload in await backend.workloads() if workload.id in ours]
    assert sorted(listed, key=lambda one: one.created_at) == listed  # a cluster counts in whole seconds
    assert {workload.id for workload in listed} == ours


@pytest.mark.slow
async def test_a_longer_life_is_lived(backend: Backend) -> None:
    workload = await until_runs(backend, (await backend.start(shell("sleep 60", max_seconds=5))).id)
    assert workload.started_at is not None
    longer = await backend.extend(workload.id, 8)
    assert longer.ends_at is not None
    assert round((longer.ends_at - workload.started_at).total_seconds(), 3) == 8
    assert (await backend.extend(workload.id, 6)).ends_at == longer.ends_at  # never shorter
    assert (await backend.extend(workload.id, 8)).ends_at == longer.ends_at  # once more is the same
    ended = await until_ended(backend, workload.id)
    assert ended.reason is EndReason.max_age
    assert 7.9 <= (ended.ended_at - workload.started_at).total_seconds() < 15


async def test_what_cannot_be_extended_says_so(backend: Backend) -> None:
    endless = await backend.start(shell("sleep 60"))
    with pytest.raises(BackendError, match="no longest life"):
        await backend.extend(endless.id, 5)
    await backend.stop(endless.id)
    with pytest.raises(BackendError, match="has ended already"):
        await backend.extend(endless.id, 5)
    with pytest.raises(WorkloadNotFound):
        await backend.extend(new_workload_id(), 5)


async def test_a_stop_says_why(backend: Backend) -> None:
    workload = await backend.start(shell("sleep 60"))
    ended = await backend.stop(workload.id, "nothing ran in it", reason=EndReason.idle)
    again = await backend.stop(workload.id, "another word", reason=EndReason.administrator)
    assert (ended.reason, ended.message) == (EndReason.idle, "nothing ran in it")
    assert again == ended


@pytest.mark.parametrize("job_class", list(JobClass))
async def test_jobs_of_each_class_run_are_logged_and_stopped(backend: Backend, job_class: JobClass) -> None:
    done = await backend.start(job("echo words; exit 2", job_class))
    lasting = await backend.start(job(f"{TRAP}; echo up; while :; do sleep 0.1; done", job_class))
    assert (done.kind, done.job_class, done.person) == (WorkloadKind.job, job_class, None)
    ended = await until_ended(backend, done.id)
    assert (ended.reason, ended.exit_code, ended.inferred) == (EndReason.failed, 2, False)
    assert await backend.log(done.id) == "words"
    await until_runs(backend, lasting.id)
    await until_logged(backend, lasting.id, "up")
    stopped = await backend.stop(lasting.id, "not needed any more", reason=EndReason.administrator)
    assert (stopped.reason, stopped.message) == (EndReason.administrator, "not needed any more")
    for one in (done, lasting):
        await backend.acknowledge_end(one.id)
        await backend.acknowledge_end(one.id)
        assert (await backend.workload(one.id)).phase is Phase.ended


async def test_devices_are_held_until_they_are_released(backend: Backend) -> None:
    held = await backend.hold("rtx5000", 2, "the course of today", project="quantum-lab", max_seconds=600)
    assert (held.kind, held.accelerator_count, held.person) == (WorkloadKind.job, 2, None)
    found = (await backend.availability()).devices["rtx5000"]
    assert (found.used, found.free, found.next_free_at) == (2, 0, (await backend.workload(held.id)).ends_at)
    with pytest.raises(NothingFree, match="RTX5000"):
        await backend.hold("rtx5000", 1, "somebody else", project="quantum-lab")
    assert (await backend.availability()).devices["rtx5000"].used == 2
    ends = await asyncio.gather(*(backend.release(held.id) for _ in range(3)))
    assert {end.phase for end in ends} == {Phase.ended}
    assert await backend.release(held.id) == ends[0]
    assert (await backend.availability()).devices["rtx5000"].free == 2
    for accelerator, count in (("rtx5000", 0), ("rtx5000", -1), ("nothing", 1), ("", 1)):
        with pytest.raises(BackendError):
            await backend.hold(accelerator, count, "x" * 1000, project="quantum-lab")


@pytest.mark.slow
async def test_usage_is_measured_from_outside(local: LocalBackend) -> None:
    # A cluster measures by its own means, which the platform does not read yet.
    busy = await local.start(shell("i=0; while :; do i=$((i+1)); done", cores=1))
    quiet = await local.start(shell("sleep 60"))
    ended = await local.start(shell("true"))
    job = await local.start(shell("sleep 60", kind=WorkloadKind.job, person=None))
    await until_ended(local, ended.id)
    first = await local.usage()
    await asyncio.sleep(2)
    second = await local.usage()
    assert set(second) == {busy.id, quiet.id}, job.id
    assert second[busy.id].cpu_seconds - first[busy.id].cpu_seconds > 0.15
    assert second[quiet.id].cpu_seconds - first[quiet.id].cpu_seconds < 0.1
    assert second[quiet.id].network_bytes == 0
    assert second[quiet.id].processes >= 2  # the sandbox's first process, and the program
    assert 0 < second[quiet.id].memory_bytes < 2**28


DOWNLOAD = """
import socket, time
with socket.create_connection(("127.0.0.1", {port})) as connection:
    print("up", flush=True)
    while connection.recv(65536):
        pass
print("down", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
async def test_traffic_is_counted_where_it_belongs_and_stays_counted(local: LocalBackend) -> None:
    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(20):
            writer.write(b"x" * 50_000)
            await writer.drain()
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)
        writer.close()

    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        program = (sys.executable, "-I", "-c", DOWNLOAD.format(port=port))
        loading, other = await local.start(spec(*program)), await local.start(shell("sleep 60"))
        await until_logged(local, loading.id, "up")
        await asyncio.sleep(1.5)
        assert 1_000_000 <= (await local.usage())[loading.id].network_bytes < 1_000_010
        await until_logged(local, loading.id, "down")
        usage = await local.usage()
    assert 1_000_000 <= usage[loading.id].network_bytes < 1_000_010  # the kernel counts the handshake as a byte
    assert usage[other.id].network_bytes == 0


async def test_children_that_have_ended_count(local: LocalBackend) -> None:
    script = (
        "for i in 1 2 3; do /bin/sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; done; echo done; sleep 60"
    )
    workload = await local.start(shell(script))
    await until_logged(local, workload.id, "done")
    assert (await local.usage())[workload.id].cpu_seconds > 0.2
