"""What every backend does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend, WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.errors import BackendError, NothingFree, WorkloadNotFound


def spec(*command: str, **fields: object) -> WorkloadSpec:
    given = {"kind": WorkloadKind.session, "name": "test", "cores": 1, "memory_gib": 0.5, "person": "alice"} | fields
    return WorkloadSpec(command=command, **given)  # type: ignore[arg-type]


def shell(script: str, **fields: object) -> WorkloadSpec:
    return spec("/bin/sh", "-c", script, **fields)


async def until_ended(backend: Backend, workload_id: str, seconds: float = 15) -> Workload:
    async with asyncio.timeout(seconds):
        while (workload := await backend.workload(workload_id)).phase is not Phase.ended:
            await asyncio.sleep(0.02)
    return workload


async def until_logged(backend: Backend, workload_id: str, text: str) -> None:
    async with asyncio.timeout(15):
        while text not in await backend.log(workload_id):
            await asyncio.sleep(0.02)


async def test_a_workload_runs_and_its_end_is_told(backend: Backend) -> None:
    workload = await backend.start(shell("echo out; echo err >&2; exit 3", profile="python", server_name=""))
    assert workload.person == "alice"
    assert workload.started_at is not None
    ended = await until_ended(backend, workload.id)
    assert (ended.exit_code, ended.reason, ended.inferred) == (3, EndReason.failed, False)
    assert "exited with code 3" in ended.message
    assert ended.ended_at >= ended.started_at >= ended.created_at
    assert sorted((await backend.log(workload.id)).split("\n")) == ["err", "out"]


async def test_success_is_finished(backend: Backend) -> None:
    workload = await backend.start(shell("true"))
    assert (await until_ended(backend, workload.id)).reason is EndReason.finished


async def test_a_signal_is_a_negative_exit_code(backend: Backend) -> None:
    workload = await backend.start(shell("kill -SEGV $$"))
    ended = await until_ended(backend, workload.id)
    assert (ended.exit_code, ended.reason) == (-11, EndReason.failed)


async def test_a_missing_program_ends_at_once_and_says_so(backend: Backend) -> None:
    workload = await backend.start(spec("/nowhere/program"))
    ended = await until_ended(backend, workload.id, 3)
    assert ended.reason is EndReason.failed
    assert "/nowhere/program" in await backend.log(workload.id)


async def test_stop_is_polite_to_the_program_itself(backend: Backend) -> None:
    workload = await backend.start(shell("trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"))
    await until_logged(backend, workload.id, "up")
    ended = await backend.stop(workload.id, "an administrator stopped it")
    assert (ended.phase, ended.reason) == (Phase.ended, EndReason.stopped)
    assert ended.message == "an administrator stopped it"
    assert ended.exit_code == 0
    assert "saved" in await backend.log(workload.id)


async def test_stop_is_hard_after_the_grace(backend: Backend) -> None:
    workload = await backend.start(shell("trap '' TERM; echo up; while :; do sleep 1; done"))
    await until_logged(backend, workload.id, "up")
    began = time.monotonic()
    ended = await backend.stop(workload.id, grace_seconds=0.5)
    assert 0.4 < time.monotonic() - began < 4
    assert (ended.reason, ended.exit_code) == (EndReason.stopped, -9)


async def test_stop_is_idempotent_and_may_come_from_many(backend: Backend) -> None:
    workload = await backend.start(shell("sleep 60"))
    ends = await asyncio.gather(*(backend.stop(workload.id, f"reason {n}") for n in range(8)))
    assert len({end.model_dump_json() for end in ends}) == 1
    assert (await backend.stop(workload.id, "later")) == ends[0]


async def test_the_longest_life_is_kept(backend: Backend) -> None:
    workload = await backend.start(shell("sleep 60", max_seconds=1))
    assert 0.9 < (workload.ends_at - workload.started_at).total_seconds() < 1.1
    ended = await until_ended(backend, workload.id, 5)
    assert ended.reason is EndReason.max_age


async def test_nothing_that_it_started_survives(backend: Backend) -> None:
    mark = f"31{time.time_ns() % 10**9}"
    workload = await backend.start(shell(f"setsid sleep {mark} & sleep {mark}"))
    assert await until_processes(mark, 2)
    await backend.stop(workload.id)
    assert await until_processes(mark, 0)


async def until_processes(mark: str, count: int) -> bool:
    for _ in range(100):
        found = subprocess.run(["pgrep", "-fc", f"^sleep {mark}"], capture_output=True, text=True).stdout
        if int(found) == count:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_secrets_reach_the_process_only(backend: Backend, request: pytest.FixtureRequest) -> None:
    secret = "s3cret-" + new_workload_id()
    workload = await backend.start(shell('printf %s "$TOKEN" | wc -c; sleep 60'), {"TOKEN": secret})
    await until_logged(backend, workload.id, str(len(secret)))
    state = request.getfixturevalue("state")
    assert subprocess.run(["grep", "-rqF", secret, str(state.root)]).returncode == 1
    lines = subprocess.run(["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null"], capture_output=True).stdout
    assert secret.encode() not in lines
    await backend.stop(workload.id)


async def test_devices_are_allotted_once(backend: Backend) -> None:
    starts = (backend.start(shell("sleep 60", accelerator="rtx5000", accelerator_count=1)) for _ in range(10))
    results = await asyncio.gather(*starts, return_exceptions=True)
    won = [result for result in results if isinstance(result, Workload)]
    refused = [result for result in results if isinstance(result, NothingFree)]
    assert (len(won), len(refused)) == (2, 8)
    assert sorted(workload.devices[0] for workload in won) == ["rtx5000/0", "rtx5000/1"]
    assert all(workload.emulated for workload in won)
    assert "2 of 2 Quadro RTX5000 (EMULATED) are in use" in str(refused[0])
    found = (await backend.availability()).devices["rtx5000"]
    assert (found.total, found.used, found.free, found.emulated) == (2, 2, 0, True)
    await backend.stop(won[0].id)
    assert (await backend.availability()).devices["rtx5000"].free == 1


async def test_when_one_is_free_is_known(backend: Backend) -> None:
    first, second = [
        await backend.start(shell("sleep 60", accelerator="rtx5000", accelerator_count=1, max_seconds=seconds))
        for seconds in (600, 60)
    ]
    found = (await backend.availability()).devices["rtx5000"]
    assert found.next_free_at == second.ends_at < first.ends_at


async def test_what_this_installation_lacks_has_a_reason(backend: Backend) -> None:
    found = (await backend.availability()).devices["u55c"]
    assert (found.total, found.free) == (0, 0)
    assert "FPGA" in found.reason
    with pytest.raises(NothingFree, match="FPGA"):
        await backend.start(shell("true", accelerator="u55c", accelerator_count=1))


async def test_availability_counts_sessions(backend: Backend) -> None:
    await backend.start(shell("sleep 60"))
    await backend.start(shell("sleep 60", kind=WorkloadKind.job, job_class=JobClass.platform, person=None))
    assert (await backend.availability()).sessions == 1


async def test_a_key_has_one_live_workload(backend: Backend) -> None:
    job = {"kind": WorkloadKind.job, "job_class": JobClass.platform, "person": None, "key": "environment-abc"}
    found = await asyncio.gather(*(backend.start(shell("sleep 60", **job)) for _ in range(5)))
    assert len({workload.id for workload in found}) == 1
    await backend.stop(found[0].id)
    again = await backend.start(shell("sleep 60", **job))
    assert again.id != found[0].id


async def test_an_identifier_is_used_once(backend: Backend) -> None:
    workload = await backend.start(shell("true"))
    with pytest.raises(BackendError, match="new identifier"):
        await backend.start(shell("true", id=workload.id))


@pytest.mark.parametrize(
    "identifier", ["", "..", "../../etc", "w" + "0" * 20 + "\n", "x", "w" * 400, "w\0", new_workload_id()]
)
async def test_hostile_and_unknown_identifiers(backend: Backend, identifier: str) -> None:
    for verb in (backend.workload, backend.stop, backend.log, backend.progress):
        with pytest.raises(WorkloadNotFound):
            await verb(identifier)


@pytest.mark.parametrize("person", ["..", "a/b", "", "../bob"])
async def test_hostile_names_of_people(backend: Backend, person: str) -> None:
    with pytest.raises(BackendError):
        await backend.start(shell("true", person=person))


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
    first = [item async for item in first_of(backend, 2)]
    assert {item.id for item in first} == {before.id, workload.id}


async def first_of(backend: Backend, count: int) -> Sequence[Workload]:  # type: ignore[misc]
    async for workload in backend.watch():
        yield workload
        count -= 1
        if not count:
            return


async def until(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def test_progress_is_what_the_job_says(backend: Backend) -> None:
    said = '{"step": "half", "done": 1, "total": 2, "updated_at": "2026-01-01T00:00:00Z"}'
    script = f"f=$AIINFN_PROGRESS_FILE; echo '{said}' > $f.new; mv $f.new $f; echo up; sleep 60"
    job = shell(script, kind=WorkloadKind.job, job_class=JobClass.platform, person=None)
    workload = await backend.start(job)
    await until_logged(backend, workload.id, "up")
    progress = await backend.progress(workload.id)
    assert progress is not None
    assert (progress.step, progress.done, progress.total) == ("half", 1, 2)
    silent = await backend.start(shell("true"))
    assert await backend.progress(silent.id) is None


async def test_the_log_is_bounded_and_survives_any_bytes(backend: Backend) -> None:
    workload = await backend.start(
        shell("printf '\\377\\376\\0x\\n'; yes 0123456789 | head -c 25000000; echo; echo last")
    )
    await until_ended(backend, workload.id, 30)
    text = await backend.log(workload.id, 2)
    assert text.endswith("\nlast")
    assert len((await backend.log(workload.id, 10**9)).encode()) <= 1024 * 1024


async def test_workloads_are_listed_oldest_first(backend: Backend) -> None:
    started = [await backend.start(shell("true")) for _ in range(3)]
    assert [workload.id for workload in await backend.workloads()] == [workload.id for workload in started]


@pytest.mark.slow
async def test_a_longer_life_is_lived(backend: Backend) -> None:
    workload = await backend.start(shell("sleep 60", max_seconds=2))
    assert workload.started_at is not None
    longer = await backend.extend(workload.id, 4)
    assert longer.ends_at is not None
    assert round((longer.ends_at - workload.started_at).total_seconds(), 3) == 4
    assert (await backend.extend(workload.id, 3)).ends_at == longer.ends_at  # never shorter
    assert (await backend.extend(workload.id, 4)).ends_at == longer.ends_at  # once more is the same
    ended = await until_ended(backend, workload.id)
    assert ended.reason is EndReason.max_age
    assert 3.9 <= (ended.ended_at - workload.started_at).total_seconds() < 7


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


@pytest.mark.slow
async def test_usage_is_measured_from_outside(backend: Backend) -> None:
    busy = await backend.start(shell("i=0; while :; do i=$((i+1)); done", cores=1))
    quiet = await backend.start(shell("sleep 60"))
    ended = await backend.start(shell("true"))
    job = await backend.start(shell("sleep 60", kind=WorkloadKind.job, person=None))
    await until_ended(backend, ended.id)
    first = await backend.usage()
    await asyncio.sleep(2)
    second = await backend.usage()
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
async def test_traffic_is_counted_where_it_belongs_and_stays_counted(backend: Backend) -> None:
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
        loading, other = await backend.start(spec(*program)), await backend.start(shell("sleep 60"))
        await until_logged(backend, loading.id, "up")
        await asyncio.sleep(1.5)
        assert 1_000_000 <= (await backend.usage())[loading.id].network_bytes < 1_000_010
        await until_logged(backend, loading.id, "down")
        usage = await backend.usage()
    assert 1_000_000 <= usage[loading.id].network_bytes < 1_000_010  # the kernel counts the handshake as a byte
    assert usage[other.id].network_bytes == 0


async def test_children_that_have_ended_count(backend: Backend) -> None:
    script = (
        "for i in 1 2 3; do /bin/sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; done; echo done; sleep 60"
    )
    workload = await backend.start(shell(script))
    await until_logged(backend, workload.id, "done")
    assert (await backend.usage())[workload.id].cpu_seconds > 0.2
