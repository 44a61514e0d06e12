"""`aiinfn accept` on a real cluster: one that keeps its promises, and ones that break them, each in its own way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.backend_farm import Farm, running_farm
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.place import NODE

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]
Change = Callable[[dict[str, Any]], None]


@dataclass
class Run:
    """One run of the command that has ended."""

    code: int
    said: str
    report: dict[str, Any]
    page: str

    def result(self, check: str) -> tuple[str, str]:
        """Result and sentence of a check."""
        found = [(one["result"], one["sentence"]) for one in self.report["findings"] if one["check"] == check]
        assert found, self.said
        return found[0]


@dataclass
class Accept:
    """The command on a farm, with its values changed or not."""

    farm: Farm
    folder: Path

    def command(self, limit: int = 60, change: Change | None = None, kubeconfig: Path | None = None) -> list[str]:
        """As an administrator writes it."""
        data = self.farm.values.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        if change is not None:
            change(data)
        values = self.folder / "values.yaml"
        values.write_text(yaml.safe_dump(data))
        words = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "accept", "--values", str(values)]
        words += ["--kubeconfig", str(kubeconfig or self.farm.kubeconfig), "--limit", str(limit)]
        return [*words, "--report", str(self.folder / "report")]

    def ended(self, code: int, said: str) -> Run:
        """What a run left."""
        assert "Traceback" not in said, said
        report = json.loads((self.folder / "report.json").read_text())
        return Run(code, said, report, (self.folder / "report.md").read_text())

    def __call__(self, limit: int = 60, change: Change | None = None, kubeconfig: Path | None = None) -> Run:
        done = subprocess.run(
            self.command(limit, change, kubeconfig), env=variables(), capture_output=True, text=True, timeout=300
        )
        return self.ended(done.returncode, done.stdout + done.stderr)

    def left(self) -> list[str]:
        """Pods and Secrets that are there."""
        return [*self.farm.names("pods"), *self.farm.names("secrets")]


def variables() -> dict[str, str]:
    return os.environ | {"NO_PROXY": "*", "no_proxy": "*", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def farm(own: Cluster) -> Iterator[Farm]:
    with running_farm(own.client, kueue=True) as found, found.devices(1):
        yield found


@pytest.fixture
def accept(farm: Farm, tmp_path: Path) -> Accept:
    return Accept(farm, tmp_path)


def test_a_cluster_that_keeps_its_promises_is_accepted_and_nothing_stays(accept: Accept, farm: Farm) -> None:
    farm.client("label", "node", NODE, "aiinfn/emulated=yes")
    try:
        run = accept()
    finally:
        farm.client("label", "node", NODE, "aiinfn/emulated-")
    assert run.code == 0, run.said
    assert run.report["accepted"] is True
    assert run.report["emulated"] == ["board"]
    assert "EMULATED: the node says that board is emulated" in run.page
    assert run.page.startswith("# Acceptance of a cluster\n\n**Accepted: ")
    wanted = (
        "rules for pods",
        "session",
        "device is held",
        "node",
        "count",
        "rights",
        "secret",
        "memory of the session",
    )
    wanted += (
        "home is writable",
        "isolation of devices",
        "isolation of homes",
        "stop",
        "home is kept",
        "nothing stays",
    )
    assert {one["check"]: one["result"] for one in run.report["findings"]} == {
        **dict.fromkeys(wanted, "passed"),
        "device is seen": "not checked",
    }
    assert accept.left() == []


def test_a_device_that_nobody_sees_is_not_accepted(accept: Accept) -> None:
    run = accept()
    assert run.code == 1
    result, sentence = run.result("device is seen")
    assert (result, sentence) == (
        "failed",
        "1 promised and 0 seen (none); look at the device plugin of the node",
    )
    assert run.page.startswith("# Acceptance of a cluster\n\n**Not accepted: 1 of ")
    assert run.result("nothing stays")[0] == "passed"


def no_node(data: dict[str, Any]) -> None:
    data["accelerators"]["board"]["resource"] = "aiinfn.test/of-nobody"


def no_image(data: dict[str, Any]) -> None:
    data["images"]["python"]["reference"] = "aiinfn.test/absent:1"


def no_disk(data: dict[str, Any]) -> None:
    data["storage"] = {"home": {"backend": "claims", "quota_gib": 1, "storage_class": "of-nobody"}}


def no_profile(data: dict[str, Any]) -> None:
    del data["profiles"]["python"]["accelerators"]


def no_queues(data: dict[str, Any]) -> None:
    data["projects"] = {"unknown": {"name": "Unknown", "groups": ["unknown"]}}


@pytest.mark.parametrize(
    ("change", "check", "sentence"),
    [
        (no_node, "session", "the session with the device did not answer within 12 seconds: "),
        (no_image, "session", "did not come up: the image could not be fetched by the node"),
        (no_disk, "session", "a volume that it needs has no disk yet"),
        (no_profile, "plan", "no profile offers it; add it to the accelerators of one"),
        (no_queues, "session", "the session with the device did not answer within 12 seconds: it waits for its turn"),
    ],
)
def test_a_broken_promise_is_a_sentence_in_the_report(
    accept: Accept, change: Change, check: str, sentence: str
) -> None:
    run = accept(12, change)
    assert run.code == 1, run.said
    result, said = run.result(check)
    assert result == "failed"
    assert sentence in said
    assert run.report["accepted"] is False
    assert accept.left() == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "does not say how a cluster is reached; give a kubeconfig that kubectl can use"),
        ("secret-of-it: [", "does not say how a cluster is reached"),
        ("[]", "does not say how a cluster is reached"),
        (
            '{"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}], "current-context": "c", '
            '"users": [{"name": "u", "user": {}}], '
            '"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}',
            "the cluster does not answer",
        ),
    ],
)
def test_a_wrong_kubeconfig_is_a_sentence_in_the_report(accept: Accept, content: str, sentence: str) -> None:
    wrong = accept.folder / "wrong"
    wrong.write_text(content)
    run = accept(5, kubeconfig=wrong)
    assert run.code == 1
    assert sentence in run.result("access")[1]
    assert "secret-of-it" not in run.said + run.page


def test_an_account_without_rights_is_told_so(accept: Accept, farm: Farm) -> None:
    token = farm.client("create", "token", "default", "--namespace", farm.sessions).strip()
    said = json.loads(farm.client("config", "view", "--raw", "--flatten", "--minify", "--output", "json"))
    weak = accept.folder / "weak"
    weak.write_text(json.dumps(said | {"users": [{"name": said["users"][0]["name"], "user": {"token": token}}]}))
    run = accept(5, kubeconfig=weak)
    assert run.code == 1
    assert "the platform may not do this on the cluster" in run.result("access")[1]
    assert token not in run.said + run.page


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_what_was_started_and_is_in_the_report(accept: Accept, number: signal.Signals) -> None:
    process = subprocess.Popen(
        accept.command(), env=variables(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "board: session: passed" in line:
            break
    assert accept.left() != []
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)
    run = accept.ended(process.returncode, "".join(lines) + rest)
    assert run.code == 130
    assert run.report["interrupted"] is True
    assert "**Interrupted: " in run.page
    deadline = time.monotonic() + 15
    while accept.left() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert accept.left() == []
