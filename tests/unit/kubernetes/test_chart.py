"""The values of the JupyterHub chart: what follows from ours, and what its hub reads back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jupyterhub_aiinfn.backends.kubernetes.chart import chart_values, image_parts
from jupyterhub_aiinfn.values import load_values, parse_values, values_hash
from jupyterhub_aiinfn.values.writing import yaml_text

from .farms import CONFIG, FARMS, farm

Z2JH = """\
import yaml


def get_config(key, default=None):
    with open({file!r}) as stream:
        value = yaml.safe_load(stream)
    for level in key.split("."):
        if not isinstance(value, dict) or level not in value:
            return default
        value = value[level]
    return value
"""
"""What the module of the chart's hub does with a key: dictionaries are walked, anything else is the default."""
READ = """\
from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.hub import configure
from jupyterhub_aiinfn.hub.chart import chart_values
from jupyterhub_aiinfn.values import values_hash
try:
    print(values_hash(chart_values()))
    configure(object())
except AiinfnError as error:
    print(error)
"""


def read(folder: Path, content: str | None) -> str:
    """What a process says that has the chart's module beside it, and this values file; None: no module."""
    if content is not None:
        (folder / "values.yaml").write_text(content)
        (folder / "z2jh.py").write_text(Z2JH.format(file=str(folder / "values.yaml")))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIINFN_")}
    done = subprocess.run(
        [sys.executable, "-c", READ],
        env={**environment, "PYTHONPATH": str(folder)},
        cwd=CONFIG.parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("key", sorted(FARMS))
def test_our_values_survive_the_chart(key: tuple[str, bool, str]) -> None:
    text = yaml_text(chart_values(FARMS[key]))
    inner = yaml.safe_load(text)["custom"]["aiinfn"]
    assert values_hash(parse_values(yaml_text(inner), "chart")) == values_hash(FARMS[key])


def test_the_hub_reads_what_was_printed(tmp_path: Path) -> None:
    said = read(tmp_path, yaml_text(chart_values(farm()))).splitlines()
    assert said[0] == values_hash(farm())
    assert said[1] == "the variable AIINFN_STATE is not set; start this process with `aiinfn up`"


def test_the_hub_reads_dates_that_yaml_made(tmp_path: Path) -> None:
    plain = yaml.safe_dump({"custom": {"aiinfn": yaml.safe_load(CONFIG.read_text())}}, sort_keys=False)
    assert read(tmp_path, plain).splitlines()[0] == values_hash(load_values(CONFIG))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "this hub is not one of the JupyterHub chart"),
        ("custom: {}", "the chart's values hold no custom.aiinfn"),
        ("custom: 3", "the chart's values hold no custom.aiinfn"),
        ("custom: {aiinfn: [1]}", "custom.aiinfn of the chart's values must be a map"),
        ("custom: {aiinfn: {version: 2}}", "custom.aiinfn: "),
        ("custom: {aiinfn: &a {version: *a}}", "holds something that is no plain data"),
    ],
)
def test_wrong_values_of_the_chart_are_a_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    assert sentence in read(tmp_path, content)


def test_every_image_of_a_profile_is_fetched_before() -> None:
    values = farm()
    fetched = chart_values(values)["prePuller"]["extraImages"]
    joined = {f"{one['name']}:{one['tag']}" for one in fetched.values()}
    assert joined == {values.images[profile.image].reference for profile in values.profiles.values()}


@pytest.mark.parametrize("name", ["r:5000/a/b", "b", "a/b:1", "r:5000/b:1", "r/b@sha256:00", "r/b:1@sha256:00"])
def test_the_chart_joins_an_image_as_it_was(name: str) -> None:
    parts = image_parts(name)
    assert f"{parts['name']}:{parts['tag']}" in (name, f"{name}:latest")
