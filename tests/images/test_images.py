"""The images of this repository, built for real: their ``verify`` passes and their kernels run cells.

They are built into the ordinary cache, so that only the first run takes long.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

from jupyterhub_aiinfn.backends.local.environments import Environments
from jupyterhub_aiinfn.backends.local.installation import data_folder, default_cache
from jupyterhub_aiinfn.values import load_values

CACHE = default_cache()
VALUES = data_folder() / "config" / "local.yaml"
CELLS = {
    "python": ("import numpy as np; print(int(np.arange(7).sum()))", "21"),
    "quantum": (
        "from qiskit import QuantumCircuit\n"
        "from qiskit_aer import AerSimulator\n"
        "c = QuantumCircuit(3); c.h(0); c.cx(0, 1); c.cx(1, 2); c.measure_all()\n"
        "print(sorted(AerSimulator().run(c, shots=200).result().get_counts()))",
        "['000', '111']",
    ),
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "image", "--values", str(VALUES), "--cache", str(CACHE)]
    return subprocess.run([*program, *words], capture_output=True, text=True, timeout=1200)


@pytest.fixture(scope="module", params=sorted(CELLS))
def built(request: pytest.FixtureRequest) -> str:
    done = command("build", request.param)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(request.param)


@pytest.fixture
def kernel(built: str) -> Iterator[Any]:
    folder = Environments(load_values(VALUES), VALUES, CACHE).kernels(built) / "kernels"
    specs = KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)
    found = KernelManager(kernel_name="python3", kernel_spec_manager=specs, transport="ipc")
    found.start_kernel()
    client = found.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield client
    client.stop_channels()
    found.shutdown_kernel(now=True)
    found.cleanup_resources()


def test_verify_passes(built: str) -> None:
    done = command("verify", built)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all checks passed" in done.stdout
    assert f"environment {built} works" in done.stdout
    assert built != "quantum" or "SIMULATED" in done.stdout


def test_the_kernel_runs_a_cell(built: str, kernel: Any) -> None:
    code, expected = CELLS[built]
    printed: list[str] = []

    def keep(message: dict[str, Any]) -> None:
        printed.append(message["content"].get("text") or "\n".join(message["content"].get("traceback", [])))

    reply = kernel.execute_interactive(code, timeout=60, output_hook=keep)
    assert reply["content"]["status"] == "ok", printed
    assert "".join(printed).strip() == expected


def test_the_kernel_is_named_as_the_image(built: str, kernel: Any) -> None:
    assert kernel.parent.kernel_spec.display_name == load_values(VALUES).images[built].name
