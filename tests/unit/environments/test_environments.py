"""Where environments are, which are ready, and which may go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.environment_lock import take
from jupyterhub_aiinfn.backends.local.environments import Environments, fetch_settings
from jupyterhub_aiinfn.backends.local.frozen import parse_pins
from jupyterhub_aiinfn.backends.local.installation import data_folder
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import parse_values

VALUES = """
version: 1
site: {name: Test}
images:
  demo: {name: Demo, folder: demo}
  python: {name: Python, folder: images/python}
  cluster: {name: Cluster, reference: "registry.test/cluster@sha256:%s"}
  lost: {name: Lost, folder: nowhere}
  empty: {name: Empty, folder: empty}
profiles:
  demo: {name: Demo, image: demo, sizes: {small: {cores: 1, memory_gib: 1}}, max: 1h}
""" % ("0" * 64)


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    (tmp_path / "demo").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "demo" / "requirements.txt").write_text("one==1.0 \\\n    --hash=sha256:00\n")
    return again(tmp_path)


def again(folder: Path, text: str = VALUES) -> Environments:
    return Environments(parse_values(text, "values.yaml"), folder / "values.yaml", folder / "cache")


def make_ready(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "ready.json").write_text(json.dumps({"bytes": 5_000_000}))
    return path


def test_folder_is_beside_the_values_file_or_of_the_installation(environments: Environments, tmp_path: Path) -> None:
    assert environments.source("demo") == tmp_path / "demo"
    assert environments.source("python") == data_folder() / "images" / "python"


def test_key_changes_with_the_frozen_file_and_the_name(environments: Environments, tmp_path: Path) -> None:
    key = environments.key("demo")
    assert key.startswith("demo-")
    assert again(tmp_path).key("demo") == key
    assert again(tmp_path, VALUES.replace("name: Demo, folder", "name: Other, folder")).key("demo") != key
    (tmp_path / "demo" / "requirements.txt").write_text("one==1.1\n")
    assert again(tmp_path).key("demo") != key


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("cluster", 'image "cluster" has no folder'),
        ("lost", 'the folder of image "lost" is not '),
        ("empty", 'image "empty" has no '),
        ("unknown", 'there is no image "unknown" in the values; there are cluster, demo, empty, lost, python'),
    ],
)
def test_what_cannot_be_built_is_a_sentence_and_never_ready(
    environments: Environments, image: str, sentence: str
) -> None:
    with pytest.raises(BackendError) as error:
        environments.build_spec(image)
    assert str(error.value).startswith(sentence)
    assert not environments.ready(image)


def test_readiness(environments: Environments) -> None:
    make_ready(environments.path("demo"))
    assert environments.readiness() == {
        "demo": True,
        "python": False,
        "cluster": False,
        "lost": False,
        "empty": False,
    }
    assert environments.state("demo") == "ready"
    assert environments.bytes("demo") == 5_000_000


def test_state_says_building_while_the_lock_is_held(environments: Environments) -> None:
    path = environments.path("demo")
    path.mkdir(parents=True)
    assert environments.state("demo") == "not built"
    lock = take(path)
    assert lock is not None
    assert environments.state("demo") == "building"
    os.close(lock)
    assert environments.state("demo") == "not built"


def test_build_spec_is_a_platform_job_with_a_key(environments: Environments) -> None:
    spec = environments.build_spec("demo")
    assert (spec.kind, spec.job_class, spec.person, spec.max_seconds) == ("job", "platform", None, 3600)
    assert spec.name == "environment demo"
    assert spec.key == environments.build_spec("demo").key == f"environment-{environments.key('demo')[5:]}"
    assert spec.command[:3] == (sys.executable, "-m", "jupyterhub_aiinfn.backends.local.build")
    assert spec.environment == {}


def test_settings_of_the_index_are_not_part_of_the_spec(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://name:password@index.test/simple")
    monkeypatch.setenv("https_proxy", "http://proxy.test")
    assert "password" not in repr(environments.build_spec("demo"))
    assert {"PIP_INDEX_URL", "https_proxy"} <= fetch_settings().keys()


def test_prune_removes_what_nothing_needs(environments: Environments) -> None:
    kept = make_ready(environments.path("demo"))
    old = make_ready(environments.folder / "demo-0000000000000000")
    unfinished = environments.folder / "gone-1111111111111111"
    unfinished.mkdir()
    assert {leftover.path for leftover in environments.prune()} == {old, unfinished}
    assert kept.exists()
    assert not old.exists()


def test_prune_keeps_what_is_in_use_or_being_built(environments: Environments) -> None:
    used = make_ready(environments.folder / "demo-0000000000000000")
    built = make_ready(environments.folder / "demo-2222222222222222")
    lock = take(built)
    assert lock is not None
    with subprocess.Popen(["sleep", "30"], env={"JUPYTER_PATH": f"{used}/share/jupyter"}) as process:
        assert environments.prune() == []
        process.kill()
    os.close(lock)
    assert {leftover.path for leftover in environments.prune()} == {used, built}


def test_pins_are_read_with_sizes_and_conditions() -> None:
    text = (
        "# top\nA_b==1.0 \\\n    --hash=sha256:0\n    # size: 12\nc==2 ; python_version < '3' \\\n    --hash=sha256:1\n"
    )
    one, two = parse_pins(text)
    assert (one.name, one.version, one.size, one.marker) == ("a-b", "1.0", 12, "")
    assert (two.title, two.size, two.marker) == ("c 2", 0, "python_version < '3'")


@pytest.mark.parametrize("image", ["python", "quantum"])
def test_frozen_files_are_whole_and_name_no_index(image: str) -> None:
    text = (data_folder() / "images" / image / "requirements.txt").read_text()
    pins = parse_pins(text)
    assert len(pins) > 40
    assert all(pin.size for pin in pins)
    assert text.count("# size:") == len(pins)
    assert "://" not in text
    assert "--index" not in text
    assert {"ipykernel", "numpy", "pip"} <= {pin.name for pin in pins}
