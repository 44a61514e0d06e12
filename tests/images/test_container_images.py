"""The smallest image, built for real and looked into with another program than the one that built it.

It is built into the ordinary cache, so that only the first run takes long (a minute and a half).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jupyterhub_aiinfn import __version__
from scripts.container_images.__main__ import CACHE, Work, build_one, main
from scripts.container_images.builders import Builder, find_builder
from scripts.container_images.plan import Image, ImagesError, tag
from scripts.container_images.report import Record, write_records

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(900)]
NAME = tag("service", __version__)
FORBIDDEN = re.compile(
    r"(^|/)(gcc|g\+\+|cc|clang|node|npm)$|(^|/)pip\.conf$|^run/certificates\.crt$|^opt/(wheels|installer)|\.whl$|^root/\.cache/."
)


@pytest.fixture(scope="module")
def builder() -> Builder:
    """The service's image is there; its builder."""
    assert main(["--builder", "buildah", "service"]) == 0
    return find_builder("buildah", CACHE)


@pytest.fixture(scope="module")
def layers(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image as a registry would get it."""
    folder = tmp_path_factory.mktemp("image") / "service"
    builder.run([*builder.program, "push", NAME, f"oci:{folder}:service"])
    return folder


def blobs(layers: Path, kind: str) -> list[Path]:
    """The blobs of a kind (``config`` or ``layers``) that the image's manifest names."""

    def blob(entry: dict) -> Path:
        return layers / "blobs" / entry["digest"].replace(":", "/")

    manifest = json.loads(blob(json.loads((layers / "index.json").read_text())["manifests"][0]).read_text())
    found = manifest[kind]
    return [blob(entry) for entry in (found if isinstance(found, list) else [found])]


def test_no_layer_holds_a_compiler_node_or_what_pip_was_told(layers: Path) -> None:
    seen = 0
    for layer in blobs(layers, "layers"):
        with tarfile.open(layer) as archive:
            names = [member.name.removeprefix("./") for member in archive if member.isfile() or member.issym()]
        seen += len(names)
        assert [name for name in names if FORBIDDEN.search(name)] == []
    assert seen > 1000


def test_it_says_what_it_is_and_runs_as_nobody_special(layers: Path) -> None:
    (file,) = blobs(layers, "config")
    config = json.loads(file.read_text())
    labels = {name.rpartition(".")[2]: value for name, value in config["config"]["Labels"].items()}
    assert config["config"]["User"] == "1000:1000"
    assert labels["version"] == __version__
    assert labels["licenses"] == "BSD-3-Clause"
    assert {"title", "source"} <= set(labels)


def test_its_history_names_no_index(layers: Path) -> None:
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    hosts = re.findall(r"https?://([^/'\s]+)", listed)
    (file,) = blobs(layers, "config")
    assert [host for host in hosts if host in file.read_text()] == []


def test_it_runs_as_its_user_and_its_service_works(builder: Builder) -> None:
    assert builder.inside(NAME, "/bin/sh", "-c", "id -u").strip() == "1000"
    assert '"database": "ok"' in builder.inside(NAME, "/opt/aiinfn/verify")


def test_a_second_run_builds_nothing(builder: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--builder", "buildah", "service"]) == 0
    assert "service: unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("RUN printf '#!/bin/sh\\necho it does not work; exit 1\\n' > /opt/aiinfn/verify", "it does not work"),
        ("RUN ln -s /bin/true /usr/bin/gcc", "the image sick is not as it must be: it holds gcc"),
        ("RUN touch /etc/pip.conf", "it holds /etc/pip.conf"),
    ],
)
def test_an_image_that_is_not_right_gets_no_name(builder: Builder, tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "Containerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nUSER 0:0\n{line}\nUSER 1000:1000\n")
    work = Work(builder, NAME, "unknown", tmp_path, {}, tmp_path / "images.json")
    try:
        with pytest.raises(ImagesError, match=why):
            build_one(Image("sick"), work, tmp_path, "key", "")
        assert not builder.has(tag("sick", "key"))
        assert not builder.has(tag("sick", __version__))
    finally:
        builder.run([*builder.program, "rmi", tag("sick", "key-unproven")])


@pytest.fixture
def own_builder(tmp_path: Path) -> Iterator[Builder]:
    """buildah with an empty store of its own."""
    found = find_builder("buildah", tmp_path)
    yield found
    subprocess.run([*found.program, "rmi", "--all", "--force"], capture_output=True)
    for mount in (tmp_path / "store" / "overlay", tmp_path / "run" / "overlay"):
        subprocess.run(["umount", str(mount)], capture_output=True)


def test_older_images_are_taken_out_of_the_store_unless_one_is_in_use(
    own_builder: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [tag("hub", letter * 16) for letter in "abc"]
    for name in names:
        context = tmp_path / name[-1]
        context.mkdir()
        (context / "file").write_bytes(name.encode() * 20_000)
        (context / "Containerfile").write_text(
            "FROM scratch AS stage\nCOPY file /\nFROM scratch\nCOPY --from=stage / /\n"
        )
        own_builder.build(context, name, {}, {})
    own_builder.run([*own_builder.program, "tag", names[2], tag("hub", __version__)])
    record = Record("hub", "c" * 16, 1, 0.0, 0.0, datetime.now(UTC).isoformat(), "buildah")
    write_records(tmp_path / "images.json", {"hub": record})
    user = own_builder.run([*own_builder.program, "from", "--pull-never", names[1]]).strip()
    arguments = ["--builder", "buildah", "--cache", str(tmp_path), "--only-clean"]
    assert main(arguments) == 0  # all of them are young
    assert capsys.readouterr().out == ""
    assert main([*arguments, "--keep-days", "0"]) == 0
    assert re.match(
        r"taken out of the store: hub:a{16} and \d stages? of builds; 0\.0\d GB freed\n", capsys.readouterr().out
    )
    assert [own_builder.has(name) for name in names] == [False, True, True]
    own_builder.run([*own_builder.program, "rm", user])
    assert main([*arguments, "--keep-days", "0"]) == 0
    assert [own_builder.has(name) for name in names] == [False, False, True]
    assert own_builder.has(tag("hub", __version__))
