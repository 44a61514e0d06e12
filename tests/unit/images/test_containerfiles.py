"""What every Containerfile of this repository says, and what none may."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.container_images.plan import IMAGES, RUNTIME_USER

ROOT = Path(__file__).parents[3]
FILES = sorted(ROOT.glob("images/*/Containerfile"))
LABELS = ("title", "version", "source", "licenses")


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction with its argument, lines that go on joined, comments left out."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", code)
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


@pytest.fixture(params=FILES, ids=lambda file: file.parent.name)
def file(request: pytest.FixtureRequest) -> Path:
    """One Containerfile."""
    return request.param


@pytest.fixture
def said(file: Path) -> list[tuple[str, str]]:
    """Its instructions."""
    return instructions(file.read_text())


def last_stage(said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    start = max(number for number, (word, _) in enumerate(said) if word == "FROM")
    return said[start:]


def test_each_image_of_the_plan_has_a_folder_and_each_folder_is_in_the_plan() -> None:
    assert sorted(image.name for image in IMAGES) == [file.parent.name for file in FILES]


def test_the_base_is_an_argument_with_a_named_version(said: list[tuple[str, str]]) -> None:
    before = said[: [word for word, _ in said].index("FROM")]
    assert ("ARG", "BASE=debian:13-slim") in before
    assert all(word == "ARG" for word, _ in before)


def test_every_stage_stands_on_an_argument_or_on_an_earlier_stage(said: list[tuple[str, str]]) -> None:
    stages: set[str] = set()
    for source in (rest for word, rest in said if word == "FROM"):
        name, _, stage = source.partition(" AS ")
        assert name in {"${BASE}", "${LAB}"} | stages
        stages.add(stage)
    assert len(stages) > 1, "what builds is in the result"


def test_nothing_is_latest_and_no_index_is_named(file: Path) -> None:
    text = file.read_text()
    assert ":latest" not in text
    assert re.findall(r"https?://|index-url|find-links|trusted-host", text) == []
    assert re.findall(r"(?m)^ARG (\w*(?:TOKEN|PASSWORD|SECRET|INDEX)\w*)", text) == []


def test_it_ends_as_an_ordinary_user_by_number(said: list[tuple[str, str]]) -> None:
    assert [rest for word, rest in last_stage(said) if word == "USER"][-1] == RUNTIME_USER


def test_what_needs_the_index_is_frozen_and_sees_secrets_only_while_it_runs(said: list[tuple[str, str]]) -> None:
    runs = [rest for word, rest in said if word == "RUN"]
    frozen = [rest for rest in runs if "--requirement" in rest]
    assert len(frozen) == 1
    for option in ("--require-hashes", "--no-deps", "--only-binary :all:", "--no-cache-dir"):
        assert option in frozen[0]
    assert "--mount=type=secret,id=pip,target=/etc/pip.conf" in frozen[0]
    others = [rest for rest in runs if " install " in rest and "apt-get" not in rest and rest not in frozen]
    assert all("--no-index" in rest for rest in others)
    assert any("pip check" in rest or "python check" in rest for rest in runs)


def test_no_secret_is_mounted_in_the_stage_that_is_kept(said: list[tuple[str, str]]) -> None:
    assert not [rest for word, rest in last_stage(said) if "--mount" in rest]


def test_it_says_what_it_is(said: list[tuple[str, str]]) -> None:
    labels = " ".join(rest for word, rest in last_stage(said) if word == "LABEL")
    for label in LABELS:
        assert re.search(rf'org\.opencontainers\.image\.{label}="[^"]+"', labels), label
    assert '"BSD-3-Clause"' in labels


def test_a_compiler_is_only_where_people_are_promised_one(file: Path, said: list[tuple[str, str]]) -> None:
    image = next(image for image in IMAGES if image.name == file.parent.name)
    installed = " ".join(rest for word, rest in last_stage(said) if word == "RUN" and "apt-get install" in rest)
    assert ("g++" in installed.split()) == ("g++" in image.promised)
    assert not {"gcc", "build-essential", "nodejs", "npm"} & set(installed.split())


def test_every_list_of_packages_is_removed_in_the_layer_that_fetched_it(said: list[tuple[str, str]]) -> None:
    kept = [rest for word, rest in last_stage(said) if word == "RUN" and "apt-get update" in rest]
    assert all("rm -rf /var/lib/apt/lists/*" in rest for rest in kept)
