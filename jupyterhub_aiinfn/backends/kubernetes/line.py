"""The line of Kueue as one who waits sees it: the place, and whether waiting can help at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .translation import HELP, condition, part, parts

Object = Mapping[str, Any]
JOB_UID = "kueue.x-k8s.io/job-uid"
"""Label of a Workload: the uid of the pod or Job that it was made for."""
HOPELESS = {
    "ExceedsMaxQuota": "there is less of it in all than was asked for; choose fewer, or another accelerator",
    "NoMatchingFlavor": f"no quota is meant for it; {HELP}",
}
"""Reasons (of the condition QuotaReserved, Kueue 0.19) for which waiting does not help."""


@dataclass(frozen=True)
class Waiting:
    """How somebody stands in the line."""

    sentence: str
    place: int | None = None
    """1 is next; None: not known at this moment."""
    lasting: bool = False
    """Whether waiting does not help."""
    held_back: bool = False
    """Whether Kueue has looked and found nothing free."""


def workload_of(workloads: Iterable[Object], uid: str) -> Object | None:
    """Kueue's Workload of the pod or Job with this uid; None while there is none."""
    return next((one for one in workloads if part(part(one, "metadata"), "labels").get(JOB_UID) == uid), None)


def waiting(workload: Object, pending: Object) -> Waiting | None:
    """How the owner of a Workload waits; None when it waits no more.

    ``pending`` is what Kueue's visibility API answers for its local queue (``pendingworkloads``). The place is that in
    the line of all who wait for the same quota, other projects included.
    """
    if (
        condition(workload, "Admitted").get("status") == "True"
        or condition(workload, "Finished").get("status") == "True"
    ):
        return None
    quota = condition(workload, "QuotaReserved")
    reason, held_back = str(quota.get("reason")), quota.get("status") == "False"
    if reason in HOPELESS:
        return Waiting(HOPELESS[reason], lasting=True)
    name = part(workload, "metadata").get("name")
    items = (one for one in parts(pending, "items") if part(one, "metadata").get("name") == name)
    place = next(items, {}).get("positionInClusterQueue")
    if not isinstance(place, int) or isinstance(place, bool) or place < 0:
        return Waiting("it waits for its turn", held_back=held_back)
    before = f"place {place + 1} in the line" if place else "it is next in the line"
    return Waiting(f"it waits for its turn: {before}", place + 1, held_back=held_back)
