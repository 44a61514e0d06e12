"""What Kubernetes says, in words for people: the one place where its conditions, reasons and errors are translated.

Each sentence says what happened and what to do. Nothing here asks anything: it reads objects that the API server gave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jupyterhub_aiinfn.api.workloads import EndReason

from .names import MAIN

Object = Mapping[str, Any]
MAX_SAID = 300
"""Characters of a message of Kubernetes that are repeated (arbitrary)."""
HELP = "tell an administrator"


@dataclass(frozen=True)
class Trouble:
    """Why a pod does not run, or why it ended."""

    sentence: str
    reason: EndReason
    """What it ended as, or would end as."""
    lasting: bool = True
    """Whether waiting does not help."""


def pod_trouble(pod: Object, peak_gib: float | None = None) -> Trouble | None:
    """The most telling trouble of a pod; None when it has none. ``peak_gib`` is the memory that it used at most."""
    looks: tuple[Callable[[Object], Trouble | None], ...] = (
        lambda one: _out_of_memory(one, peak_gib),
        _taken_away,
        _over_time,
        _folders,
        _image,
        _container,
        _unschedulable,
    )
    return next((found for look in looks if (found := look(pod)) is not None), None)


def waits_for_quota(pod: Object) -> bool:
    """Whether Kueue has not admitted the pod yet."""
    return any(gate.get("name") == "kueue.x-k8s.io/admission" for gate in parts(part(pod, "spec"), "schedulingGates"))


def container_states(pod: Object) -> Iterator[tuple[str, Object]]:
    """Name and state of every container that has one, those that run before the workload included."""
    status = part(pod, "status")
    for one in [*parts(status, "initContainerStatuses"), *parts(status, "containerStatuses")]:
        yield str(one.get("name", "")), part(one, "state")


def condition(pod: Object, kind: str) -> Object:
    """A condition of the pod; empty when it has none of that kind."""
    found = (one for one in parts(part(pod, "status"), "conditions") if one.get("type") == kind)
    return next(found, {})


def part(value: Object, key: str) -> Object:
    """The map at ``key``; empty when there is none."""
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def parts(value: Object, key: str) -> list[Object]:
    """The maps of the list at ``key``; empty when there is none."""
    found = value.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def said(text: object) -> str:
    """A message of Kubernetes on one line, printable, not too long."""
    clean = " ".join(str(text or "").split())
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in clean)
    return shown if len(shown) <= MAX_SAID else f"{shown[: MAX_SAID - 1]}…"


def _out_of_memory(pod: Object, peak_gib: float | None) -> Trouble | None:
    for name, state in container_states(pod):
        if name == MAIN and part(state, "terminated").get("reason") == "OOMKilled":
            peak = peak_gib if peak_gib is not None else _memory_gib(pod)
            used = f" (at most {peak:.3g} GiB were in use)" if peak is not None else ""
            sentence = f"it used more memory than it may{used}; choose a larger size, or load less at a time"
            return Trouble(sentence, EndReason.out_of_memory)
    return None


UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _memory_gib(pod: Object) -> float | None:
    """What the workload may use: who is ended for want of memory had used all of it, since nothing else ends one."""
    own = next((one for one in parts(part(pod, "spec"), "containers") if one.get("name") == MAIN), {})
    text = part(part(own, "resources"), "limits").get("memory")
    found = re.fullmatch(r"(\d{1,18})([KMGT]i)?", text) if isinstance(text, str) else None
    return int(found[1]) * UNITS[found[2] or ""] / 2**30 if found is not None else None


AWAY = {
    "PreemptionByScheduler": "something more urgent needed its place",
    "DeletionByTaintManager": "its node did not answer any more",
    "DeletionByPodGC": "its node is gone",
    "EvictionByEvictionAPI": "its node is being emptied for maintenance",
    "TerminationByKubelet": "its node ran short of memory or disk",
}
"""Reasons of the condition DisruptionTarget."""
TURNED_OUT = (
    ("DueToPreempted", "somebody who is entitled to it needed its place"),
    ("DueToPodsReadyTimeout", "it was not ready in time, so its place was given back"),
    ("QueueStopped", "an administrator stopped its queue"),
    ("", "the queues of the cluster took its place back"),
)
"""Ends of reasons of Kueue's own condition TerminationTarget (0.19), the first that fits."""


