"""The language files of the JupyterLab extension: ``make translations`` brings them up to date.

English is the language of the sources; ``locale/jupyterhub_aiinfn.pot`` holds all of it. For each other language
a ``.po`` is what translators edit; JupyterLab reads the ``.json`` beside it (an entry point names the folder).
With ``--check`` nothing is written, and the exit code is 1 when a file is not up to date.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_javascript
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "jupyterhub_aiinfn/locale"
DOMAIN = "jupyterhub_aiinfn"
LANGUAGES = ("it_IT",)
KEYWORDS = {"__": None, "_n": (1, 2)}
SCHEMA_TEXTS = ("title", "description", "jupyter.lab.setting-icon-label", "label", "caption")


def main() -> int:
    """Bring everything up to date, or look whether it is."""
    wanted = dict(files())
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not up to date; run make translations", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
    for language in LANGUAGES:
        done, total = translated(LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po")
        print(f"{language}: {done} of {total} texts are translated")
    return 0


def files() -> Iterator[tuple[Path, str]]:
    """Every language file and what it should hold."""
    template = extracted()
    yield LOCALE / f"{DOMAIN}.pot", as_po(template)
    for language in LANGUAGES:
        path = LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"
        catalog = read_po(path.open("rb"), locale=language) if path.is_file() else Catalog(locale=language)
        catalog.update(template, no_fuzzy_matching=True, keep_user_comments=True)
        catalog.obsolete.clear()
        yield path, as_po(catalog)
        yield path.with_suffix(".json"), as_json(catalog)


def extracted() -> Catalog:
    """All texts of the TypeScript sources and of the settings schemas."""
    catalog = Catalog(project="jupyterhub-aiinfn", copyright_holder="INFN and the jupyterhub-aiinfn authors")
    for path in sorted((ROOT / "labextension/src").rglob("*.ts*")):
        if "__tests__" not in path.parts:
            for text in texts_of(path):
                catalog.add(text, locations=[(str(path.relative_to(ROOT)), 0)])
    for path in sorted((ROOT / "labextension/schema").glob("*.json")):
        for text in schema_texts(json.loads(path.read_text())):
            catalog.add(text, locations=[(str(path.relative_to(ROOT)), 0)], context="schema")
    return catalog


def texts_of(path: Path) -> Iterator[str | tuple[str, ...]]:
    """What a TypeScript file gives to the translator."""
    options = {"jsx": path.suffix == ".tsx", "parse_template_string": False}
    for _, function, message, _ in extract_javascript(io.BytesIO(path.read_bytes()), list(KEYWORDS), [], options):
        parts = [part for part in (message if isinstance(message, tuple) else (message,)) if isinstance(part, str)]
        if function == "_n" and len(parts) >= 2:
            yield parts[0], parts[1]
        elif parts:
            yield parts[0]


def schema_texts(schema: Any) -> Iterator[str]:
    """Titles and descriptions that the settings editor shows."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in SCHEMA_TEXTS and isinstance(value, str):
                yield value
            else:
                yield from schema_texts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from schema_texts(value)


def as_po(catalog: Catalog) -> str:
    """The catalogue as translators edit it, without dates: the same sources give the same file."""
    buffer = io.BytesIO()
    write_po(buffer, catalog, width=110, sort_output=True, omit_header=False)
    text = buffer.getvalue().decode()
    return re.sub(r'(?m)^"(POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator)[^\n]*\n', "", text).replace(
        ":0\n", "\n"
    )


def as_json(catalog: Catalog) -> str:
    """The catalogue as JupyterLab reads it (Jed): only what is translated."""
    head = {"domain": DOMAIN, "language": str(catalog.locale), "plural_forms": catalog.plural_forms}
    found: dict[str, Any] = {}
    for message in catalog:
        if message.id and message.string and (not isinstance(message.string, tuple) or all(message.string)):
            name = message.id[0] if isinstance(message.id, tuple) else message.id
            key = f"{message.context}\x04{name}" if message.context else name
            found[key] = list(message.string) if isinstance(message.string, tuple) else [message.string]
    return json.dumps({"": head, **dict(sorted(found.items()))}, ensure_ascii=False, indent=1) + "\n"


def translated(path: Path) -> tuple[int, int]:
    """How many texts of a language are translated, and how many there are."""
    messages = [message for message in read_po(path.open("rb")) if message.id]
    return sum(bool(message.string) for message in messages), len(messages)


if __name__ == "__main__":
    sys.exit(main())
