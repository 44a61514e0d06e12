"""Values as YAML, and their JSON schema."""

from __future__ import annotations

import json
from typing import Any

import yaml

from .document import Values
from .load import plain_values
from .scalars import AmbiguousScalar, read_plain


def values_to_yaml(values: Values) -> str:
    """The values with every default, as a file that reads back as the same values."""
    return yaml_text(plain_values(values))


def yaml_text(data: dict[str, Any]) -> str:
    """Plain data as YAML that every reader of YAML understands alike."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


def values_schema() -> str:
    """The JSON schema of the values file, for completion in editors."""
    schema = Values.model_json_schema(by_alias=True)
    _close(schema)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of jupyterhub-aiinfn"}
    return json.dumps({**head, **{key: value for key, value in schema.items() if key != "title"}}, indent=2) + "\n"


def _close(schema: Any) -> None:
    """Maps with checked keys refuse the others: pydantic's schema lets them pass, whatever they hold."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and "patternProperties" in schema:
        schema["additionalProperties"] = False
    for part in parts:
        _close(part)


class _Dumper(yaml.SafeDumper):
    """Quotes every word that a reader of YAML 1.2, such as ours, would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        is_text = read_plain(text) == text
    except AmbiguousScalar:
        is_text = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_text else "'")


_Dumper.add_representer(str, _text)
