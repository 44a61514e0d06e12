"""What one run of a cell has put out, made from the kernel's messages as JupyterLab makes it; no I/O, bounded in size.

Messages: https://jupyter-client.readthedocs.io/en/stable/messaging.html; outputs: nbformat 4.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST_CELL = 8 * 1024 * 1024
"""Characters of output kept for one run of a cell. Arbitrary; JupyterLab becomes slow far below."""
TRUNCATED = "\n[truncated: this cell put out more than the {limit} characters that are kept without a tab]\n"

Output = dict[str, Any]


@dataclass
class StreamText:
    r"""Text as a terminal shows it: ``\r`` goes to the start of the line, ``\b`` one place back; in linear time."""

    lines: list[str] = field(default_factory=list)
    """Complete lines, each with its line feed."""
    line: list[str] = field(default_factory=list)
    """Characters, or longer pieces while nothing went back in this line."""
    cursor: int | None = None
    """Where the next character goes in ``line``; None: at its end."""
    size: int = 0
    """Characters in all."""
    went_back: bool = False
    """Whether anything was ever taken back or written over."""

    def write(self, text: str) -> None:
        """Add what the kernel printed."""
        for piece in _pieces(text):
            self._take(piece)

    def _take(self, piece: str) -> None:
        if piece == "\n":
            self.lines.append("".join(self.line) + "\n")
            self.line, self.cursor = [], None
            self.size += 1
        elif piece == "\r":
            self._go_back(0)
        elif piece == "\b":
            self._take_one_back()
        else:
            self._put(piece)

    def _put(self, piece: str) -> None:
        if self.cursor is None:
            self.line.append(piece)
            self.size += len(piece)
            return
        before = len(self.line)
        self.line[self.cursor : self.cursor + len(piece)] = list(piece)
        self.cursor += len(piece)
        self.size += len(self.line) - before

    def _go_back(self, cursor: int) -> None:
        # "\r\n" is an ordinary end of a line: only what is written over counts as going back.
        self.line, self.cursor = list("".join(self.line)), cursor
        self.went_back = self.went_back or bool(self.line)

    def _take_one_back(self) -> None:
        # As in JupyterLab: a backspace takes the character before the cursor away.
        if self.cursor is None:
            self._go_back(sum(map(len, self.line)))
        if self.cursor:
            self.cursor -= 1
            del self.line[self.cursor]
            self.size -= 1

    def __str__(self) -> str:
        """The whole text."""
        return "".join(self.lines) + "".join(self.line)


def _pieces(text: str) -> Iterator[str]:
    """The text cut at what moves the cursor."""
    start = 0
    for index, character in enumerate(text):
        if character in "\n\r\b":
            if index > start:
                yield text[start:index]
            yield character
            start = index + 1
    if start < len(text):
        yield text[start:]


@dataclass
class Recorded:
    """The outputs of one run, while it goes on and afterwards."""

    limit: int = LARGEST_CELL
    execution_count: int | None = None
    rewritten: bool = False
    """Whether something that had been put out was taken back or changed since."""
    truncated: bool = False
    version: int = 0
    """Grows with every change."""
    size: int = 0
    """Characters, about."""
    _items: list[Output] = field(default_factory=list)
    _stream: StreamText | None = None
    _clear_next: bool = False
    _displays: dict[str, list[int]] = field(default_factory=dict)

    def take(self, kind: str, content: Mapping[str, Any]) -> None:
        """Take in one message of the run; other kinds than those that put something out change nothing."""
        action = ACTIONS.get(kind)
        if action is not None:
            self.version += 1
            action(self, content)

    def outputs(self) -> list[Output]:
        """The outputs now, as a notebook keeps them. Texts of streams are one string."""
        shown = [{k: str(v) if k == "text" else v for k, v in item.items() if k != "transient"} for item in self._items]
        if self.truncated:
            text = TRUNCATED.format(limit=f"{self.limit:,}")
            shown.append({"output_type": "stream", "name": "stderr", "text": text})
        return shown

    def change_display(self, content: Mapping[str, Any]) -> bool:
        """Change what another run displayed under that name; whether there was such a thing here."""
        places = self._displays.get(_display_id(content), [])
        for place in places:
            self._items[place]["data"] = content.get("data") or {}
            self._items[place]["metadata"] = content.get("metadata") or {}
            self.rewritten = True
            self.version += 1
        return bool(places)

    def _add(self, item: Output, size: int) -> None:
        self._clear_if_asked()
        if not self._has_room(size):
            return
        self._stream = None
        self._items.append(item)

    def _has_room(self, size: int) -> bool:
        self.size += size
        self.truncated = self.truncated or self.size > self.limit
        return not self.truncated

    def _clear_if_asked(self) -> None:
        if self._clear_next:
            self._clear()

    def _clear(self) -> None:
        self._items, self._stream, self._displays = [], None, {}
        self._clear_next, self.size, self.truncated, self.rewritten = False, 0, False, True

    def _take_stream(self, content: Mapping[str, Any]) -> None:
        self._clear_if_asked()
        name, text = str(content.get("name") or "stdout"), str(content.get("text") or "")
        last = self._items[-1] if self._items else {}
        if self._stream is None or last.get("name") != name:
            if not self._has_room(0):
                return
            self._stream = StreamText()
            self._items.append({"output_type": "stream", "name": name, "text": self._stream})
        self._write(self._stream, text)

    def _write(self, stream: StreamText, text: str) -> None:
        # No text makes the stream longer than by its own length; a progress bar for hours is as long as its line.
        if self.truncated or self.size + len(text) > self.limit:
            self.truncated = True
            return
        before = stream.size
        stream.write(text)
        self.size += stream.size - before
        self.rewritten = self.rewritten or stream.went_back

    def _take_display(self, content: Mapping[str, Any]) -> None:
        item = {
            "output_type": "display_data",
            "data": content.get("data") or {},
            "metadata": content.get("metadata") or {},
        }
        self._display(item, content)

    def _take_result(self, content: Mapping[str, Any]) -> None:
        item = {
            "output_type": "execute_result",
            "data": content.get("data") or {},
            "metadata": content.get("metadata") or {},
            "execution_count": content.get("execution_count"),
        }
        self._display(item, content)

    def _display(self, item: Output, content: Mapping[str, Any]) -> None:
        self._add(item, _length(item))
        if (name := _display_id(content)) and self._items and self._items[-1] is item:
            self._displays.setdefault(name, []).append(len(self._items) - 1)

    def _take_error(self, content: Mapping[str, Any]) -> None:
        traceback = content.get("traceback")
        item = {
            "output_type": "error",
            "ename": str(content.get("ename") or ""),
            "evalue": str(content.get("evalue") or ""),
            "traceback": [str(line) for line in traceback] if isinstance(traceback, list) else [],
        }
        self._add(item, _length(item))

    def _take_clear(self, content: Mapping[str, Any]) -> None:
        if content.get("wait"):
            self._clear_next = True
        else:
            self._clear()

    def _take_input(self, content: Mapping[str, Any]) -> None:
        count = content.get("execution_count")
        self.execution_count = count if isinstance(count, int) else None

    def _take_update(self, content: Mapping[str, Any]) -> None:
        self.change_display(content)


ACTIONS = {
    "stream": Recorded._take_stream,
    "display_data": Recorded._take_display,
    "execute_result": Recorded._take_result,
    "error": Recorded._take_error,
    "clear_output": Recorded._take_clear,
    "execute_input": Recorded._take_input,
    "update_display_data": Recorded._take_update,
}


def _display_id(content: Mapping[str, Any]) -> str:
    transient = content.get("transient")
    return str(transient.get("display_id") or "") if isinstance(transient, Mapping) else ""


def _length(item: Output) -> int:
    return len(json.dumps(item, default=str))
