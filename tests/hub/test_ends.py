"""Why a session ended, in the words of the home page and the spawn page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.hub.pages import describe_end
from jupyterhub_aiinfn.values import load_values

VALUES = load_values(Path(__file__).parent / "values.yaml")
ENDED = datetime(2026, 11, 24, 13, 20, tzinfo=UTC)


def end(reason: EndReason, message: str = "") -> dict[str, str]:
    workload = Workload(
        id="w" + "0" * 20,
        kind=WorkloadKind.session,
        name="tiny of alice",
        profile="tiny",
        cores=1,
        memory_gib=1,
        phase=Phase.ended,
        created_at=ENDED,
        ended_at=ENDED,
        reason=reason,
        message=message,
    )
    return describe_end(workload, VALUES, ZoneInfo("Europe/Rome"))


@pytest.mark.parametrize(
    ("reason", "message", "why", "level"),
    [
        (
            EndReason.idle,
            "nothing ran in it for 2 hours; your files are in your home",
            "nothing ran in it for 2 hours; your files are in your home",
            "warning",
        ),
        (
            EndReason.idle,
            "",
            "nothing ran in it for as long as its profile allows; your files are in your home",
            "warning",
        ),
        (
            EndReason.max_age,
            "it reached its longest life",
            "it reached its longest life; your files are in your home",
            "warning",
        ),
        (EndReason.administrator, "an administrator ended it: <b>", "an administrator ended it: <b>", "warning"),
        (EndReason.administrator, "", "an administrator ended it", "warning"),
        (EndReason.stopped, "stopped", "it was stopped on request", "secondary"),
    ],
)
def test_an_end_in_words(reason: EndReason, message: str, why: str, level: str) -> None:
    said = end(reason, message)
    assert (said["why"], said["level"]) == (why, level)
    moment = '<time datetime="2026-11-24T13:20:00+00:00">2026-11-24 14:20 CET</time>'
    assert (said["profile"], said["when"]) == ("Tiny", moment)


@pytest.mark.parametrize("reason", list(EndReason))
def test_every_end_has_words(reason: EndReason) -> None:
    assert end(reason)["why"] not in ("", "nobody knows why")
