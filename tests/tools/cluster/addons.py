"""What is installed on the cluster when it runs: DNS, and Kueue from its own chart."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from string import Template

from .client import Client
from .errors import ClusterError, last_lines
from .images import COREDNS, KUEUE
from .place import State

HERE = Path(__file__).parent
PATIENCE = "180s"
VISIBILITY = "v1beta2.visibility.kueue.x-k8s.io"


def dns(state: State, client: Client, programs: Mapping[str, Path]) -> str:
    """Install CoreDNS, unless this very one was."""
    text, address = (HERE / "coredns.yaml").read_text(), state.addresses.dns
    key = hashlib.sha256(f"{programs['coredns']}\0{address}\0{text}".encode()).hexdigest()[:32]
    if state.done.get("dns") == key:
        return "there"
    filled = Template(text).substitute(image=COREDNS, address=address, key=key)
    client("apply", "--filename", "-", text=filled)
    _mark(state, "dns", key)
    return "installed"


def kueue(state: State, programs: Mapping[str, Path]) -> str:
    """Install Kueue from its chart, unless this very one was, and do not wait for it."""
    values = HERE / "kueue.yaml"
    key = hashlib.sha256(f"{programs['kueue']}\0{values.read_text()}".encode()).hexdigest()
    if state.done.get("kueue") == key:
        return "there"
    name, _, tag = KUEUE.rpartition(":")
    image = "controllerManager.manager.image"
    install: list[str | Path] = [programs["helm"], "upgrade", "--install", "kueue", programs["kueue-chart"]]
    install += ["--namespace", "kueue-system", "--create-namespace", "--values", values]
    install += ["--set", f"{image}.repository={name}", "--set-string", f"{image}.tag={tag}"]
    environment = {"PATH": os.defpath, "HOME": str(state.place.folder), "KUBECONFIG": str(state.place.kubeconfig)}
    done = subprocess.run(install, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"Kueue could not be installed:\n{last_lines(done.stdout + done.stderr)}")
    _mark(state, "kueue", key)
    return "installed"


def wait(client: Client) -> str:
    """Wait until DNS and Kueue are ready, and Kueue's visibility API answers."""
    rollout = ["rollout", "status", f"--timeout={PATIENCE}", "--watch"]
    client(*rollout, "--namespace", "kube-system", "deployment/coredns")
    client(*rollout, "--namespace", "kueue-system", "deployment/kueue-controller-manager")
    client("wait", f"--timeout={PATIENCE}", "--for=condition=Available", f"apiservice/{VISIBILITY}")
    return "ready"


def _mark(state: State, step: str, key: str) -> None:
    state.done[step] = key
    state.save()
