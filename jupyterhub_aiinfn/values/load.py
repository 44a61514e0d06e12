"""From a file or a text to checked :class:`Values`, and back to text."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jupyterhub_aiinfn.errors import Problem, ValuesError

from .document import Values
from .explain import explain
from .reading import MAX_BYTES, MAX_PROBLEMS, Document, read_document
from .references import reference_problems


def load_values(path: Path | str) -> Values:
    """The values of a file; :class:`ValuesError` says everything that is wrong with it, or why it cannot be read."""
    source = str(path).encode("utf-8", "replace").decode()
    return parse_values(file_content(path), source)


def file_content(path: Path | str) -> bytes:
    """The bytes of a file, no more than may be read; :class:`ValuesError` says why they cannot be had."""
    source = str(path).encode("utf-8", "replace").decode()
    try:
        return _content(Path(path))
    except ValueError:
        raise ValuesError(source, [Problem("", "is not the name of a file")]) from None
    except OSError as error:
        rule = f"cannot be read: {(error.strerror or 'unknown error').lower()}"
        raise ValuesError(source, [Problem("", rule, hint="give the path of a YAML file")]) from None


def parse_values(text: str | bytes, source: str) -> Values:
    """The values of a YAML text; ``source`` is what messages call it. Raises :class:`ValuesError` and nothing else."""
    return check_document(read_document(text, source), source)


def check_document(document: Document, source: str) -> Values:
    """The values of a text that was read; every problem of reading, models and references is in one error."""
    problems, values = list(document.problems), None
    wrong: Iterator[Problem] = iter(())
    if not isinstance(document.data, dict):
        hint = "start from config/local.yaml"
        raise ValuesError(source, problems or [Problem("", "must be a map of keys and values", _kind(document), hint)])
    try:
        values = Values.model_validate_json(json.dumps(document.data), by_alias=True, by_name=False)
    except ValidationError as error:
        wrong = explain(error, document)
    problems += islice(chain(wrong, reference_problems(document)), MAX_PROBLEMS + 1)
    if problems or values is None:
        raise ValuesError(source, _shown(problems))
    return values


def values_hash(values: Values) -> str:
    """What hub and service compare: 16 hexadecimal digits that change when anything that the values say changes.

    The order of entries counts, because pages show it; comments, layout and spelled-out defaults do not.
    """
    return data_hash(plain_values(values))


def data_hash(data: Any) -> str:
    """The same of values as they were stored, perhaps by a release with fewer settings or other defaults."""
    canonical = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def plain_values(values: Values) -> dict[str, Any]:
    """The values as JSON data, with the keys of the file and every default."""
    return values.model_dump(mode="json", by_alias=True)


def _content(path: Path) -> bytes:
    """At most one byte more than may be read; a pipe or device could keep us waiting for ever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
    with path.open("rb") as file:
        before, content, after = os.fstat(file.fileno()), file.read(MAX_BYTES + 1), os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError(0, "it was changed while it was read; try again when whoever writes it is done")
    return content


def _kind(document: Document) -> str:
    return "nothing" if document.data is None else "a list" if isinstance(document.data, list) else "a single value"


def _shown(problems: list[Problem]) -> list[Problem]:
    """All of them, up to a number that somebody reads."""
    if len(problems) <= MAX_PROBLEMS:
        return problems
    return [
        *problems[:MAX_PROBLEMS],
        Problem("", f"there are more than these {MAX_PROBLEMS} problems; mend these first"),
    ]
