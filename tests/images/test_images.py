"""The images of this repository, built for real: their ``verify`` passes and their kernels run cells.

They are built into the ordinary cache, so that only the first run takes long.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

from jupyterhub_aiinfn.api.workloads import Phase, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.environments import Environments
from jupyterhub_aiinfn.backends.local.installation import data_folder, default_cache
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.values import load_values
from tests.platform import traversable_folder

CACHE = default_cache()
VALUES = data_folder() / "config" / "local.yaml"
VALUES_READ = load_values(VALUES)
CELLS = {
    "python": ("import numpy as np; print(int(np.arange(7).sum()))", "21"),
    "quantum": (
        "from qiskit import QuantumCircuit\n"
        "from qiskit_aer import AerSimulator\n"
        "c = QuantumCircuit(3); c.h(0); c.cx(0, 1); c.cx(1, 2); c.measure_all()\n"
        "print(sorted(AerSimulator().run(c, shots=200).result().get_counts()))",
        "['000', '111']",
    ),
    "gpu": ("import torch; print(float((torch.arange(3.0) ** 2).sum()), torch.cuda.is_available())", "5.0 False"),
    "fpga": (
        "import os; os.environ['KERAS_BACKEND'] = 'jax'\n"
        "import keras, hgq, hls4ml, da4ml\n"
        "print(keras.backend.backend(), hls4ml.__version__, da4ml.__version__)",
        "jax 1.3.0 0.6.0",
    ),
}
SAYS = {
    "python": "classifier of handwritten digits",
    "quantum": "SIMULATED",
    "gpu": "PyTorch sees ",
    "fpga": "12000 outputs, all equal to Keras",
}
NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}
"""As in a session without one; so the kernel sees the same on every machine."""
ONE_BIT = """
import runpy, sys
import numpy as np
names = runpy.run_path({verify!r})["main"].__globals__
def wrong(right):
    def compute(model, x):
        found = np.array(right(model, x), dtype=np.float64)
        found.view(np.uint64)[0, 0] ^= 1 << 40
        return found
    return compute
names["emulated"], names["netlist"] = wrong(names["emulated"]), wrong(names["netlist"])
sys.exit(names["main"]())
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def command(*words: str, values: Path = VALUES) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "image", "--values", str(values), "--cache", str(CACHE)]
    return subprocess.run([*program, *words], capture_output=True, text=True, timeout=1200)


@pytest.fixture(scope="module", params=sorted(CELLS))
def built(request: pytest.FixtureRequest) -> str:
    done = command("build", request.param)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(request.param)


@pytest.fixture
def state() -> Iterator[StateFolder]:
    """A state folder that people's uids can reach."""
    place = traversable_folder()
    folder = StateFolder(place / "state")
    folder.prepare()
    yield folder
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def kernel(built: str) -> Iterator[Any]:
    folder = Environments(VALUES_READ, VALUES, CACHE).kernels(built) / "kernels"
    specs = KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)
    found = KernelManager(kernel_name="python3", kernel_spec_manager=specs, transport="ipc")
    found.start_kernel(env=os.environ | NO_GPU)
    client = found.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield client
    client.stop_channels()
    found.shutdown_kernel(now=True)
    found.cleanup_resources()


async def test_verify_passes_in_the_sandbox_of_a_person(built: str, state: StateFolder) -> None:
    said = await verified(state, built, Environments(VALUES_READ, VALUES, CACHE).source(built) / "verify")
    assert "all checks passed" in said
    assert SAYS[built] in said
    if built == "fpga":
        assert "yosys: " in said
        assert "g++: there" in said
    if built == "gpu":
        assert "PyTorch sees no GPU: this" in said


async def verified(state: StateFolder, image: str, program: Path, code: int = 0) -> str:
    """Run the program in a session of the image and return what it printed; it must end with that code."""
    environments = Environments(VALUES_READ, VALUES, CACHE)
    trees = [environments.path(image), environments.source(image), program.parent]
    backend = LocalBackend(VALUES_READ, state, readable=lambda spec: trees)
    spec = WorkloadSpec(
        kind=WorkloadKind.session,
        name="verify",
        command=(str(environments.path(image) / "bin" / "python"), str(program)),
        cores=2,
        memory_gib=4,
        person="alice",
        image=image,
    )
    workload = await backend.start(spec)
    async with asyncio.timeout(400):
        while (workload := await backend.workload(workload.id)).phase is not Phase.ended:
            await asyncio.sleep(0.2)
    said = await backend.log(workload.id, 200)
    assert workload.exit_code == code, said
    return said


async def test_one_bit_that_differs_fails_the_fpga_environment(state: StateFolder) -> None:
    assert command("build", "fpga").returncode == 0
    verify = Environments(VALUES_READ, VALUES, CACHE).source("fpga") / "verify"
    program = state.root.parent / "wrong" / "verify.py"
    program.parent.mkdir()
    program.write_text(ONE_BIT.format(verify=str(verify)))
    said = await verified(state, "fpga", program, code=1)
    assert said.count("12000 outputs, 1 DIFFER from Keras") == 2
    assert said.strip().endswith("failed: hls4ml's C++ emulation, da4ml's netlist")


def test_a_verify_that_fails_is_an_error_of_the_command(built: str, tmp_path: Path) -> None:
    folder = tmp_path / "images" / built
    shutil.copytree(Environments(VALUES_READ, VALUES, CACHE).source(built), folder)
    (folder / "verify").write_text("print('nothing works'); raise SystemExit(3)")
    values = tmp_path / "values.yaml"
    values.write_text(VALUES.read_text())
    done = command("verify", built, values=values)
    assert done.returncode == 1
    assert "nothing works" in done.stdout
    assert f"environment {built} does not work" in done.stderr


def test_the_kernel_runs_a_cell(built: str, kernel: Any) -> None:
    code, expected = CELLS[built]
    printed: list[str] = []

    def keep(message: dict[str, Any]) -> None:
        if message["content"].get("name") == "stderr":  # a library's first words, such as Matplotlib's about its fonts
            return
        printed.append(message["content"].get("text") or "\n".join(message["content"].get("traceback", [])))

    reply = kernel.execute_interactive(code, timeout=60, output_hook=keep)
    assert reply["content"]["status"] == "ok", printed
    assert "".join(printed).strip() == expected


def test_the_kernel_is_named_as_the_image(built: str, kernel: Any) -> None:
    assert kernel.parent.kernel_spec.display_name == VALUES_READ.images[built].name
