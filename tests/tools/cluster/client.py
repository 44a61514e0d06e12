"""kubectl for tests and for the harness: objects in, objects out, sentences when it fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import build
from .errors import ClusterError, last_lines

PATIENCE = 60.0
HARMLESS: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "probe",
            "image": "probe",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}
"""The spec of a pod that every Pod Security level allows."""


@dataclass(frozen=True)
class Client:
    """A cluster as its administrator sees it."""

    program: str
    kubeconfig: str
    """What the variable KUBECONFIG holds: a file, or several with colons between them."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of kubectl's environment, over those of ours."""

    @classmethod
    def of(cls, kubeconfig: str | Path) -> Client:
        """With the machine's kubectl when there is one, else with the one that is built here."""
        return cls(shutil.which("kubectl") or str(build.built(build.KUBERNETES) / "bin" / "kubectl"), str(kubeconfig))

    def __call__(self, *arguments: str | Path, text: str = "", patience: float = 300.0) -> str:
        """What kubectl prints; raises ClusterError with what it said when it fails or takes too long."""
        words = [self.program, *map(str, arguments)]
        said = f"`kubectl {' '.join(words[1:])}`"
        environment = {**os.environ, "KUBECONFIG": self.kubeconfig, **self.variables}
        try:
            done = subprocess.run(
                words, env=environment, input=text, capture_output=True, text=True, timeout=patience, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"{said} did not end within {patience:.0f} s") from error
        if done.returncode:
            raise ClusterError(f"{said} failed:\n{last_lines(done.stdout + done.stderr)}")
        return done.stdout

    def answers(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return self("get", "--raw=/readyz", patience=10).strip() == "ok"
        except ClusterError:
            return False

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Create objects, or bring them to what the manifests say."""
        self("apply", "--filename", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """One object; raises ClusterError when there is none."""
        found: dict[str, Any] = json.loads(self("get", kind, name, "--namespace", namespace, "--output", "json"))
        return found

    def until(
        self,
        kind: str,
        name: str,
        holds: Callable[[Mapping[str, Any]], object],
        namespace: str = "default",
        patience: float = PATIENCE,
    ) -> dict[str, Any]:
        """One object as soon as ``holds`` says that it is as wanted; raises ClusterError with its status if never."""
        deadline = time.monotonic() + patience
        while not holds(found := self.get(kind, name, namespace)):
            if time.monotonic() > deadline:
                status = json.dumps(found.get("status"), indent=1)
                raise ClusterError(f"{kind} {name} is not as wanted after {patience:.0f} s:\n{last_lines(status, 60)}")
            time.sleep(0.1)
        return found

    @contextmanager
    def namespace(self, **labels: str) -> Iterator[str]:
        """A new namespace with labels; all that is in it is deleted at the end, which is not waited for."""
        name = f"aiinfn-test-{uuid.uuid4().hex[:8]}"
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        try:
            self.wait_until_pods_may_be_made(name)
            yield name
        finally:
            self("delete", "namespace", name, "--wait=false")

    def wait_until_pods_may_be_made(self, namespace: str) -> None:
        """Its service account is made by a controller, and Kueue's webhook must have heard of it too."""
        probe = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": HARMLESS})
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self("create", "--dry-run=server", "--namespace", namespace, "--filename", "-", text=probe)
                return
            except ClusterError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
