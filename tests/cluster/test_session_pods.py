"""What is in the pod of a session on a real cluster: volumes, rights, limits; and that no request changes its image."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.errors import ClusterError
from tests.tools.cluster.images import BUSYBOX

from .farm import Farm, running_farm
from .farm_queues import queues
from .people import TINY, Visitor, leave_nothing, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PERSONAL = TINY | {"project": "personal"}
SIDECAR = {
    "image": BUSYBOX,
    "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"],
    "cores": 0.05,
    "memory_gib": 0.03125,
}
SIZE = {"cores": 0.2, "memory_gib": 0.125, "guaranteed_cores": 0.1, "guaranteed_memory_gib": 0.0625}


@pytest.fixture(scope="module")
def farm(client: Client, own: Cluster) -> Iterator[Farm]:
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    for name in ("cvmfs/test.example.org", "bucket", "export"):
        (folder / name).mkdir(parents=True)
    (folder / "cvmfs" / "test.example.org" / "software.txt").write_text("software")
    (folder / "bucket" / "data.txt").write_text("data")
    sessions = {"pull": "Never", "stop_grace": "5s", "shm_gib": 0.03125, "sidecars": {"watcher": SIDECAR}}
    changes: dict[str, Any] = {
        "kubernetes": queues() | {"sessions": sessions},
        "profiles": {"tiny": {"name": "Tiny", "image": "python", "sizes": {"small": SIZE}, "max": "1h"}},
        "storage": {
            "scratch": {"kind": "node", "gib": 0.125},
            "cvmfs": ["test.example.org"],
            "buckets": {"data": {"claim": "bucket", "for": ["lab"], "read_only": True}},
        },
    }
    claims = {"cvmfs": folder / "cvmfs", "bucket": folder / "bucket"}
    machine = str(own.state.addresses.machine)
    try:
        with running_farm(
            client, folder / "pods", machine, changes, claims=claims, with_homes=("alice", "carol")
        ) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def alice(farm: Farm) -> Iterator[Visitor]:
    """Her session runs."""
    person = Visitor.of(farm, "alice")
    assert person.start(**TINY)
    yield person
    leave_nothing(farm)


def test_a_session_is_nobody_special_and_knows_no_account_of_the_cluster(alice: Visitor) -> None:
    said = alice.run("grep -E '^(Uid|CapEff|Seccomp|NoNewPrivs):' /proc/1/status; ls /var/run/secrets 2>&1 || true")
    words = said.split()
    assert words[words.index("CapEff:") + 1] == "0000000000000000"
    assert words[words.index("Seccomp:") + 1] == "2"
    assert words[words.index("NoNewPrivs:") + 1] == "1"
    assert "0" not in words[words.index("Uid:") + 1 : words.index("Uid:") + 5]
    assert "No such file" in said
    assert alice.pod()["spec"]["automountServiceAccountToken"] is False
    assert not [one for one in alice.pod()["spec"]["volumes"] if "projected" in one]


def test_the_namespace_refuses_what_is_not_restricted(farm: Farm, alice: Visitor) -> None:
    pod = alice.pod()
    greedy = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy", "namespace": farm.namespace},
        "spec": {**pod["spec"], "hostNetwork": True, "nodeName": None, "schedulingGates": None},
    }
    with pytest.raises(ClusterError, match=r'violates PodSecurity "restricted:latest".*host namespaces'):
        farm.client("create", "--dry-run=server", "--filename", "-", text=json.dumps(greedy))


def test_memory_that_is_shared_and_scratch_space_have_their_sizes(alice: Visitor) -> None:
    blocks = alice.run("df -k /dev/shm | awk 'NR == 2 {print $2}'")
    assert int(blocks) == 32 * 1024
    assert alice.run("echo x > /dev/shm/x; echo y > /scratch/y; cat /dev/shm/x /scratch/y") == "x\ny\n"
    scratch = next(one for one in alice.pod()["spec"]["volumes"] if one["name"] == "scratch")
    assert scratch["emptyDir"] == {"sizeLimit": "128Mi"}


def test_software_and_buckets_are_there_for_reading_for_those_whose_they_are(farm: Farm, alice: Visitor) -> None:
    read = "cat /cvmfs/test.example.org/software.txt /buckets/data/data.txt"
    assert alice.run(read) == "softwaredata"
    for folder in ("/cvmfs/test.example.org", "/buckets/data"):
        assert "Read-only file system" in alice.run(f"touch {folder}/x 2>&1 || true")
    carol = Visitor.of(farm, "carol")
    assert carol.start(**PERSONAL)
    assert carol.run("cat /cvmfs/test.example.org/software.txt; ls /buckets 2>&1 || true").count("No such file") == 1
    assert carol.run("ls -A /scratch") == ""
    carol.stop()


def test_guarantees_and_limits_are_apart_and_what_runs_beside_counts(farm: Farm, alice: Visitor) -> None:
    pod = alice.pod()
    [main] = pod["spec"]["containers"]
    assert main["resources"]["requests"] == {"cpu": "100m", "memory": "64Mi"}
    assert main["resources"]["limits"] == {"cpu": "200m", "memory": "128Mi"}
    [workload] = [
        one for one in farm.all("workloads") if one["metadata"]["ownerReferences"][0]["name"] == pod["metadata"]["name"]
    ]
    [given] = workload["status"]["admission"]["podSetAssignments"]
    assert given["resourceUsage"] == {"cpu": "150m", "memory": "96Mi"}


HOSTILE = [
    TINY | {"image": "aiinfn.test/pause:1"},
    TINY | {"image": "absent"},
    TINY | {"kubespawner_override": {"image": "aiinfn.test/pause:1"}},
    TINY | {"profile": "tiny\0"},
    TINY | {"profile": {"image": "aiinfn.test/pause:1"}},
    TINY | {"profile": "../absent"},
    TINY | {"size": "huge"},
    TINY | {"extra_pod_config": {"hostNetwork": True}},
    TINY | {"project": "personal", "profile": "tiny", "cmd": ["sh"]},
    {"profile": ["tiny", "absent"]},
    [TINY],
]


@pytest.mark.parametrize("options", HOSTILE, ids=lambda options: json.dumps(options)[-40:])
def test_no_request_gets_another_image_or_another_pod(farm: Farm, alice: Visitor, options: Any) -> None:
    before = [alice.pod()["metadata"]["name"]]
    until(lambda: farm.names("pods") == before)  # carol's has gone
    answer = alice.browser.api("POST", "/users/alice/servers/second", json=options, timeout=60)
    assert answer.status_code in (400, 403, 422), answer.text
    assert answer.json()["message"]
    assert farm.names("pods") == before


def test_options_that_were_put_into_the_store_are_decided_like_all_others(farm: Farm, alice: Visitor) -> None:
    before = farm.names("pods")
    evil = {"profile": "tiny", "size": "small", "project": "lab", "image": "aiinfn.test/pause:1"}
    alice.browser.api("PUT", "/users/alice/servers/third", json={"user_options": evil})
    alice.browser.api("PATCH", "/users/alice/servers/third", json={"user_options": evil})
    answer = alice.browser.api("POST", "/users/alice/servers/third", timeout=60)
    if answer.status_code in (201, 202):
        until(lambda: not alice.server("third").get("pending"))
        assert {one["image"] for one in alice.pod("third")["spec"]["containers"]} == {BUSYBOX}
        alice.stop("third")
    else:
        assert answer.status_code in (400, 403, 422), answer.text
    until(lambda: farm.names("pods") == before)
