"""YAML text to plain data, for files that may be hostile: bounded in size, depth, nodes and aliases, without recursion.

Works on the parser's events, so nothing is composed before it is counted; there are no tags, no merge keys and no
duplicate keys. Everything that is not a broken document is collected, so that one reading reports all of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from jupyterhub_aiinfn.errors import Problem, ValuesError

from .quoting import quote
from .scalars import AmbiguousScalar, read_plain, refuse_ambiguous

MAX_BYTES = 1 << 20
"""A site with two thousand people needs a tenth of it; larger files are a mistake."""
MAX_DEPTH = 24
"""The format needs 7; the rest is generous and arbitrary."""
MAX_NODES = 20_000
"""Some two and a half thousand people. Aliases count as what they stand for: that makes an alias bomb harmless."""
MAX_PROBLEMS = 50
"""More problems than this are not read by anybody."""

DIRECTIVE = re.compile("^%", re.MULTILINE)
"""Lines that YAML reads as directives: nobody needs them here, and the parser's time grows with their square."""
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
STRING_TAG, PLAIN_TAGS = "tag:yaml.org,2002:str", {None, "!"}
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str | int, ...]


@dataclass
class Document:
    """What was read: plain data, the line of every path, and what was wrong on the way."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[Path] = field(default_factory=set)
    """Paths whose value could not be read and has a problem already."""

    def line(self, path: Path) -> int | None:
        """The line of ``path``, or of the nearest thing around it that is in the file."""
        known = (path[:length] for length in range(len(path), 0, -1) if path[:length] in self.lines)
        return next((self.lines[one] for one in known), None)


def read_document(text: str | bytes, source: str) -> Document:
    """The one document of a YAML text; :class:`ValuesError` when it is broken or too large to read at all."""
    try:
        return _Reader(_checked(text)).read()
    except yaml.MarkedYAMLError as error:
        raise ValuesError(source, [_syntax(error, text)]) from None
    except (_Refused, yaml.YAMLError, UnicodeError) as error:
        problem = error.problem if isinstance(error, _Refused) else Problem("", "is not YAML", quote(str(error)))
        raise ValuesError(source, [problem]) from None


def dotted(path: Path) -> str:
    """``profiles.gpu.sizes`` or ``accelerators.a100.per_session[1]``; long keys are shortened."""
    text = ""
    for part in path:
        shown = part if isinstance(part, int) else _key(part)
        text += f"[{shown}]" if isinstance(part, int) else f".{shown}" if text else f"{shown}"
    return text


class _Refused(Exception):
    def __init__(self, rule: str, line: int | None = None, hint: str = "", value: str = "") -> None:
        super().__init__(rule)
        self.problem = Problem(f"line {line}" if line else "", rule, value, hint)


@dataclass
class _Container:
    """A list or map under construction, with the number of nodes in it (itself included)."""

    value: Any
    path: Path
    anchor: str | None
    key: str | None = None
    nodes: int = 1
    depth: int = 1
    """Levels in it, its own included; aliases count as what they stand for."""
    ignored: bool = False
    """A second entry of a key: read for its errors, then dropped."""
    entry_ignored: bool = False


class _Anchored(NamedTuple):
    """What an alias stands for: the value, its number of nodes and its levels (0 for a word)."""

    value: Any
    nodes: int
    depth: int


class _Reader:
    def __init__(self, text: str) -> None:
        self.document = Document()
        self.anchors: dict[str, _Anchored] = {}
        self.stack: list[_Container] = []
        self.nodes = 0
        self.text = text

    def read(self) -> Document:
        documents = 0
        for event in yaml.parse(self.text, Loader=LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused("must be one document", _line(event), "remove the second --- and what follows it")
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
        return self.document

    def _node(self, event: Any) -> None:
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            self._key(event)
            return
        path = self._path()
        self.document.lines.setdefault(path, _line(event))
        if isinstance(event, yaml.AliasEvent):
            known = self._alias(event)
            self._count(known.nodes, event)
            self._check_depth(known.depth, event)
            self._add(known)
            return
        weight = _weight(event)
        self._count(weight, event)
        if not isinstance(event, yaml.ScalarEvent):
            self._open(event, path)
            return
        value = self._scalar(event, path)
        self._done(event.anchor, _Anchored(value, weight, 0))

    def _open(self, event: Any, path: Path) -> None:
        self._check_depth(1, event)
        empty: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        usual = "tag:yaml.org,2002:seq" if isinstance(empty, list) else "tag:yaml.org,2002:map"
        if event.tag not in PLAIN_TAGS and event.tag != usual:
            self._problem(path, "must not have a tag", event.tag, "remove the tag", refused=True)
        ignored = bool(self.stack) and (self.stack[-1].ignored or self.stack[-1].entry_ignored)
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Container(empty, path, event.anchor, ignored=ignored))

    def _close(self) -> None:
        done = self.stack.pop()
        self._done(done.anchor, _Anchored(done.value, done.nodes, done.depth))

    def _done(self, anchor: str | None, node: _Anchored) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        self._add(node)

    def _add(self, node: _Anchored) -> None:
        if not self.stack:
            self.document.data = node.value
            return
        top = self.stack[-1]
        top.nodes += node.nodes
        top.depth = max(top.depth, 1 + node.depth)
        if isinstance(top.value, list):
            top.value.append(node.value)
        elif not top.entry_ignored:
            top.value[top.key] = node.value
        top.key, top.entry_ignored = None, False

    def _path(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        return (*top.path, len(top.value) if isinstance(top.value, list) else str(top.key))

    def _key(self, event: Any) -> None:
        top = self.stack[-1]
        self._count(_weight(event), event)
        top.nodes += _weight(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise _Refused("a key must be a word, not a list, a map or an alias", _line(event))
        key = event.value
        if event.implicit[0] and key == "<<":
            hint = "write the keys out"
            raise _Refused("merge keys (<<) are not read, because readers of YAML differ on them", _line(event), hint)
        path = (*top.path, key)
        if event.tag not in PLAIN_TAGS and event.tag != STRING_TAG:
            self._problem(path, "a key must not have a tag", event.tag, "remove the tag")
        if event.implicit[0]:
            self._check_key(key, path)
        if key in top.value:
            first = self.document.lines.get(path)
            self._problem(path, f"is written twice (lines {first} and {_line(event)})", hint="remove one of them")
            top.entry_ignored = True
        top.key = key

    def _check_key(self, key: str, path: Path) -> None:
        try:
            refuse_ambiguous(key)
        except AmbiguousScalar as error:
            self._problem(path, f"the key {error}")

    def _scalar(self, event: Any, path: Path) -> Any:
        if event.tag not in PLAIN_TAGS and event.tag != STRING_TAG:
            self._problem(path, "must not have a tag", event.tag, "remove the tag", refused=True)
            return event.value
        if not event.implicit[0] or event.tag == STRING_TAG:
            return event.value
        try:
            return read_plain(event.value)
        except AmbiguousScalar as error:
            self._problem(path, str(error), event.value, refused=True)
            return event.value

    def _check_depth(self, levels: int, event: Any) -> None:
        if len(self.stack) + levels > MAX_DEPTH:
            rule = f"must not be nested more than {MAX_DEPTH} levels deep, with aliases expanded"
            raise _Refused(rule, _line(event))

    def _alias(self, event: Any) -> _Anchored:
        if event.anchor not in self.anchors:
            rule = "an alias must stand for something that is complete before it"
            raise _Refused(rule, _line(event), value=quote(event.anchor))
        return self.anchors[event.anchor]

    def _count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise _Refused(f"must not hold more than {MAX_NODES} entries, with aliases expanded", _line(event))

    def _problem(self, path: Path, rule: str, value: str | None = None, hint: str = "", refused: bool = False) -> None:
        if refused:
            self.document.refused.add(path)
        if len(self.document.problems) <= MAX_PROBLEMS and not (self.stack and self.stack[-1].ignored):
            shown = "" if value is None else quote(value)
            self.document.problems.append(Problem(dotted(path), rule, shown, hint, self.document.line(path)))


def _checked(text: str | bytes) -> str:
    if len(text) > MAX_BYTES:
        raise _Refused(f"must be at most {MAX_BYTES // 1024} KiB, and is larger")
    return _without_directives(_without_controls(_decoded(text) if isinstance(text, bytes) else text))


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = data.count(b"\n", 0, error.start) + 1, f"byte 0x{data[error.start]:02x}"
        raise _Refused("must be UTF-8 text", line, "save the file as UTF-8", byte) from None


def _without_controls(text: str) -> str:
    found = CONTROL.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise _Refused("must not hold control characters", line, "remove it", f"U+{ord(found[0]):04X}")
    return text


def _without_directives(text: str) -> str:
    found = DIRECTIVE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise _Refused("must not have a line that begins with % (a directive of YAML)", line, "remove the line")
    return text


def _syntax(error: yaml.MarkedYAMLError, text: str | bytes) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    if mark and _stands_at_tab(text, mark.line, mark.column):
        return Problem(f"line {line}", "must not be indented with a tab", hint="use spaces")
    what = error.problem or error.context or "it cannot be read"
    context = f" ({error.context})" if error.context and error.problem else ""
    return Problem(
        f"line {line}", f"is not YAML: {what}{context}", hint="check indentation, colons, quotes and brackets"
    )


def _stands_at_tab(text: str | bytes, line: int, column: int) -> bool:
    decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    lines = decoded.splitlines()[line : line + 1]
    return bool(lines) and "\t" in lines[0][column : column + 1]


def _weight(event: Any) -> int:
    """A long text counts as several entries, so that aliases of it are bounded too."""
    return 1 + len(event.value) // 100 if isinstance(event, yaml.ScalarEvent) else 1


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _key(key: str) -> str:
    return key if len(key) <= 63 and re.fullmatch(r"[A-Za-z0-9_/-]+", key) else quote(key)
