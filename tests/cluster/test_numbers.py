"""uid and gids of sessions on a real cluster, where the values fix them or the identity provider gives them.

Those that are computed are in test_homes.py. A folder of the machine stands behind the export, as there.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

from .farm import HERE, Farm, running_farm
from .farm_storage import EARLIER, folder_with_home
from .people import TINY, Visitor, leave_nothing, until
from .test_homes import STORAGES, owner

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
LAB = 5100
CLAIMS: dict[str, dict[str, Any]] = {"alice": {"uid_number": 20_001}, "bob": {"uid_number": "20002"}, "carol": {}}
UMASK = "umask $(awk '/^Umask/ {print $2}' /proc/1/status)"


@contextmanager
def farm_of(client: Client, own: Cluster, uid: dict[str, Any], alice: int, **more: Any) -> Iterator[tuple[Farm, Path]]:
    """A farm with that ``identity.uid``, and its export; Alice has had a home there since yesterday."""
    folder, export = folder_with_home(alice)
    identity = {"uid": {**uid, "project_gids": {"lab": LAB}}}
    changes = {"identity": identity, "storage": {"home": STORAGES["nfs"]}}
    try:
        with running_farm(client, folder / "farm", str(own.state.addresses.machine), changes, **more) as farm:
            yield farm, export
            leave_nothing(farm)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def look_at(alice: Visitor, bob: Visitor, export: Path, numbers: tuple[int, int]) -> None:
    """Each runs with its number, also in the home and for the other one; what was there keeps its owner."""
    one, other = numbers
    for person in (alice, bob):
        person.begin(**TINY)
    until(lambda: alice.ready() and bob.ready())
    said = "id -u; id -g; id -G; cat ~/before.txt; echo today > ~/after.txt"
    assert alice.run(said).split() == [*map(str, (one, one, one, LAB)), "yesterday"]
    security = alice.pod()["spec"]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["supplementalGroups"]) == (one, one, [LAB])
    alice.run(f"{UMASK}; echo from-alice > /projects/lab/both.txt")
    again = f"{UMASK}; id -u; id -G; echo from-bob >> /projects/lab/both.txt; cat /projects/lab/both.txt"
    assert bob.run(again).split() == [*map(str, (other, other, LAB)), "from-alice", "from-bob"]
    assert owner(export / "user-alice") == (one, EARLIER, 0o750)
    assert owner(export / "user-alice" / "before.txt")[:2] == (one, EARLIER)
    assert owner(export / "user-alice" / "after.txt")[:2] == (one, one)
    assert owner(export / "user-bob") == (other, other, 0o700)
    assert owner(export / "shared-lab")[1:] == (LAB, 0o2770)
    assert owner(export / "shared-lab" / "both.txt") == (one, LAB, 0o664)


def test_the_number_of_the_values_is_everybodys(client: Client, own: Cluster) -> None:
    with farm_of(client, own, {"method": "fixed", "uid": 7001}, 7001) as (farm, export):
        look_at(Visitor.of(farm, "alice"), Visitor.of(farm, "bob"), export, (7001, 7001))


def test_the_number_is_what_the_identity_provider_says_and_nobody_starts_without(client: Client, own: Cluster) -> None:
    variables = {"AIINFN_TEST_CLAIMS": json.dumps(CLAIMS), "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32)}
    config = HERE / "hub_config_claims.py"
    with farm_of(client, own, {"method": "claim"}, 20_001, config=config, more=variables) as (farm, export):
        look_at(Visitor.of(farm, "alice"), Visitor.of(farm, "bob"), export, (20_001, 20_002))
        carol = Visitor.of(farm, "carol")
        options = TINY | {"project": "personal"}
        refused = carol.browser.api("POST", "/users/carol/server", json=options, timeout=60)
        assert 400 <= refused.status_code < 600
        assert 'says nothing as "uid_number" of "carol"' in refused.json()["message"]
        assert carol.nothing_is_left()
        assert not (export / "user-carol").exists()
