"""Which images are built in which order, what their keys depend on, and errors in words."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.container_images.__main__ import main
from scripts.container_images.base import base_key
from scripts.container_images.builders import Builder, find_builder
from scripts.container_images.plan import (
    IMAGES,
    ImagesError,
    chosen,
    files_of,
    files_of_wheel,
    key_of,
    pip_configuration,
    question,
)
from scripts.container_images.report import Record, read_records, table, write_records

NAMES = [image.name for image in IMAGES]
RECORD = Record("hub", "k", 2 * 10**9, 61.25, 3.0, "2026-11-25T07:00:00+00:00", "buildah")


@given(st.sets(st.sampled_from(NAMES)))
def test_what_is_asked_for_is_built_after_what_it_stands_on(names: set[str]) -> None:
    built = [image.name for image in chosen(names)]
    assert names <= set(built)
    for image in chosen(names):
        assert not image.parent or built.index(image.parent) < built.index(image.name)


def test_nothing_asked_for_is_all() -> None:
    assert [image.name for image in chosen([])] == NAMES


@pytest.mark.parametrize("name", ["", "huub", "../hub", "hub service", "a" * 5000, "HUB", "-h\n"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ImagesError, match=r"there is no image .*; the images are hub, service, lab"):
        chosen(["hub", name])


@given(st.dictionaries(st.text(max_size=4), st.binary(max_size=4), max_size=3), st.text(max_size=3))
def test_a_key_changes_with_every_file_and_every_argument(files: dict[str, bytes], other: str) -> None:
    key = key_of(files, other)
    assert key == key_of(dict(reversed(files.items())), other)
    assert key != key_of(files | {"new-name": b""}, other)
    assert key != key_of(files, other, "")
    assert key != key_of(files, other + "x")
    for name, content in files.items():
        assert key != key_of(files | {name: content + b"x"}, other)


def test_a_boundary_between_name_and_content_counts() -> None:
    assert key_of({"ab": b"c"}) != key_of({"a": b"bc"})


def test_what_only_people_read_changes_no_key(tmp_path: Path) -> None:
    (tmp_path / "verify").write_text("true")
    before = files_of(tmp_path)
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "requirements.in").write_text("numpy")
    assert files_of(tmp_path) == before == {"verify": b"true"}


def test_a_wheel_counts_by_what_stays_in_an_image(tmp_path: Path) -> None:
    def key(**files: str) -> str:
        with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
            for name, content in files.items():
                archive.writestr(name.replace("__", "/"), content)
        return key_of(files_of_wheel(tmp_path / "a.whl"))

    images = "a.data__data__share__jupyterhub-aiinfn__images__python__verify"
    before = key(code="1", **{images: "1", "a.dist-info__RECORD": "1"})
    assert key(code="1", **{images: "2", "a.dist-info__RECORD": "2"}) == before
    assert key(code="2", **{images: "1", "a.dist-info__RECORD": "1"}) != before


def test_the_base_follows_the_mirror() -> None:
    assert base_key("") != base_key("http://mirror.example.org/debian")


LISTED = """:env:.find-links='/opt/wheels'
:env:.default-timeout='180'
global.cert='/etc/ssl/own.crt'
global.client-cert='/home/alice/key.pem'
global.index-url='https://index.example.org/simple'
install.target='/home/alice/lib'
nonsense
"""


def test_pip_is_told_how_to_reach_the_index_and_no_file_of_the_machine() -> None:
    said = pip_configuration(LISTED, "/run/certificates.crt").splitlines()
    assert said == [
        "[global]",
        "cert = /run/certificates.crt",
        "index-url = https://index.example.org/simple",
        "timeout = 180",
    ]
    assert pip_configuration("", "") == "[global]\n"


def test_only_fpga_may_hold_a_compiler_and_none_may_hold_node() -> None:
    for image in IMAGES:
        assert " node " in question(image)
        assert "node" in image.forbidden()
        assert ("gcc" in image.forbidden()) == (image.name != "fpga")


def test_no_builder_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ImagesError, match="needs buildah or podman or docker, and this machine has none; run `make setup`"
    ):
        find_builder("", tmp_path)
    with pytest.raises(ImagesError, match="needs podman, and this machine has none"):
        find_builder("podman", tmp_path)
    with pytest.raises(ImagesError, match="kaniko cannot build images here; it is one of buildah, podman, docker"):
        find_builder("kaniko", tmp_path)
    assert main(["--cache", str(tmp_path / "cache"), "hub"]) == 1
    assert capsys.readouterr().err.startswith("images: building images needs buildah")
    assert not (tmp_path / "cache").exists()


def test_an_unknown_image_is_a_sentence_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cache", str(tmp_path), "huub"]) == 1
    assert capsys.readouterr().err.startswith("images: there is no image 'huub'; the images are hub")


@pytest.mark.parametrize("name", ["buildah", "podman", "docker"])
def test_each_builder_is_given_arguments_and_secrets(name: str, tmp_path: Path) -> None:
    command = Builder(name, tmp_path / "cache").build_command(
        tmp_path, "localhost/aiinfn/hub:1", {"BASE": "debian:13-slim"}, {"pip": Path("/tmp/pip.conf")}
    )
    words = " ".join(command)
    assert "--build-arg BASE=debian:13-slim" in words
    assert "--secret id=pip,src=/tmp/pip.conf" in words
    assert ("--isolation chroot" in words) == ("--root" in words) == (name == "buildah")


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    builder = Builder("docker", tmp_path)
    with pytest.raises(ImagesError, match=r"(?s)`docker -c .*` failed with exit code 3:\n    out\n    wrong"):
        builder.run(["sh", "-c", "echo out; echo wrong >&2; exit 3"])


def test_what_was_measured_is_kept_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    write_records(file, {"hub": RECORD})
    assert read_records(file) == {"hub": RECORD}
    assert "hub          2.00 GB" in table([RECORD])
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "7", json.dumps({"hub": {"name": "hub"}}), json.dumps({"hub": 3}), "\0"]
)
def test_what_cannot_be_read_counts_as_nothing(text: str, tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    assert read_records(file) == {}
    file.write_text(text)
    assert read_records(file) == {}
