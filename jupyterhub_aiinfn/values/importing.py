"""A values file from the accelerator catalogue and the group properties of the platform in use today.

Nothing is invented: what the files do not say is left out, and what could not be carried over is said in sentences.
What is carried over passes ``aiinfn values check`` as soon as the person has added the site, images and profiles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.errors import Problem, ValuesError

from .catalogue_entries import PRICE, read_entry
from .group_properties import read_groups
from .load import check_document, file_content
from .quoting import quote
from .reading import MAX_PROBLEMS, Document, read_document
from .writing import yaml_text

Data = dict[str, Any]
MISSING = (
    "site: {name: …}: what the platform is called",
    "images: environments with a kernel, such as python: {name: Python, folder: images/python}",
    "profiles: what people pick: image, sizes, accelerators of the list below, and for whom",
)
"""Sections without which no values file is whole, and which today's files do not know."""
MAX_NAMED = 12
"""Accelerators that one sentence names."""
SOURCE = "the imported values"
COMPLETED = {
    "version": 1,
    "site": {"name": "site"},
    "images": {"image": {"name": "image", "folder": "image"}},
    "profiles": {
        "profile": {"name": "profile", "image": "image", "sizes": {"size": {"cores": 1, "memory_gib": 1}}, "max": "1h"}
    },
}
"""The least that a person adds; what was carried over is checked together with it."""


@dataclass
class Imported:
    """What was read: sections of the values file, and a sentence for everything that is not in them."""

    sections: dict[str, Data] = field(default_factory=lambda: {"nodes": {}, "accelerators": {}, "projects": {}})
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Say something, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


def import_values(catalogue: Path, groups: Path | None, day: date) -> Imported:
    """Read both files. Raises :class:`ValuesError` for one that cannot be read at all or is no catalogue.

    Prices hold from ``day`` on, the day of the import: the files say nothing about earlier ones.
    """
    found = Imported()
    _read_catalogue(_document(catalogue, found), str(catalogue), found)
    if groups is not None:
        _read_group_file(_document(groups, found), str(groups), found)
    drop_what_is_wrong(found)
    _date_prices(found, day)
    return found


def as_yaml(found: Imported, catalogue: str) -> str:
    """The values file, with what must be added to it at its head."""
    name = quote(catalogue)
    head = [
        f"# Made by `aiinfn values import` from {name}.",
        "# NOT COMPLETE: `aiinfn values check` refuses it until these sections are added, which cannot be invented:",
        *(f"#   {line}" for line in MISSING),
        "version: 1",
    ]
    sections = {key: section for key, section in found.sections.items() if section}
    return "\n".join(head) + "\n" + (yaml_text(sections) if sections else "")


def drop_what_is_wrong(found: Imported) -> None:
    """Take out every entry that the check refuses, with its sentence, until what is left passes."""
    while problems := _problems(found):
        before = sum(map(len, found.sections.values()))
        for problem in problems:
            _drop(problem, found)
        if sum(map(len, found.sections.values())) == before:
            raise ValuesError(SOURCE, problems)  # nothing that an entry could be blamed for: an error of ours


def _date_prices(found: Imported, day: date) -> None:
    """Each accelerator gets its price from ``day`` on; those that the catalogue does not price get 0, which is said."""
    accelerators = found.sections["accelerators"]
    missing = [key for key, entry in accelerators.items() if PRICE not in entry]
    for entry in accelerators.values():
        entry[PRICE] = [{"from": day.isoformat(), "price": entry.get(PRICE, 0)}]
    if missing:
        has = "has no price" if len(missing) == 1 else "have no price"
        names = f"{', '.join(missing[:MAX_NAMED])}{', …' if len(missing) > MAX_NAMED else ''}"
        found.note(f"{len(missing)} of {len(accelerators)} accelerators {has} in the catalogue: {names}")
        found.note(f"missing prices are 0 from {day} on; write what an hour costs in accelerators.<key>.{PRICE}")


def _problems(found: Imported) -> tuple[Problem, ...]:
    data = COMPLETED | {key: section for key, section in found.sections.items() if section}
    try:
        check_document(Document(data=data), SOURCE)
    except ValuesError as error:
        return error.problems
    return ()


def _drop(problem: Problem, found: Imported) -> None:
    section, _, rest = problem.path.partition(".")
    key = rest.partition(".")[0].partition("[")[0].strip('"')
    if found.sections.get(section, {}).pop(key, None) is not None:
        found.note(f"{section}.{key} was not carried over: {problem}")


def _document(path: Path, found: Imported) -> Any:
    """The data of a file; problems of single words in it are said, and the words left as they were read."""
    document = read_document(file_content(path), str(path))
    for problem in document.problems[:MAX_PROBLEMS]:
        found.note(f"{path}: {problem}; what stands there was read as well as it could be")
    return document.data


def _read_catalogue(data: Any, source: str, found: Imported) -> None:
    if not isinstance(data, dict):
        hint = "give the accelerator catalogue: a map with the list models"
        raise ValuesError(source, [Problem("", "must be a map of keys and values", quote(data), hint)])
    models = data.get("models")
    if not isinstance(models, list):
        hint = "the catalogue has its accelerators in a list under the key models"
        raise ValuesError(source, [Problem("models", "must be a list", quote(models), hint)])
    for key in data.keys() - {"models"}:
        found.note(f"{quote(key)} of the catalogue is not known and was not carried over")
    seen: list[Any] = []
    for number, entry in enumerate(models, 1):
        if entry in seen[-MAX_PROBLEMS:]:
            found.note(f"entry {number} is written twice in the catalogue; it was carried over once")
            continue
        seen.append(entry)
        read_entry(number, entry, found.sections, found.note)


def _read_group_file(data: Any, source: str, found: Imported) -> None:
    if not isinstance(data, dict | list):
        hint = "give a map of names and properties, or the list that the hub's REST API answers to GET /groups"
        raise ValuesError(source, [Problem("", "must be a map or a list of groups", quote(data), hint)])
    read_groups(data, found.sections["projects"], found.note)
