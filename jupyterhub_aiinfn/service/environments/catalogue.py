"""Which environments are ready, being built, or missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from jupyterhub_aiinfn.api.environments import Environment, EnvironmentState
from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend, WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError, ServiceError, WorkloadNotFound
from jupyterhub_aiinfn.service.availability.watch import Watch
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

INTERRUPTED = frozenset({EndReason.stopped, EndReason.evicted, EndReason.platform_stopped, EndReason.lost})
"""Ends of a build that say nothing against trying once more."""


class EnvironmentCache(Protocol):
    """Where built environments are kept."""

    def ready(self, image: str) -> bool:
        """Whether sessions of the image can start."""
        ...

    def build_spec(self, image: str) -> WorkloadSpec:
        """The job that builds it; starting it twice joins the first."""
        ...


class Catalogue:
    """The environments of all images."""

    def __init__(
        self,
        current: CurrentValues,
        cache: EnvironmentCache,
        backend: Backend,
        watch: Watch,
        build_settings: Callable[[], Mapping[str, str]],
    ) -> None:
        """``build_settings`` gives the secret variables of a build (the address of an index may hold a password)."""
        self._current, self._cache, self._backend, self._watch = current, cache, backend, watch
        self._build_settings = build_settings

    @property
    def _values(self) -> Values:
        return self._current.values

    def ready(self, image: str) -> bool:
        """Whether sessions of the image can start; False for an image that the values no longer have."""
        try:
            return image in self._values.images and self._cache.ready(image)
        except BackendError:
            return False  # an image that cannot be built is not ready; whoever starts the build says why

    def title(self, image: str) -> str:
        """What people read; the key when the values no longer have the image."""
        found = self._values.images.get(image)
        return found.name if found else image

    async def environment(self, image: str) -> Environment:
        """The environment of ``image``; 404 in words for an unknown one."""
        if image not in self._values.images:
            raise ServiceError(
                f'there is no image "{image[:63]}"; known are {", ".join(sorted(self._values.images))}',
                status=404,
                reason="not-found",
            )
        if self.ready(image):
            return Environment(image=image, name=self.title(image), state=EnvironmentState.ready)
        job = next((work for work in self._watch.snapshot.workloads.values() if builds(work, image)), None)
        if job is None:
            return Environment(image=image, name=self.title(image), state=EnvironmentState.missing)
        return Environment(
            image=image,
            name=self.title(image),
            state=EnvironmentState.building,
            job=job.id,
            progress=await self._backend.progress(job.id),
        )

    async def job_for(self, image: str, job: str) -> str:
        """``job``, or another one when that was interrupted before whoever waits for it arrived."""
        if image not in self._values.images or self.ready(image):
            return job
        try:
            work = await self._backend.workload(job)
        except WorkloadNotFound:
            work = None
        if work is not None and work.reason not in INTERRUPTED:
            return job
        return (await self._backend.start(self._cache.build_spec(image), self._build_settings())).id


def builds(work: Workload, image: str) -> bool:
    """Whether ``work`` is a live job that builds the environment of ``image``."""
    return (
        work.kind == WorkloadKind.job
        and work.job_class == JobClass.platform
        and work.image == image
        and work.phase != Phase.ended
    )
