"""Names of objects and values of labels: valid whatever a person is called, and never the same for two."""

from __future__ import annotations

import hashlib
import re

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.values import Values

PREFIX = "aiinfn"
MARK = "---"
"""What only names have that were changed: so no changed name is another's unchanged one."""
DIGITS = 16
"""Hexadecimal digits of the hash (64 bits): two of a million names agree with a probability of 3e-8."""
PLAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
FOLDER = re.compile(r"[A-Za-z0-9_@+][A-Za-z0-9_.@+-]*")

WORKLOAD, KIND, JOB_CLASS = f"{PREFIX}/workload", f"{PREFIX}/kind", f"{PREFIX}/job-class"
PERSON, PROJECT, PROFILE, ACCELERATOR = (f"{PREFIX}/{name}" for name in ("person", "project", "profile", "accelerator"))
DESCRIPTION, MAX_SECONDS, END = (f"{PREFIX}/{name}" for name in ("description", "max-seconds", "end"))
"""Annotations: what the workload is, as JSON; how long it may last, which may be lengthened; who ended it, and why."""
FINALIZER = f"{PREFIX}/accounting"
"""On jobs only: a session must be gone at once when it is stopped."""
QUEUE, PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
PLATFORM_QUEUE = f"{PREFIX}.platform"
"""The queue of jobs of the platform itself; the dot keeps it apart from those of projects."""
MAIN = "notebook"
"""The container of a workload, as KubeSpawner calls it."""


def slug(name: str, longest: int = 40) -> str:
    """A name that Kubernetes takes everywhere: lower-case letters, digits and hyphens, at most ``longest`` (>= 24).

    A name that is valid and short stays as it is; of others as much as can be read and a hash.
    """
    if len(name) <= longest and MARK not in name and PLAIN.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9]+", "-", name[:200].lower())[: longest - len(MARK) - DIGITS].strip("-")
    return f"{readable or 'x'}{MARK}{digest(name)[:DIGITS]}"


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal digits; also of one that no UTF-8 can write."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def folder_name(pattern: str, word: str, name: str) -> str:
    """``pattern`` with ``{word}`` replaced: one folder, whatever the name is; today's names stay as they are."""
    kept = len(name) <= 128 and MARK not in name and FOLDER.fullmatch(name)
    return pattern.replace(f"{{{word}}}", name if kept else slug(name))


def object_name(spec: WorkloadSpec) -> str:
    """The name of the pod, Job and Secret of a workload: at most 63 characters.

    A workload with a key has the name of the key: the API server itself refuses a second one.
    """
    if spec.key is not None:
        return f"key-{digest(spec.key)[:40]}"
    return f"{slug(spec.person, 36) if spec.person is not None else 'platform'}-{spec.id}"


def home_claim(person: str) -> str:
    """The claim of a person's home, where everybody has one of their own."""
    return f"home-{slug(person)}"


def labels_of(spec: WorkloadSpec) -> dict[str, str]:
    """Labels by which workloads are found; each value has at most 63 characters."""
    found = {
        "app.kubernetes.io/managed-by": "jupyterhub-aiinfn",
        "app.kubernetes.io/component": spec.kind.value,
        WORKLOAD: spec.id,
        KIND: spec.kind.value,
        JOB_CLASS: spec.job_class.value if spec.job_class is not None else None,
        PERSON: slug(spec.person) if spec.person is not None else None,
        PROJECT: slug(spec.project, 63) if spec.project is not None else None,
        PROFILE: slug(spec.profile, 63) if spec.profile is not None else None,
        ACCELERATOR: slug(spec.accelerator, 63) if spec.accelerator is not None else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def group_of(values: Values) -> str:
    """With what the names of everything begin that belongs to the whole cluster."""
    cluster = values.kubernetes
    return cluster.kueue.cohort if cluster is not None and cluster.kueue is not None else PREFIX


def priority_class(values: Values, spec: WorkloadSpec) -> str:
    """The priority class of a workload, Kueue's or, without Kueue, the scheduler's."""
    if spec.kind is WorkloadKind.session:
        return f"{group_of(values)}-session"
    return f"{group_of(values)}-{'platform' if spec.job_class is JobClass.platform else 'batch'}"


def namespace_of(values: Values, kind: WorkloadKind) -> str:
    """Where workloads of a kind are; the values must be for a cluster."""
    assert values.kubernetes is not None
    cluster = values.kubernetes
    return cluster.sessions_namespace if kind is WorkloadKind.session else cluster.jobs_namespace


def guaranteed_queue(project: str) -> str:
    """The local queue of a project's guarantee."""
    return f"{project}-guaranteed"
