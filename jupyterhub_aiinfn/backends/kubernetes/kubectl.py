"""What a cluster has of manifests, asked with the administrator's own kubectl; nothing is changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.errors import BackendError

from .drift import PART_OF
from .translation import said

Object = Mapping[str, Any]
ONE_ANSWER = 10
"""Seconds within which the API server answers one request of kubectl (arbitrary)."""
ALL_ANSWERS = 120
"""Seconds within which kubectl must be done (arbitrary)."""
TROUBLES = (
    (
        r'no matches for kind "(\w+)"|the server doesn\'t have a resource type "(\w+)"',
        "the cluster does not know {0}; install Kueue there, or take kubernetes.kueue out of the values",
    ),
    (
        r"\(Forbidden\)|is forbidden",
        "the account of the kubeconfig may not read all of it; use that of an administrator of the cluster",
    ),
    (
        r"\(Unauthorized\)|must be logged in|provide credentials|getting credentials",
        "the cluster does not accept the account of the kubeconfig; log in again, or use another one",
    ),
    (r"localhost:8080", "kubectl knows no cluster; give --kubeconfig FILE, or set KUBECONFIG"),
    (
        r"[Ee]rror loading config|cannot unmarshal|context .* does not exist|[Ii]nvalid configuration|in configuration",
        "the kubeconfig does not say how a cluster is reached; give --kubeconfig another file",
    ),
    (r"x509|certificate", "the cluster's certificate is not that of the kubeconfig; get a new kubeconfig"),
    (
        r"refused|no such host|i/o timeout|[Tt]imeout|deadline|[Uu]nable to connect|no route|EOF|ServiceUnavailable",
        "the cluster does not answer; try again, and look whether it is reached from here",
    ),
)
"""Patterns in what kubectl says, of which the first that fits counts, and what it means."""


def objects_of(manifests: Sequence[Object], kubeconfig: Path | None = None) -> list[Object]:
    """The objects that a cluster has of these manifests, and whatever else there is of their kinds with our label.

    :class:`BackendError` when there is no kubectl, or it could not ask.
    """
    if kubeconfig is not None and not kubeconfig.is_file():
        raise BackendError(f"{kubeconfig} is no file; give the kubeconfig of an administrator")
    wanted = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    label = ",".join(f"{key}={value}" for key, value in PART_OF.items())
    named = _ask(["--filename", "-"], kubeconfig, wanted)
    labelled = _ask([",".join(_kinds(manifests)), "--all-namespaces", "--selector", label], kubeconfig)
    return [*named, *labelled]


def _kinds(manifests: Iterable[Object]) -> list[str]:
    """The kinds as kubectl tells them apart: ``ClusterQueue.v1beta2.kueue.x-k8s.io``."""
    found: dict[str, None] = {}
    for one in manifests:
        group, _, version = str(one["apiVersion"]).rpartition("/")
        found[f"{one['kind']}.{version}.{group}" if group else str(one["kind"])] = None
    return list(found)


def _ask(words: list[str], kubeconfig: Path | None, text: str = "") -> list[Object]:
    where = [] if kubeconfig is None else ["--kubeconfig", str(kubeconfig)]
    limit = ["--request-timeout", f"{ONE_ANSWER}s"]
    command = ["kubectl", "get", *words, "--output", "json", "--ignore-not-found", *limit, *where]
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, errors="replace", timeout=ALL_ANSWERS, env=_variables()
        )
    except FileNotFoundError:
        raise BackendError("there is no kubectl here; install it, and try again") from None
    except OSError as error:
        raise BackendError(f"kubectl cannot be run: {str(error.strerror).lower()}; install it anew") from None
    except subprocess.TimeoutExpired:
        raise BackendError(f"the cluster did not answer all within {ALL_ANSWERS} seconds; try again") from None
    if done.returncode:
        raise BackendError(sentence(done.stderr))
    return _objects(done.stdout)


def _variables() -> dict[str, str]:
    """Of kubectl: ours; in English, since its words are read."""
    return {**os.environ, "LC_ALL": "C"}


def _objects(text: str) -> list[Object]:
    """The objects of an answer: a list, one, or nothing."""
    if not text.strip():
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    items = found.get("items", [found]) if isinstance(found, dict) else None
    if not isinstance(items, list) or not all(isinstance(one, dict) and one.get("kind") for one in items):
        raise BackendError("kubectl did not answer with objects; look whether another program has its name")
    return items


def sentence(words: str) -> str:
    """What kubectl said when it failed, as a sentence."""
    for pattern, meaning in TROUBLES:
        found = re.search(pattern, words)
        if found is not None:
            return meaning.format(next((one for one in found.groups() if one), ""))
    last = said(words.strip().rpartition("\n")[2])
    return f"kubectl could not ask the cluster: {last or 'it said nothing'}"
