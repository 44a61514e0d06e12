"""Write ``labextension/src/api.ts`` from the service's OpenAPI document, or say that it is stale (``--check``).

The document holds what the service answers; what the user's own server answers (``api/lab.py``) is added to its
components, so that every type that travels comes from a pydantic model. openapi-typescript writes the types, prettier
gives them the form of the other sources.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT / "labextension"
TARGET = LAB / "src" / "api.ts"
HEAD = "/** Written by `make types` from the service's OpenAPI document and api/lab.py; not to be edited. */\n"
REFERENCE = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """An OpenAPI document with every type that travels, and no paths: requests.ts knows those."""
    from pydantic.json_schema import models_json_schema

    from jupyterhub_aiinfn.api.lab import EXPORTED

    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    service = importlib.import_module("generated_reference").openapi()
    models = [(model, "serialization") for model in EXPORTED]
    _, own = models_json_schema(models, ref_template=REFERENCE)  # type: ignore[arg-type]
    schemas = {**own["$defs"], **service["components"]["schemas"]}
    named = {name: complete(schema) for name, schema in sorted(schemas.items()) if "ValidationError" not in name}
    info = {"title": "jupyterhub-aiinfn", "version": "0"}
    return {"openapi": "3.1.0", "info": info, "paths": {}, "components": {"schemas": named}}


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Every field is required: what is sent holds all of them, also those that have a default."""
    return schema | {"required": list(schema["properties"])} if "properties" in schema else schema


def generate() -> str:
    """The text of ``api.ts``."""
    with tempfile.TemporaryDirectory() as folder:
        source, types = Path(folder, "openapi.json"), Path(folder, "api.ts")
        source.write_text(json.dumps(document()))
        options = ["--root-types", "--root-types-no-schema-prefix"]
        tool("openapi-typescript", str(source), "--output", str(types), *options)
        text = HEAD + types.read_text().partition("*/\n")[2].lstrip()
    return tool("prettier", "--stdin-filepath", str(TARGET), given=text)


def tool(name: str, *arguments: str, given: str | None = None) -> str:
    """Run a program of ``node_modules``; its output."""
    path = os.pathsep.join([str(LAB / "node_modules" / ".bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [str(LAB / "node_modules" / ".bin" / name), *arguments],
        cwd=LAB,
        env=os.environ | {"PATH": path},
        input=given,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def main(arguments: list[str]) -> int:
    """0 when ``api.ts`` is (now) what the service says; 1 when it is stale and was only to be checked."""
    text = generate()
    if "--check" not in arguments:
        TARGET.write_text(text)
        return 0
    if TARGET.is_file() and TARGET.read_text() == text:
        return 0
    print("labextension/src/api.ts is not what the service says; run `make types` and commit it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
