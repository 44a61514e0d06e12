"""Homes and shared folders on a real cluster: whose they are, who reads them, and that nothing ever deletes them.

This kernel knows no NFS: a folder of the machine stands behind the export. Owners, groups and rights count there by
uid and gid, as on an export; nobody's container is root.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.values.numbers import computed_gid, computed_uid
from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

from .farm import Farm, running_farm
from .farm_storage import EARLIER, folder_with_home
from .people import TINY, Visitor, leave_nothing, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PERSONAL = {"profile": "tiny", "size": "small", "project": "personal"}
OTHER = {"profile": "other", "size": "small", "project": "lab"}
STORAGES: dict[str, dict[str, Any]] = {
    "shared-claim": {"backend": "shared-claim", "claim": "homes"},
    "nfs": {"backend": "nfs", "server": "files.example.org", "export": "/homes"},
}


@pytest.fixture(scope="module", params=STORAGES)
def storage(client: Client, own: Cluster, request: pytest.FixtureRequest) -> Iterator[tuple[Farm, Path]]:
    """A farm whose homes are folders, and where these are; Alice has had hers since yesterday."""
    folder, export = folder_with_home(computed_uid("alice"))
    changes = {
        "storage": {"home": STORAGES[request.param]},
        "profiles": {"other": {"name": "Other", "image": "python", "sizes": {"small": SIZE}, "max": "1h"}},
    }
    claims = {"homes": export} if request.param == "shared-claim" else {}
    machine = str(own.state.addresses.machine)
    try:
        with running_farm(client, folder / "farm", machine, changes, claims=claims) as farm:
            yield farm, export
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def tidy(storage: tuple[Farm, Path]) -> Iterator[None]:
    yield
    leave_nothing(storage[0])


SIZE = {"cores": 0.1, "memory_gib": 0.0625}


def test_a_home_that_is_there_keeps_owner_group_and_rights_and_is_the_same_for_every_profile(
    storage: tuple[Farm, Path],
) -> None:
    farm, export = storage
    alice = Visitor.of(farm, "alice")
    assert alice.start(**TINY)
    assert alice.run("cat ~/before.txt; echo; echo today > ~/after.txt; id -u").split() == [
        "yesterday",
        str(computed_uid("alice")),
    ]
    alice.stop()
    assert alice.start(**OTHER)
    assert alice.run("cat ~/after.txt") == "today\n"
    alice.stop()
    assert owner(export / "user-alice") == (computed_uid("alice"), EARLIER, 0o750)
    assert owner(export / "user-alice" / "before.txt")[:2] == (computed_uid("alice"), EARLIER)
    assert owner(export / "user-alice" / "after.txt")[0] == computed_uid("alice")


def test_a_home_that_is_missing_is_made_for_its_person_alone(storage: tuple[Farm, Path]) -> None:
    farm, export = storage
    carol = Visitor.of(farm, "carol")
    assert carol.start(**PERSONAL)
    assert owner(export / "user-carol") == (computed_uid("carol"), computed_uid("carol"), 0o700)
    assert carol.run("ls -A ~; ls /projects 2>&1 || true; cat /proc/mounts").count("user-alice") == 0
    carol.stop()


def test_two_people_write_for_one_another_in_the_folder_of_their_project(storage: tuple[Farm, Path]) -> None:
    farm, export = storage
    alice, bob = Visitor.of(farm, "alice"), Visitor.of(farm, "bob")
    assert alice.start(**TINY)
    assert bob.start(**TINY)
    # as in a session: its program, and not `kubectl exec`, has the mask of shared folders
    mask = "umask $(awk '/^Umask/ {print $2}' /proc/1/status)"
    alice.run(f"{mask}; mkdir /projects/lab/results; echo from-alice > /projects/lab/results/both.txt")
    said = bob.run(
        f"{mask}; echo from-bob >> /projects/lab/results/both.txt; cat /projects/lab/results/both.txt; id -G"
    )
    assert said.split()[:2] == ["from-alice", "from-bob"]
    gid = computed_gid("lab")
    assert str(gid) in said.split()
    shared = export / "shared-lab"
    assert owner(shared)[1:] == (gid, 0o2770)
    assert owner(shared / "results") == (computed_uid("alice"), gid, 0o2775)
    assert owner(shared / "results" / "both.txt")[:2] == (computed_uid("alice"), gid)
    assert owner(export / "user-bob") == (computed_uid("bob"), computed_uid("bob"), 0o700)
    alice.stop()
    bob.stop()


def test_neither_the_end_of_a_server_nor_of_a_person_deletes_a_home(storage: tuple[Farm, Path]) -> None:
    farm, export = storage
    bob, admin = Visitor.of(farm, "bob"), Visitor.of(farm, "admin")
    assert bob.start("second", **TINY)
    bob.run("echo mine > ~/kept.txt", "second")
    claims = sorted(farm.names("pvc"))
    assert bob.browser.api("DELETE", "/users/bob/servers/second", json={"remove": True}, timeout=60).is_success
    until(farm.nothing_is_left)
    assert admin.browser.api("DELETE", "/users/bob", timeout=60).status_code == 204
    assert (export / "user-bob" / "kept.txt").read_text() == "mine\n"
    assert sorted(farm.names("pvc")) == claims
    again = Visitor.of(farm, "bob")
    assert again.start(**TINY)
    assert again.run("cat ~/kept.txt") == "mine\n"
    again.stop()


def owner(path: Path) -> tuple[int, int, int]:
    """uid, gid and rights."""
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)
