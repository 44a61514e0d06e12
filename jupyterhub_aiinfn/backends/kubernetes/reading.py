"""Pods and Jobs of the API server, read back as workloads; nothing that they hold can make this fail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload

from .description import asked_end, described, longest_life
from .names import MAIN
from .translation import Trouble, condition, container_states, part, parts, pod_trouble

Object = Mapping[str, Any]
LOST = "it vanished from the cluster, and nobody saw why"


def read_pod(pod: Object, peak_gib: float | None = None) -> Workload | None:
    """The workload of a pod; None when it is not one of ours. ``peak_gib`` is the memory that it used at most."""
    found = _described(pod)
    if found is None:
        return None
    started_at, ended = _started(pod), _ended(pod, peak_gib)
    changes: dict[str, Any] = {"started_at": started_at, "ends_at": _ends_at(pod, started_at or found.created_at)}
    if ended is not None:
        return found.model_copy(update={**changes, **ended, "phase": Phase.ended})
    trouble = pod_trouble(pod, peak_gib)
    message = trouble.sentence if trouble is not None and started_at is None else ""
    phase = Phase.running if started_at is not None else Phase.starting
    return found.model_copy(update={**changes, "phase": phase, "message": message})


def gone(pod: Object, at: datetime, peak_gib: float | None = None) -> Workload | None:
    """The workload of a pod that the cluster has deleted.

    Its own end counts where it had one, else that which somebody asked for, else what was seen of why; only when there
    is none of these the end is inferred.
    """
    found = read_pod(pod, peak_gib)
    if found is None or found.phase is Phase.ended:
        return found
    asked, trouble = asked_end(part(pod, "metadata")), pod_trouble(pod, peak_gib)
    if asked is None:
        trouble = trouble or Trouble(LOST, EndReason.lost)
        asked = {"reason": trouble.reason, "message": trouble.sentence, "inferred": trouble.reason is EndReason.lost}
    return found.model_copy(update={**asked, "ended_at": at, "phase": Phase.ended})


def read_job(job: Object, pod: Object | None = None, peak_gib: float | None = None) -> Workload | None:
    """The workload of a Job, with the newest of its pods where there is one; None when it is not one of ours.

    Between two of its pods (evicted, waiting for its turn again) it is starting: it has not ended.
    """
    found = _described(job)
    if found is None:
        return None
    status = part(job, "status")
    running = read_pod_state(pod, peak_gib) if pod is not None else {}
    started_at = _time(status.get("startTime"))
    changes: dict[str, Any] = {"started_at": started_at, "ends_at": _ends_at(job, started_at)}
    for one in parts(status, "conditions"):
        if one.get("status") == "True" and one.get("type") in ("Complete", "Failed"):
            return found.model_copy(update={**changes, **_job_end(one, running), "phase": Phase.ended})
    deleted = _time(part(job, "metadata").get("deletionTimestamp"))
    if deleted is not None and not status.get("active") and not status.get("terminating"):
        end = {"ended_at": deleted, **(running.get("end") or {}), **_who_ended(job)}
        return found.model_copy(update={**changes, **end, "phase": Phase.ended})
    phase = running.get("phase", Phase.starting)
    phase = phase if phase is not Phase.ended else Phase.running
    return found.model_copy(update={**changes, "phase": phase, "message": running.get("waits", "")})


def job_gone(job: Object, at: datetime, pod: Object | None = None) -> Workload | None:
    """The workload of a Job that the cluster has no more; lost, unless it ended or somebody asked for its end."""
    found = read_job(job, pod)
    if found is None or found.phase is Phase.ended:
        return found
    end = asked_end(part(job, "metadata")) or {"reason": EndReason.lost, "message": LOST, "inferred": True}
    return found.model_copy(update={**end, "ended_at": at, "phase": Phase.ended})


def _who_ended(job: Object) -> dict[str, Any]:
    """Who had a Job deleted, and why."""
    asked = asked_end(part(job, "metadata"))
    return asked or {"reason": EndReason.stopped, "message": "somebody deleted it on the cluster"}


def read_pod_state(pod: Object, peak_gib: float | None) -> dict[str, Any]:
    """What a pod says of the workload that owns it: phase, end, and why it does not run."""
    ended, trouble = _ended(pod, peak_gib), pod_trouble(pod, peak_gib)
    if ended is not None:
        return {"phase": Phase.ended, "end": ended}
    if _started(pod) is not None:
        return {"phase": Phase.running}
    return {"phase": Phase.starting, "waits": trouble.sentence if trouble is not None else ""}


def _job_end(seen: Object, running: Mapping[str, Any]) -> dict[str, Any]:
    at = _time(seen.get("lastTransitionTime"))
    end = dict(running.get("end") or {})
    if seen.get("type") == "Complete":
        return {
            **end,
            "ended_at": end.get("ended_at") or at,
            "reason": EndReason.finished,
            "exit_code": 0,
            "message": "",
        }
    if seen.get("reason") == "DeadlineExceeded":
        return {**end, "ended_at": at, "reason": EndReason.max_age, "message": "it reached its longest life"}
    if end:
        return end
    return {"ended_at": at, "reason": EndReason.failed, "message": "it failed, and its pod is gone", "inferred": True}


def _described(thing: Object) -> Workload | None:
    head = part(thing, "metadata")
    created_at = _time(head.get("creationTimestamp"))
    return described(head, created_at) if created_at is not None else None


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _main(pod: Object) -> Object:
    """The state of the workload's own container; empty before there is one."""
    return next((state for name, state in container_states(pod) if name == MAIN), {})


def _started(pod: Object) -> datetime | None:
    state = _main(pod)
    times = (_time(part(state, kind).get("startedAt")) for kind in ("running", "terminated"))
    return next((found for found in times if found is not None), None)


def _ended(pod: Object, peak_gib: float | None) -> dict[str, Any] | None:
    """The end of a pod; None while it has none. The workload's own container decides, whatever runs beside it."""
    status, state = part(pod, "status"), part(_main(pod), "terminated")
    phase = status.get("phase")
    if not state and phase not in ("Failed", "Succeeded"):
        return None
    trouble = pod_trouble(pod, peak_gib)
    code = state.get("exitCode") if isinstance(state.get("exitCode"), int) else None
    end: dict[str, Any] = {"ended_at": _time(state.get("finishedAt")) or _last_change(pod), "exit_code": _signed(code)}
    asked = asked_end(part(pod, "metadata"))
    if asked is not None and (trouble is None or trouble.reason is not EndReason.out_of_memory):
        return {**end, **asked}
    if trouble is not None:
        return {**end, "reason": trouble.reason, "message": trouble.sentence}
    if code == 0 or (code is None and phase == "Succeeded"):
        return {**end, "reason": EndReason.finished}
    words = f"it exited with code {code}" if code is not None else "it failed before it ran"
    return {**end, "reason": EndReason.failed if code is not None else EndReason.not_started, "message": words}


def _signed(code: int | None) -> int | None:
    """Minus the signal's number where a signal ended it: a container's exit code is then 128 more than that."""
    return 128 - code if code is not None and 128 < code <= 192 else code


def _last_change(pod: Object) -> datetime | None:
    kinds = ("Ready", "ContainersReady", "DisruptionTarget", "PodScheduled")
    times = [_time(condition(pod, kind).get("lastTransitionTime")) for kind in kinds]
    return max((found for found in times if found is not None), default=None)


def _ends_at(thing: Object, start: datetime | None) -> datetime | None:
    seconds = longest_life(part(thing, "metadata"))
    if seconds is None or start is None:
        return None
    try:
        return start + timedelta(seconds=seconds)
    except OverflowError:
        return None
