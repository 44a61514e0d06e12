"""What the cluster writes before it starts: addresses, what it remembers, certificates, images."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from tests.tools.cluster import certificates, images, network
from tests.tools.cluster.errors import ClusterError
from tests.tools.cluster.place import Addresses, Place, State


@pytest.fixture
def state(tmp_path: Path) -> State:
    place = Place(tmp_path / "cluster")
    for folder in (place.folder, place.settings):
        folder.mkdir()
    return State(place, number=217)


@pytest.mark.parametrize("number", [network.NUMBERS[0], network.NUMBERS[-1]])
def test_addresses_are_apart_and_in_one_network_that_is_routed(number: int) -> None:
    addresses = Addresses(number)
    single = [addresses.machine, addresses.node]
    assert all(part.subnet_of(addresses.all) for part in (addresses.pods, addresses.services))
    assert not addresses.pods.overlaps(addresses.services)
    assert all(each in addresses.all for each in single)
    assert not any(each in part for each in single for part in (addresses.pods, addresses.services))
    assert {addresses.api_service, addresses.dns} <= set(addresses.services)


def test_addresses_that_are_routed_already_are_not_taken() -> None:
    first = network.NUMBERS[0]
    assert network.free_number([]) == first
    assert network.free_number([IPv4Network(f"10.{first}.4.0/24"), IPv4Network("192.0.2.0/24")]) == first + 1
    with pytest.raises(ClusterError, match="are routed here: end a test cluster"):
        network.free_number([IPv4Network("10.0.0.0/8")])


def test_checkouts_have_clusters_of_their_own_with_names_that_fit() -> None:
    one, other = (Place.of_checkout(Path(f"/somewhere/{name}")) for name in ("one", "other"))
    assert one.folder != other.folder
    assert one.name != other.name
    assert len(one.name) <= 15


HOSTILE = [
    "",
    "{}",
    "[]",
    "null",
    '"x"',
    '{"number": 1}',
    '{"number": 1, "first": {"pid": "x"}, "processes": [], "done": 3}',
]


@pytest.mark.parametrize("content", [*HOSTILE, "[" * 5000, '{"number": 1, "first": null, "processes": {}, "done": {}}'])
def test_a_file_that_is_not_ours_means_that_nothing_runs(content: str, state: State) -> None:
    state.place.record.write_text(content)
    assert not State.load(state.place).up()


def test_what_is_saved_is_loaded(state: State) -> None:
    state.done = {"network": "10.217.0.0/16"}
    state.save()
    assert State.load(state.place) == state
    assert not state.up()
    assert not state.alive("etcd")


def test_the_servers_certificates_hold_for_their_addresses_and_their_keys_are_private(state: State) -> None:
    certificates.make(state)
    place = state.place
    authority = x509.load_pem_x509_certificate((place.certificates / "ca.crt").read_bytes())
    policy = PolicyBuilder().store(Store([authority])).time(datetime.now(UTC))
    for name, addresses in (
        ("apiserver", [state.addresses.node, state.addresses.api_service, IPv4Address("127.0.0.1")]),
        ("kubelet-server", [state.addresses.node]),
    ):
        certificate = x509.load_pem_x509_certificate((place.certificates / f"{name}.crt").read_bytes())
        for address in addresses:
            policy.build_server_verifier(x509.IPAddress(address)).verify(certificate, [])
    secret = [*place.certificates.glob("*.key"), *place.settings.glob("*.kubeconfig")]
    assert len(secret) > 10
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


def test_certificates_are_made_once(state: State) -> None:
    certificates.make(state)
    before = (state.place.certificates / "ca.crt").read_bytes()
    certificates.make(state)
    assert (state.place.certificates / "ca.crt").read_bytes() == before


def test_an_archive_holds_each_image_with_its_layer_its_files_and_its_user(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"#!/bin/sh\n" * 1000)
    wanted = [
        images.Image(
            f"aiinfn.test/{name}:1", ("/bin/program",), {"bin/program": program}, links={"bin/also": "program"}
        )
        for name in ("one", "two")
    ]
    images.write_archive(tmp_path / "all.tar", wanted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.tar", "program"]
    with tarfile.open(tmp_path / "all.tar") as archive:
        read = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    entries = json.loads(read["manifest.json"])
    assert [entry["RepoTags"] for entry in entries] == [["aiinfn.test/one:1"], ["aiinfn.test/two:1"]]
    for entry in entries:
        config, layer = json.loads(read[entry["Config"]]), read[entry["Layers"][0]]
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
        assert (config["config"]["User"], config["config"]["Entrypoint"]) == (images.NOBODY, ["/bin/program"])
        with tarfile.open(fileobj=io.BytesIO(layer)) as content:
            assert content.extractfile("bin/also").read() == program.read_bytes()  # type: ignore[union-attr]
            assert content.getmember("bin/program").mode == 0o755
            assert content.getmember("tmp").mode == 0o1777
