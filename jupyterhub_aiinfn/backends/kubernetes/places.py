"""On which nodes workloads hold devices, as their pods tell it: kept up to date with each change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from jupyterhub_aiinfn.api.workloads import JobClass, Workload

from .description import described
from .free import Use
from .names import ACCELERATOR, QUEUE, WORKLOAD, guaranteed_queue
from .translation import part
from .watching import label

Object = Mapping[str, Any]


class Places:
    """Node and number of devices of each pod that has any, and the queue of each workload that has one."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, tuple[str, int]]] = {}
        self._queues: dict[str, str] = {}

    def pod(self, found: Object, is_gone: bool) -> None:
        """A pod has changed."""
        if not label(found, ACCELERATOR):
            return
        workload_id, uid = label(found, WORKLOAD), str(part(found, "metadata").get("uid"))
        over = is_gone or part(found, "status").get("phase") in ("Succeeded", "Failed")
        node = part(found, "spec").get("nodeName")
        workload = described(part(found, "metadata"), datetime.now(UTC)) if node and not over else None
        mine = self._pods.setdefault(workload_id, {})
        if workload is not None:
            mine[uid] = (str(node), workload.accelerator_count)
        else:
            mine.pop(uid, None)
        if not mine:
            self._pods.pop(workload_id)
        self.queue(found, is_gone)

    def queue(self, found: Object, is_gone: bool) -> None:
        """A pod or Job has changed: in which queue it is."""
        workload_id, queue = label(found, WORKLOAD), label(found, QUEUE)
        if queue and not is_gone:
            self._queues[workload_id] = queue
        elif queue:
            self._queues.pop(workload_id, None)

    def uses(self, live: Mapping[str, Workload]) -> Iterator[Use]:
        """What live workloads hold and wait for. Batch that waits takes nothing from anybody, so it is left out."""
        for workload_id, one in live.items():
            if one.accelerator is None or one.accelerator_count < 1:
                continue
            batch, held = one.job_class is JobClass.batch, 0
            guarantee = one.project if self._is_guaranteed(one) else None
            for node, count in self._pods.get(workload_id, {}).values():
                yield Use(one.accelerator, count, node, one.ends_at, batch, guarantee)
                held += count
            if held < one.accelerator_count and not batch:
                yield Use(one.accelerator, one.accelerator_count - held, None, one.ends_at, batch, guarantee)

    def held_by_guarantee(self, live: Mapping[str, Workload], project: str | None, accelerator: str | None) -> int:
        """Devices that live workloads hold or wait for in the queue of a project's guarantee."""
        return sum(
            one.accelerator_count
            for one in live.values()
            if one.project == project and one.accelerator == accelerator and self._is_guaranteed(one)
        )

    def _is_guaranteed(self, one: Workload) -> bool:
        return one.project is not None and self._queues.get(one.id) == guaranteed_queue(one.project)
