"""What pydantic found wrong, in plain words: path, rule, value, and the nearest known key for a typo."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from jupyterhub_aiinfn.errors import Problem

from .base import PATTERN_RULES
from .document import Values
from .quoting import quote
from .reading import Document, Path, dotted

RULES = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a map of keys and values",
    "model_type": "must be a map of keys and values",
    "model_attributes_type": "must be a map of keys and values",
    "date_type": "must be a date such as 2026-12-31",
}
COMPARISONS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


MAX_KNOWN = 200
"""Names among which a nearest one is looked for: more would take seconds in a hostile file."""


def explain(error: ValidationError, document: Document) -> Iterator[Problem]:
    """One :class:`Problem` for each thing that is wrong, except where reading has said so already."""
    for one in error.errors(include_url=False):
        if _path(one)[0] not in document.refused:
            yield _problem(one, document)


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for a name that is not among the known ones."""
    names = [one for one in islice(known, MAX_KNOWN) if len(one) <= 128]
    near = difflib.get_close_matches(name[:80], names, 1)
    if near:
        return f"did you mean {quote(near[0])}?"
    if not names:
        return "there is none"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"known are {', '.join(names[:12])}{more}"


def _problem(error: ErrorDetails, document: Document) -> Problem:
    path, is_key = _path(error)
    rule = _rule(error)
    value = "" if error["type"] == "missing" else quote(error["input"])
    hint = nearest(str(path[-1]), _known_keys(path[:-1])) if error["type"] == "extra_forbidden" else ""
    return Problem(dotted(path), f"the key {rule}" if is_key else rule, value, hint, document.line(path))


def _path(error: ErrorDetails) -> tuple[Path, bool]:
    """The path in the file, and whether the key itself is wrong (pydantic marks that with a last ``[key]``)."""
    path = error["loc"]
    return (path[:-1], True) if len(path) > 1 and path[-1] == "[key]" else (path, False)


def _rule(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in COMPARISONS:
        name, words = COMPARISONS[kind]
        return f"must be {words} {_shown(context[name])}"
    if kind in RULES:
        return RULES[kind]
    special = SPECIAL.get(kind)
    return special(context) if special else f"is wrong: {error['msg']}"


def _shown(limit: Any) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def _pattern(context: Mapping[str, Any]) -> str:
    return PATTERN_RULES.get(context["pattern"], f"must match {context['pattern']}")


SPECIAL: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "string_pattern_mismatch": _pattern,
    "literal_error": lambda context: f"must be {context['expected']}",
    "value_error": lambda context: str(context["error"]),
    "string_too_long": lambda context: f"must be at most {context['max_length']} characters long",
    "string_too_short": lambda context: f"must be at least {context['min_length']} characters long",
    "too_short": lambda context: f"must have at least {context['min_length']} entry",
    "too_long": lambda context: f"must have at most {context['max_length']} entries",
}


def _known_keys(path: Path) -> list[str]:
    """The keys that the model at ``path`` has; none when there is no model."""
    found: Any = Values
    for part in path:
        found = _inside(found, part)
    return _aliases(found) if _is_model(found) else []


def _inside(kind: Any, part: str | int) -> Any:
    """The type of what stands at ``part`` within ``kind``; None when there is nothing."""
    if _is_model(kind):
        fields = kind.model_fields.items()
        return next((_plain(field.annotation) for name, field in fields if (field.alias or name) == part), None)
    arguments = get_args(kind)
    return _plain(arguments[-1] if get_origin(kind) is dict else arguments[0]) if arguments else None


def _plain(kind: Any) -> Any:
    """``X`` for ``X | None`` and for ``Annotated[X, ...]``."""
    if hasattr(kind, "__metadata__"):
        return _plain(get_args(kind)[0])
    rest = [one for one in get_args(kind) if one is not type(None)]
    return _plain(rest[0]) if type(None) in get_args(kind) and len(rest) == 1 else kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
