"""The service as it is started in an installation, with real jobs of the local backend."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.values import load_values

from .running import API, PREFIX, Platform, csrf_of, wait_for


@pytest.fixture
def local(own_platform: Platform) -> LocalBackend:
    """The backend behind the platform's service, which is started over."""
    installation = own_platform.installation
    own_platform.kill("service")
    own_platform.run("service", [sys.executable, "-m", "jupyterhub_aiinfn.service"])
    token = installation.state.secret("internal-token")
    wait_for(lambda: own_platform.get(f"{API}/availability", token).status_code == 200, 40, "the service's start")
    return LocalBackend(load_values(installation.values_file), installation.state)


def job(script: str) -> WorkloadSpec:
    """A job of the platform that runs a piece of Python."""
    return WorkloadSpec(
        kind=WorkloadKind.job,
        job_class=JobClass.platform,
        name="environment quantum",
        command=(sys.executable, "-c", script),
        cores=1,
        memory_gib=1,
        image="quantum",
        max_seconds=120,
        grace_seconds=1,
    )


async def test_starts_wait_for_real_jobs(own_platform: Platform, browse, local: LocalBackend):
    platform, alice, bob = own_platform, browse(own_platform, "alice"), browse(own_platform, "bob")
    work = await local.start(job("import time; time.sleep(4)"))
    page = alice.visit(platform.ticket("alice", work.id)).url.path
    assert "Preparing Quantum" in alice.get(page).text
    reader = platform.tokens["reader"]
    wait_for(lambda: platform.get(f"{API}/environments/quantum", reader).json()["state"] == "building", 5)
    wait_for(lambda: alice.get(page).headers.get("location") == "/hub/spawn-pending/alice", 30, "alice's start")
    assert platform.started == ["alice  quantum"]

    failing = await local.start(job("print('no wheel for this machine'); raise SystemExit(3)"))
    page = bob.visit(platform.ticket("bob", failing.id)).url.path
    shown = wait_for(lambda: (answer := bob.get(page)) and "was not built" in answer.text and answer, 20, "the failure")
    assert "no wheel for this machine" in shown.text

    long = await local.start(job("import time; time.sleep(100)"))
    page = bob.visit(platform.ticket("bob", long.id)).url.path
    bob.post(f"{page}/cancel", data={"csrf": csrf_of(bob.get(page))})
    ended = await local.workload(long.id)
    assert (ended.phase, ended.reason) == (Phase.ended, EndReason.stopped)
    assert (datetime.now(UTC) - ended.ended_at).total_seconds() < 30
    health = platform.get(f"{PREFIX}/health", "x").json()
    assert health["backend"] == "ok"