FULL = re.compile(r'^Usage of EmptyDir volume "(scratch)" exceeds the limit "([^"]{1,20})"')
"""What the kubelet says when a session has filled the space that the node gave it."""


def _taken_away(pod: Object) -> Trouble | None:
    target = condition(pod, "DisruptionTarget")
    status = part(pod, "status")
    why = AWAY.get(str(target.get("reason"))) if target.get("status") == "True" else None
    turned_out = condition(pod, "TerminationTarget")
    if turned_out.get("status") == "True":
        why = next(words for end, words in TURNED_OUT if str(turned_out.get("reason")).endswith(end))
    if status.get("reason") in ("NodeLost", "NodeShutdown", "Terminated", "NodeAffinity"):
        why = why or "its node was switched off or is gone"
    if status.get("reason") == "Evicted":
        return _evicted(said(status.get("message")))
    return _ended_because(why) if why is not None else None


def _ended_because(why: str) -> Trouble:
    return Trouble(f"{why}, so it was ended; start it again, files in the home are kept", EndReason.evicted)


def _evicted(detail: str) -> Trouble:
    full = FULL.search(detail)
    if full is not None:
        return _ended_because(f"it wrote more than the {full[2]} that it may to /{full[1]}")
    return _ended_because("its node ran short of memory or disk" + (f" ({detail})" if detail else ""))


def events_trouble(events: Iterable[Object]) -> Trouble | None:
    """Why a pod was ended that ended politely: its own status then says that it succeeded, and nothing else."""
    evicted = next((one for one in events if one.get("reason") == "Evicted"), None)
    return _evicted(said(evicted.get("message"))) if evicted is not None else None


def _over_time(pod: Object) -> Trouble | None:
    if part(pod, "status").get("reason") != "DeadlineExceeded":
        return None
    return Trouble("it reached its longest life", EndReason.max_age)


def _folders(pod: Object) -> Trouble | None:
    for name, state in container_states(pod):
        if name == "make-folders" and part(state, "terminated").get("exitCode") not in (None, 0):
            sentence = "the home or a folder of a project could not be made on the shared storage"
            return Trouble(f"{sentence}; {HELP}, who makes it or lets people make it", EndReason.not_started)
    return None


IMAGE = {
    "ErrImagePull": False,
    "ImagePullBackOff": True,
    "InvalidImageName": True,
    "ErrImageNeverPull": True,
    "ImageInspectError": True,
    "RegistryUnavailable": False,
    "SignatureValidationFailed": True,
}
"""Reasons for which a container waits for its image, and whether that lasts."""


def _image(pod: Object) -> Trouble | None:
    for _, state in container_states(pod):
        waiting = part(state, "waiting")
        reason = str(waiting.get("reason"))
        if reason in IMAGE:
            detail = said(waiting.get("message")) or reason
            sentence = f"the image could not be fetched by the node ({detail}); {HELP}, or choose another profile"
            return Trouble(sentence, EndReason.not_started, IMAGE[reason])
    return None


CONTAINER = {
    "CreateContainerConfigError": "its settings could not be put together",
    "CreateContainerError": "its container could not be made",
    "RunContainerError": "its program could not be started",
    "StartError": "its program could not be started",
    "ContainerCannotRun": "its program could not be started",
    "PreStartHookError": "its program could not be started",
    "PostStartHookError": "its program could not be started",
    "CrashLoopBackOff": "something beside it ends again and again",
}
"""Reasons of waiting or terminated containers."""
NOT_READ_YET = "failed to sync"
"""In the message of a node that has not read Secrets or ConfigMaps yet: it goes on trying."""


def _container(pod: Object) -> Trouble | None:
    for _, state in container_states(pod):
        for found in (part(state, "waiting"), part(state, "terminated")):
            words = CONTAINER.get(str(found.get("reason")))
            if words is not None:
                detail = said(found.get("message")) or str(found.get("reason"))
                return Trouble(f"{words} ({detail}); {HELP}", EndReason.not_started, NOT_READ_YET not in detail)
    return None


