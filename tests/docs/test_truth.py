"""What the pages say is so: commands exist, examples are valid, links lead somewhere, nothing is from elsewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urldefrag, urlsplit
from xml.etree import ElementTree

import click
import pytest
import yaml
from bs4 import BeautifulSoup

from jupyterhub_aiinfn.values import parse_values

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").glob("[!_]*/*.md"), ROOT / "README.md", ROOT / "docs/index.md"])
EXAMPLE = {
    "version": 1,
    "site": {"name": "Example", "units": ["BO", "FI"]},
    "accelerators": {"a100-1g": {"type": "gpu", "name": "A100 slice"}},
    "images": {"python": {"name": "Python", "folder": "images/python"}},
    "profiles": {
        "python": {"name": "Python", "image": "python", "sizes": {"s": {"cores": 1, "memory_gib": 1}}, "max": "1h"}
    },
}


def blocks(page: Path, language: str) -> Iterator[str]:
    for found in re.finditer(rf"(?ms)^```{language}\n(.*?)^```", page.read_text()):
        yield found[1]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in block.splitlines():
                if line.startswith("$ "):
                    yield page.name, shlex.split(line[2:].split(">")[0])


def test_there_are_commands_to_check() -> None:
    assert len(list(command_lines())) > 20


@pytest.mark.parametrize(("page", "words"), [c for c in command_lines() if c[1][0] == "aiinfn"], ids=lambda v: str(v))
def test_a_command_of_the_pages_exists_with_its_options(page: str, words: list[str], generated: ModuleType) -> None:
    root = generated.commands()["aiinfn"]
    assert arguments_left(root, "aiinfn", words[1:]) == [], f"{page}: {' '.join(words)}"


def arguments_left(command: click.Command, name: str, words: list[str]) -> list[str]:
    """What no parameter takes; a group's words after its own options are those of its command."""
    context = click.Context(command, info_name=name)
    rest = command.make_parser(context).parse_args(list(words))[1]
    if isinstance(command, click.Group) and rest:
        inner = command.get_command(context, rest[0])
        assert inner is not None, f"there is no command {name} {rest[0]}"
        return arguments_left(inner, f"{name} {rest[0]}", rest[1:])
    return rest


def test_make_targets_of_the_pages_exist(root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    text = "\n".join(page.read_text() for page in PAGES)
    for target in set(re.findall(r"(?:`|^    |^\$ )make ([a-z-]+)", text, re.MULTILINE)):
        assert re.search(rf"(?m)^{target}:", makefile), target


def test_inline_commands_exist(generated: ModuleType) -> None:
    known = set(generated.commands())
    for page in PAGES:
        for words in re.findall(r"`(aiinfn(?: [a-z]+)*)", page.read_text()):
            parts = words.split()
            assert any(" ".join(parts[:n]) in known for n in range(2, len(parts) + 1)) or words == "aiinfn", (
                page.name,
                words,
            )


@pytest.mark.parametrize("page", [p for p in PAGES if list(blocks(p, "yaml"))], ids=lambda p: p.name)
def test_examples_of_the_values_file_are_valid(page: Path) -> None:
    for block in blocks(page, "yaml"):
        found = yaml.safe_load(block)
        merged = {
            key: {**EXAMPLE.get(key, {}), **value} if isinstance(value, dict) else value for key, value in found.items()
        }
        parse_values(yaml.safe_dump({**EXAMPLE, **merged}), page.name)


def test_the_files_that_the_pages_name_exist(root: Path) -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:config|docs|images|jupyterhub_aiinfn|bench)/[\w./-]+\w)`", page.read_text()):
            built = name.startswith("docs/_build")  # `make docs` makes it
            assert built or (root / name).exists(), (page.name, name)


def test_links_of_the_readme_lead_somewhere(root: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (root / "README.md").read_text()):
        assert urlsplit(target).scheme or (root / urldefrag(target).url).exists(), target


def test_links_within_the_pages_lead_somewhere(html: Path) -> None:
    soups = {page: BeautifulSoup(page.read_text(), "html.parser") for page in html.rglob("*.html")}
    for page, soup in soups.items():
        for link in soup.find_all("a", href=True):
            address, fragment = urldefrag(link["href"])
            if urlsplit(address).scheme:
                continue
            target = (page.parent / address).resolve() if address else page
            assert target.exists(), (page.name, link["href"])
            if fragment and target in soups:
                assert soups[target].find(id=fragment), (page.name, link["href"])


def test_no_page_loads_anything_from_another_host(html: Path) -> None:
    for page in html.rglob("*.html"):
        soup = BeautifulSoup(page.read_text(), "html.parser")
        loaded = [tag.get("src") or tag.get("href") for tag in soup.find_all(["script", "img", "link", "iframe"])]
        assert not [address for address in loaded if address and urlsplit(address).netloc], page.name
    for sheet in html.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", sheet.read_text()), sheet.name


@pytest.mark.parametrize("name", ["processes", "layers", "queues"])
def test_figures_have_a_title_and_a_description(docs: Path, name: str) -> None:
    figure = ElementTree.parse(docs / f"explanation/figures/{name}.svg").getroot()
    labels = figure.get("aria-labelledby", "").split()
    kinds = {element.get("id"): element.tag.rpartition("}")[2] for element in figure.iter()}
    assert figure.get("role") == "img"
    assert [kinds[label] for label in labels] == ["title", "desc"]


def test_the_figure_of_the_layers_names_every_part(docs: Path, root: Path) -> None:
    figure = (docs / "explanation/figures/layers.svg").read_text()
    package = root / "jupyterhub_aiinfn"
    parts = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert not [part for part in parts - {"__init__"} if f">{part}<" not in figure]
