"""Writes the parts of the reference that the code itself knows: values, commands, endpoints, errors.

Each ``render_…`` function gives the text of one page part; Sphinx runs :func:`write_all` before it reads the pages,
which include ``reference/generated/NAME.md``. The tests of the docs call the same functions.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from fastapi import APIRouter, FastAPI
from pydantic import TypeAdapter
from sphinx.application import Sphinx

from jupyterhub_aiinfn import errors
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.base import GroupName, Identifier, UserName

Schema = dict[str, Any]
KINDS: dict[Any, str] = {Identifier: "identifier", GroupName: "group name", UserName: "login name"}
ROOT = Path(__file__).resolve().parents[2]
PATTERN_WORDS = {TypeAdapter(kind).json_schema()["pattern"]: words for kind, words in KINDS.items()}
"""What texts of a certain form are called; the form itself is in the schema."""
METHODS = ("get", "post", "put", "patch", "delete")


def cell(text: str) -> str:
    """``text`` as it may stand in a cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").replace("``", "`").replace("<", "&lt;").split())


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; empty when it has no row."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    titles = list(head)
    return "\n".join([f"| {' | '.join(titles)} |", "|" + "---|" * len(titles), *lines, ""]) if lines else ""


# The values file


def render_values() -> str:
    """Every section, field, type, default and description of the values file."""
    schema = Values.model_json_schema(by_alias=True)
    parts = [_section("", "the file itself", schema, schema)]
    for path, definition in walk_sections(schema, schema, ""):
        parts.append(_section(path, path, definition, schema))
    return "\n".join(parts)


def walk_sections(node: Schema, schema: Schema, prefix: str) -> Iterator[tuple[str, Schema]]:
    """Every nested section with its path (``profiles.<key>.sizes.<key>``), in the order of the file."""
    for name, field in node.get("properties", {}).items():
        found = _nested(field, schema)
        if found is not None:
            suffix, definition = found
            path = f"{prefix}{name}{suffix}"
            yield path, definition
            yield from walk_sections(definition, schema, path + ".")


def value_paths() -> list[str]:
    """Every setting as a dotted path; what the test of the docs looks for."""
    schema = Values.model_json_schema(by_alias=True)
    sections = [("", schema), *((path + ".", definition) for path, definition in walk_sections(schema, schema, ""))]
    return [prefix + name for prefix, definition in sections for name in definition.get("properties", {})]


def _section(path: str, title: str, definition: Schema, schema: Schema) -> str:
    required = set(definition.get("required", ()))
    rows = [
        (f"`{name}`", type_words(field, schema), _default(field, name in required), cell(field.get("description", "")))
        for name, field in definition.get("properties", {}).items()
    ]
    heading = f"## `{title}`" if path else f"## {title.capitalize()}"
    text = definition.get("description", "")
    return f"{heading}\n\n{cell(text)}\n\n" + table(("key", "type", "default", "meaning"), rows)


def _default(field: Schema, required: bool) -> str:
    if required:
        return "**required**"
    default = field.get("default")
    if default is None or default in ([], {}, "") or isinstance(default, dict):
        return "none"
    return f"`{json.dumps(default)}`"


def _resolve(node: Schema, schema: Schema) -> Schema:
    reference = node.get("$ref")
    if reference is None:
        return node
    found: Schema = schema["$defs"][reference.rsplit("/", 1)[1]]
    return found


def _nested(field: Schema, schema: Schema) -> tuple[str, Schema] | None:
    """The section below a field, and what its path gets: "" for one, ``.<key>`` for a map, ``[]`` for a list."""
    for node in (_resolve(kind, schema) for kind in _resolve(field, schema).get("anyOf", [field])):
        if "properties" in node:
            return "", node
        inner = [(".<key>", one) for one in _map_values(node)] + [("[]", one) for one in _items(node)]
        for suffix, one in inner:
            nested = _resolve(one, schema)
            if "properties" in nested:
                return suffix, nested
    return None


def _items(node: Schema) -> list[Schema]:
    return [node["items"]] if isinstance(node.get("items"), dict) else []


def _map_values(node: Schema) -> list[Schema]:
    found = [*node.get("patternProperties", {}).values()]
    if isinstance(node.get("additionalProperties"), dict):
        found.append(node["additionalProperties"])
    return found


def type_words(field: Schema, schema: Schema) -> str:
    """The type of a field in words: ``list of whole numbers, 1 to 100``."""
    node = _resolve(field, schema)
    if "anyOf" in node:
        kinds = [type_words(kind, schema) for kind in node["anyOf"] if kind.get("type") != "null"]
        return " or ".join(kinds)
    if "const" in node or "enum" in node:
        return " or ".join(f"`{json.dumps(value)}`" for value in node.get("enum", [node.get("const")]))
    return _plain_type(node, schema)


def _plain_type(node: Schema, schema: Schema) -> str:
    kind = node.get("type", "")
    if kind == "array":
        return f"list of: {type_words(node.get('items', {}), schema)}"
    if kind == "object":
        inner = _map_values(node)
        return f"map of: {type_words(inner[0], schema)}" if inner else "section"
    words = {"string": _text_type(node), "integer": "whole number", "number": "number", "boolean": "true or false"}
    return words.get(str(kind), "anything") + _bounds(node)


def _text_type(node: Schema) -> str:
    if node.get("format") == "date":
        return "date"
    if "smhd" in node.get("pattern", ""):
        return "duration"
    return PATTERN_WORDS.get(node.get("pattern", ""), "text")


def _bounds(node: Schema) -> str:
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "maxLength": "at most"}
    unit = {"maxLength": " characters"}
    found = [f"{words[key]} {node[key]}{unit.get(key, '')}" for key in words if key in node]
    return ", " + ", ".join(found) if found else ""


# The command line


def walk_commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name (``aiinfn user add``), groups before their commands."""
    yield context.command_path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from walk_commands(inner, click.Context(inner, info_name=name, parent=context))


def commands() -> dict[str, click.Command]:
    """All commands of ``aiinfn`` by full name."""
    from jupyterhub_aiinfn.cli.main import cli

    return dict(walk_commands(cli, click.Context(cli, info_name="aiinfn")))


def render_cli() -> str:
    """Every command and option of ``aiinfn``."""
    return "\n".join(_command(path, command) for path, command in commands().items())


def _command(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    arguments = [p.make_metavar(context) for p in command.params if isinstance(p, click.Argument)]
    tail = ["COMMAND"] if isinstance(command, click.Group) else []
    usage = " ".join([path, *(["[OPTIONS]"] if len(command.params) > len(arguments) else []), *arguments, *tail])
    rows = [_option(p, context) for p in command.params if isinstance(p, click.Option) and not p.hidden]
    text = inspect.cleandoc(command.help or "").replace("\b", "").split("\f")[0]
    return f"## `{path}`\n\n{_prose(text)}\n\n```text\n{usage}\n```\n\n" + table(("option", "default", "meaning"), rows)


def _prose(text: str) -> str:
    """Help text as Markdown: angle brackets are no HTML, double backquotes are code already."""
    return text.replace("<", "\\<")


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    names = ", ".join([*option.opts, *option.secondary_opts])
    metavar = "" if option.is_flag or option.count else f" {option.make_metavar(context)}"
    record = option.to_info_dict()
    default = "required" if option.required else _option_default(record.get("default"))
    return f"`{names}{metavar}`".replace("|", "\\|"), default, cell(option.help or "")


def _option_default(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "" else ""


# The REST API


def openapi() -> Schema:
    """The OpenAPI document of the platform service, from the routers of its features: no service has to run."""
    from jupyterhub_aiinfn.service import app as service

    logging.getLogger("alembic").setLevel(logging.WARNING)  # it greets whoever imports it
    document = FastAPI(title="platform service", version="0", responses=service.ERRORS)
    for feature in vars(service).values():
        if isinstance(getattr(feature, "router", None), APIRouter):
            document.include_router(feature.router)
    return document.openapi()


def endpoints(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Method, path and description of every endpoint, sorted by path."""
    for path in sorted(document["paths"]):
        for method in METHODS:
            if method in document["paths"][path]:
                yield method.upper(), path, document["paths"][path][method]


def render_rest() -> str:
    """Every endpoint with its parameters and answers, then every type that travels."""
    document = openapi()
    parts = [_endpoint(method, path, found, document) for method, path, found in endpoints(document)]
    types = [_message(name, found, document) for name, found in sorted(document["components"]["schemas"].items())]
    return "\n".join(["## Endpoints", "", *parts, "## Types", "", *types])


def _endpoint(method: str, path: str, found: Schema, document: Schema) -> str:
    rows = [
        (f"`{p['name']}`", p["in"], _api_type(p.get("schema", {}), document), cell(p.get("description", "")))
        for p in found.get("parameters", ())
    ]
    answers = [
        (status, _answer(answer, document), cell(answer["description"]))
        for status, answer in found["responses"].items()
        if "ErrorBody" not in _answer(answer, document)  # one sentence at the top of the page says it for all
    ]
    body = found.get("requestBody", {}).get("content", {})
    takes = "".join(
        f"Takes {_api_type(kind.get('schema', {}), document)} as `{media}`.\n\n" for media, kind in body.items()
    )
    text = (found.get("description") or found.get("summary") or "").strip()
    return (
        f"### `{method} {path}`\n\n{_prose(text)}\n\n{takes}"
        + table(("parameter", "in", "type", "meaning"), rows)
        + "\n"
        + table(("status", "answer", "meaning"), answers)
    )


def _answer(answer: Schema, document: Schema) -> str:
    content = answer.get("content", {})
    return ", ".join(f"{_api_type(kind.get('schema', {}), document)} (`{media}`)" for media, kind in content.items())


def _api_type(node: Schema, document: Schema) -> str:
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in node:
        return " or ".join(_api_type(kind, document) for kind in node["anyOf"])
    if node.get("type") == "array":
        return f"list of {_api_type(node.get('items', {}), document)}"
    if node.get("type") == "object" and isinstance(node.get("additionalProperties"), dict):
        return f"map of {_api_type(node['additionalProperties'], document)}"
    return str(node.get("format") or node.get("type") or "anything")


def _message(name: str, found: Schema, document: Schema) -> str:
    if "enum" in found:
        values = ", ".join(f"`{value}`" for value in found["enum"])
        return f"### {name}\n\n{cell(found.get('description', ''))}\n\nOne of {values}.\n"
    rows = [
        (f"`{key}`", _api_type(field, document), cell(field.get("description", "")))
        for key, field in found.get("properties", {}).items()
    ]
    return f"### {name}\n\n{cell(found.get('description', ''))}\n\n" + table(("key", "type", "meaning"), rows)


# Errors


def render_errors() -> str:
    """The tree of exceptions with status, label and meaning."""
    rows = [
        (
            "&emsp;" * depth + f"`{error.__name__}`",
            str(getattr(error, "status", "")) if is_plain(error) else "",
            _label(error),
            cell(inspect.getdoc(error) or ""),
        )
        for depth, error in walk_errors(errors.AiinfnError, 0)
    ]
    return table(("error", "status", "reason", "meaning"), rows)


def walk_errors(error: type[Exception], depth: int) -> Iterator[tuple[int, type[Exception]]]:
    """Every error of the package's own tree, parents first."""
    yield depth, error
    for inner in error.__subclasses__():
        if inner.__module__ == errors.__name__:
            yield from walk_errors(inner, depth + 1)


def is_plain(error: type[Exception]) -> bool:
    """Whether ``status`` is a number of the class and not of one answer."""
    return isinstance(getattr(error, "status", None), int)


def _label(error: type[Exception]) -> str:
    reason = getattr(error, "reason", None)
    return f"`{reason}`" if isinstance(reason, str) else ""


# Images


def image_folders() -> list[Path]:
    """The folders of the images that come with the platform."""
    return sorted(file.parent for file in (ROOT / "images").glob("*/requirements.txt"))


def render_images() -> str:
    """Every image with its own README, headings two levels down."""
    return "\n".join(_image(folder) for folder in image_folders())


def _image(folder: Path) -> str:
    lines = (folder / "README.md").read_text().strip().splitlines()
    body = [line for line in lines if not line.startswith("# ")]
    demoted = ["#" + line if line.startswith("##") else line for line in body]
    return "\n".join([f"## `{folder.name}`", "", *demoted, ""])


RENDERERS: dict[str, Callable[[], str]] = {
    "values": render_values,
    "cli": render_cli,
    "rest": render_rest,
    "errors": render_errors,
    "images": render_images,
}


def write_all(target: Path) -> None:
    """Write every generated part below ``target``; a file that did not change keeps its time."""
    target.mkdir(parents=True, exist_ok=True)
    for name, render in RENDERERS.items():
        file, text = target / f"{name}.md", render() + "\n"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("builder-inited", lambda app: write_all(Path(app.srcdir) / "reference" / "generated"))
    return {"parallel_read_safe": True, "version": "1"}


__all__ = ["commands", "endpoints", "image_folders", "openapi", "value_paths", "write_all"]