SCHEDULING: tuple[tuple[str, str, bool], ...] = (
    # not lasting: the scheduler may hear of a pod before it hears of the claim that was made for it
    (r'persistentvolumeclaim "[^"]*" not found', f"a volume that it needs does not exist; {HELP}", False),
    (r"unbound immediate PersistentVolumeClaims", f"a volume that it needs has no disk yet; {HELP}", False),
    (r"volume node affinity conflict|exceed max volume count", f"its volumes are on no free node; {HELP}", True),
    (r"Insufficient \S+/", "the device that was chosen is not free; try again later or choose another", False),
    (r"Insufficient (cpu|memory)", "no node has enough cores and memory free; choose a smaller size", False),
    (
        r"untolerated taint.*didn't match Pod's node|didn't match Pod's node.*untolerated taint",
        f"no node has the device that was chosen, or those are reserved for others or out of order; {HELP}",
        False,
    ),
    (r"were unschedulable", "the nodes for it are closed for maintenance; try again later, or choose another", False),
    (r"didn't match Pod's node", f"no node has the device that was chosen; {HELP}", True),
    (r"untolerated taint", f"the nodes are reserved for others or out of order; {HELP}", False),
)
"""What stands in the scheduler's message, what it means, and whether it lasts.

The message has a reason for each node. A node without the device is on every farm and explains nothing while another
node has it, in use: so that comes late.
"""


def _unschedulable(pod: Object) -> Trouble | None:
    found = condition(pod, "PodScheduled")
    if found.get("status") != "False" or found.get("reason") != "Unschedulable":
        return None
    message = said(found.get("message"))
    fits = (one[1:] for one in SCHEDULING if re.search(one[0], message))
    words, lasting = next(fits, ("no node can take it now; try again later", False))
    return Trouble(f"{words} (the cluster says: {message})", EndReason.not_started, lasting)


API: tuple[tuple[Callable[[int, str, str], bool], str], ...] = (
    (lambda code, _, __: code == 0, "the cluster does not answer; try again in a minute"),
    (lambda code, _, __: code == 401, f"the cluster does not know the platform any more; {HELP}"),
    (
        lambda code, _, text: code == 403 and "PodSecurity" in text,
        f"the cluster refuses it because of its rules of security; {HELP}",
    ),
    (
        lambda code, _, text: code == 403 and "exceeded quota" in text,
        "the space that the cluster has for this is used up; try again when something has ended",
    ),
    (lambda code, _, __: code == 403, f"the platform may not do this on the cluster; {HELP}"),
    (
        lambda code, _, text: code == 404 and "kb.io" in text and "Namespace" in text,
        "the queues of the cluster do not know the place of the sessions yet; try again in a minute",
    ),
    (lambda code, reason, _: code == 404 or reason == "NotFound", "the cluster has it no more"),
    (
        lambda _, reason, __: reason == "AlreadyExists",
        "the cluster has one of that name already; wait until it is gone, and try again",
    ),
    (lambda code, _, __: code == 409, "somebody else changed it at the same moment; try again"),
    (
        lambda code, reason, _: code == 410 or reason == "Expired",
        "the cluster has forgotten so old a state; look again",
    ),
    (lambda code, _, __: code == 429, "the cluster has too much to do; try again in a minute"),
    (
        lambda code, _, text: code >= 500 and "kueue" in text,
        f"the queues of the cluster do not answer, so nothing can be started; try again in a minute, or {HELP}",
    ),
    (lambda code, _, text: "failed calling webhook" in text, f"a part of the cluster does not answer; {HELP}"),
    (lambda code, _, __: code in (400, 422), f"the cluster refuses it as wrong; {HELP}"),
    (lambda code, _, __: code >= 500, "the cluster has an error of its own; try again in a minute"),
)
"""Errors of the API server by code, reason and message: the first that fits. Code 0: there was no answer."""


def api_sentence(doing: str, code: int, reason: str = "", message: str = "") -> str:
    """One sentence for an answer of the API server; ``doing`` is what was being done, as ``start the session``.

    The message of the cluster is not repeated: it may quote what was sent.
    """
    words = next((words for fits, words in API if fits(code, reason, message)), f"the cluster refused it; {HELP}")
    shown = f", {said(reason)}" if reason else ""
    return f"could not {doing}: {words} (error {code}{shown})" if code else f"could not {doing}: {words}"
