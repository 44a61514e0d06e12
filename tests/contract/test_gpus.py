"""NVIDIA's cards handed out among processes (the driver's folder is made here), and a real one where there is one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.workloads import Phase
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.nvidia import read_cards
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import NothingFree
from jupyterhub_aiinfn.values.document import Values
from tests.unit.backends.test_gpus import add_card, uuid

from .conftest import VALUES
from .test_verbs import shell, until_ended, until_logged

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CARDS, STARTERS, EACH = 5, 4, 4
LOOK = (
    "echo sees=$CUDA_VISIBLE_DEVICES order=$CUDA_DEVICE_ORDER tools=$NVIDIA_VISIBLE_DEVICES; "
    "echo files=$(ls /dev | grep -c nvidia[0-9])"
)


def with_gpus() -> Values:
    return Values.model_validate(VALUES | {"accelerators": {"gpu": {"type": "gpu", "name": "GPU"}}}, strict=False)


@pytest.fixture
def gpus(tmp_path: Path) -> Path:
    for number in range(CARDS):
        add_card(tmp_path / "gpus", 16 * (number + 1), CARDS - 1 - number, uuid=uuid(number))
    return tmp_path / "gpus"


@pytest.fixture
async def local(state: StateFolder, gpus: Path) -> AsyncIterator[LocalBackend]:
    made = LocalBackend(with_gpus(), state, gpus=gpus)
    yield made
    await made.end_all("the test is over", 0.2)


def starter(state: StateFolder, gpus: Path) -> subprocess.Popen[str]:
    """Another process of the platform that starts many sessions at once, and says how many got a card."""
    program = f"""
import asyncio
from pathlib import Path
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import NothingFree
from tests.contract.test_gpus import LOOK, with_gpus
from tests.contract.test_verbs import shell
backend = LocalBackend(with_gpus(), StateFolder(Path({str(state.root)!r})), gpus=Path({str(gpus)!r}))
async def go():
    one = lambda: shell(LOOK + "; sleep 60", accelerator="gpu", accelerator_count=1)
    found = await asyncio.gather(*(backend.start(one()) for _ in range({EACH})), return_exceptions=True)
    assert all(isinstance(f, NothingFree) for f in found if isinstance(f, BaseException)), found
    print(sum(not isinstance(f, BaseException) for f in found))
asyncio.run(go())
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)


async def test_each_card_is_handed_out_once_among_processes(
    local: LocalBackend, state: StateFolder, gpus: Path
) -> None:
    starters = [starter(state, gpus) for _ in range(STARTERS)]
    won = [int(await asyncio.to_thread(lambda one=one: one.communicate(timeout=90)[0])) for one in starters]
    assert sum(won) == CARDS
    live = [workload for workload in await local.workloads() if workload.phase is not Phase.ended]
    assert Counter(device for workload in live for device in workload.devices) == Counter(
        f"gpu/{number}" for number in range(CARDS)
    )
    for workload in live:
        await until_logged(local, workload.id, "files=")
        number = CARDS - 1 - int(workload.devices[0].removeprefix("gpu/"))
        assert f"sees={uuid(number)} order=PCI_BUS_ID tools={uuid(number)}" in await local.log(workload.id)
    with pytest.raises(NothingFree, match=f"{CARDS} of {CARDS} GPU are in use"):
        await local.start(shell("true", accelerator="gpu", accelerator_count=1))
    await local.stop(live[0].id, "", 0)
    again = await local.start(shell("true", accelerator="gpu", accelerator_count=1))
    assert again.devices == live[0].devices


async def test_who_holds_no_card_sees_none_whatever_the_environment_said(local: LocalBackend) -> None:
    said = {"CUDA_VISIBLE_DEVICES": "0", "NVIDIA_VISIBLE_DEVICES": "all"}
    workload = await local.start(shell(LOOK, environment=said))
    await until_ended(local, workload.id)
    log = await local.log(workload.id)
    assert "sees=-1 order=PCI_BUS_ID tools=void" in log
    assert "files=0" in log


async def test_a_card_that_fails_is_not_handed_out_and_the_others_stay(local: LocalBackend, gpus: Path) -> None:
    first = await local.start(shell("sleep 60", accelerator="gpu", accelerator_count=1))
    assert first.devices == (f"gpu/{CARDS - 1}",)
    (gpus / "0000:20:00.0" / "information").unlink()
    second = await local.start(shell("sleep 60", accelerator="gpu", accelerator_count=1))
    assert second.devices == (f"gpu/{CARDS - 3}",)


async def test_a_card_is_handed_out_once_although_its_accelerator_was_renamed(
    local: LocalBackend, state: StateFolder, gpus: Path
) -> None:
    first = await local.start(shell("sleep 60", accelerator="gpu", accelerator_count=CARDS - 1))
    document = VALUES | {
        "accelerators": {
            "pretended": {"type": "gpu", "name": "Pretended", "emulated": CARDS},
            "t4": {"type": "gpu", "name": "T4"},
        }
    }
    renamed = LocalBackend(Values.model_validate(document, strict=False), state, gpus=gpus)
    found = (await renamed.availability()).devices["t4"]
    assert (found.total, found.used) == (CARDS, CARDS - 1)
    second = await renamed.start(shell("sleep 60", accelerator="t4", accelerator_count=1))
    numbers = [device.rpartition("/")[2] for device in (*first.devices, *second.devices)]
    assert sorted(numbers) == [str(number) for number in range(CARDS)]
    with pytest.raises(NothingFree, match=f"{CARDS} of {CARDS} T4 are in use"):
        await renamed.start(shell("true", accelerator="t4", accelerator_count=1))
    emulated = await renamed.start(shell("sleep 60", accelerator="pretended", accelerator_count=CARDS))
    assert emulated.emulated
    await local.stop(first.id, "", 0)
    assert (await renamed.availability()).devices["t4"].used == 1


@pytest.mark.hardware
async def test_a_real_card_is_in_the_session_that_holds_it_and_in_no_other(state: StateFolder) -> None:
    if not read_cards():
        pytest.skip("no NVIDIA GPU on this machine")
    real = LocalBackend(with_gpus(), state)
    try:
        holder = await real.start(shell(LOOK, accelerator="gpu", accelerator_count=1))
        other = await real.start(shell(LOOK))
        for workload, files in ((holder, 1), (other, 0)):
            await until_ended(real, workload.id)
            assert f"files={files}" in await real.log(workload.id)
    finally:
        await real.end_all("the test is over", 0.2)
