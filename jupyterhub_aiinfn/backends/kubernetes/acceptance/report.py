"""What an acceptance found, as Markdown for people and as JSON for programs; nothing in it is secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum


class Result(StrEnum):
    """What came of a check."""

    passed = "passed"
    failed = "failed"
    not_checked = "not checked"


@dataclass(frozen=True)
class Finding:
    """One check of one thing."""

    subject: str
    """Key of the accelerator, or ``cluster``."""
    check: str
    result: Result
    sentence: str
    """What was seen, and for a failure what to do."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.check}: {self.result}: {self.sentence}"


@dataclass
class Report:
    """All findings of one run, in the order in which they were made."""

    values_hash: str
    begun_at: datetime
    cluster: str = ""
    """What the API server says that it is; empty when it was never reached."""
    ended_at: datetime | None = None
    interrupted: bool = False
    emulated: list[str] = field(default_factory=list)
    """Keys of accelerators whose node says that they are emulated: of these no device was proved."""
    homes: list[str] = field(default_factory=list)
    """Login names whose homes were made for this and stay: the platform never deletes a home."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Whether everything was looked at to the end and nothing failed."""
        return bool(self.findings) and not self.interrupted and not self.failures

    @property
    def failures(self) -> list[Finding]:
        """What failed."""
        return [one for one in self.findings if one.result is Result.failed]

    def as_json(self) -> str:
        """One JSON object."""
        data = asdict(self) | {"accepted": self.accepted, "begun_at": self.begun_at.isoformat()}
        data["ended_at"] = self.ended_at.isoformat() if self.ended_at is not None else None
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"

    def as_markdown(self) -> str:
        """A page with a table for each subject."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# Acceptance of a cluster"
        yield ""
        yield f"**{self._verdict()}**"
        yield ""
        yield f"* values {self.values_hash}, cluster {self.cluster or 'not reached'}"
        yield f"* begun {self.begun_at:%Y-%m-%d %H:%M:%S %Z}, ended {_moment(self.ended_at)}"
        for key in self.emulated:
            yield f"* EMULATED: the node says that {key} is emulated, so no device of it was proved"
        if self.homes:
            yield f"* the homes of {' and '.join(self.homes)} stay: the platform never deletes a home"
        for subject in dict.fromkeys(one.subject for one in self.findings):
            yield from ("", f"## {subject}", "", "| check | result | what was seen |", "|---|---|---|")
            for one in self.findings:
                if one.subject == subject:
                    yield f"| {one.check} | {one.result} | {_cell(one.sentence)} |"

    def _verdict(self) -> str:
        skipped = sum(one.result is Result.not_checked for one in self.findings)
        rest = f", {skipped} not checked" if skipped else ""
        if self.interrupted:
            return f"Interrupted: {len(self.failures)} failed so far{rest}"
        if self.accepted:
            return f"Accepted: {len(self.findings) - skipped} checks passed{rest}"
        return f"Not accepted: {len(self.failures)} of {len(self.findings)} checks failed{rest}"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}" if at is not None else "not yet"


def _cell(text: str) -> str:
    """A text that stays in its cell of a table, and is no markup."""
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))
    for char in "\\|<>`[]*":
        clean = clean.replace(char, f"\\{char}")
    return clean
