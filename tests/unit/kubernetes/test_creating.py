"""What a start makes, in which order, and what stays when an answer is lost or the name is another's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from kubernetes_asyncio import client

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.kubernetes import creating
from jupyterhub_aiinfn.backends.kubernetes.calls import Calls
from jupyterhub_aiinfn.backends.kubernetes.manifests import PLATFORM, PodRequest
from jupyterhub_aiinfn.errors import ClusterRefused

from .farms import farm

Object = dict[str, Any]
VALUES = farm()


class Cluster:
    """Keeps objects as an API server does. ``lose`` says how many of the next answers to what is made are lost."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.log: list[str] = []
        self.lose = 0
        self.refuse: dict[str, int] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        kind = next(one for one in ("secrets", "jobs", "pods") if f"/{one}" in path)
        if code := self.refuse.get(f"{request.method} {kind}"):
            return web.json_response({"reason": "Refused"}, status=code)
        self.log.append(f"{request.method} {kind}")
        body = await request.json() if request.can_read_body else {}
        return getattr(self, f"_{request.method.lower()}")(request, path, body)

    def _post(self, request: web.Request, path: str, body: Object) -> web.StreamResponse:
        key = f"{path}/{body['metadata']['name']}"
        if key in self.objects:
            return web.json_response({"reason": "AlreadyExists"}, status=409)
        self.put(key, body)
        if self.lose:
            self.lose -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(self.objects[key], status=201)

    def put(self, key: str, body: Object) -> None:
        head = {"creationTimestamp": datetime.now(UTC).isoformat(), "resourceVersion": "1", **body["metadata"]}
        self.objects[key] = {**body, "metadata": {**head, "uid": f"uid-of-{key}"}}

    def _get(self, request: web.Request, path: str, body: Object) -> web.StreamResponse:
        if path in self.objects:
            return web.json_response(self.objects[path])
        selector = request.query.get("labelSelector", "").split(",")
        wanted = dict(one.split("=", 1) for one in selector if "=" in one)
        found = [one for key, one in self.objects.items() if key.startswith(f"{path}/")]
        return web.json_response(
            {"items": [one for one in found if wanted.items() <= one["metadata"]["labels"].items()]}
        )

    def _patch(self, request: web.Request, path: str, body: Object) -> web.StreamResponse:
        self.objects[path]["metadata"] |= body["metadata"]
        return web.json_response(self.objects[path])

    def _delete(self, request: web.Request, path: str, body: Object) -> web.StreamResponse:
        found = self.objects.get(path)
        if found is None:
            return web.json_response({"reason": "NotFound"}, status=404)
        if body.get("preconditions", {}).get("uid", found["metadata"]["uid"]) != found["metadata"]["uid"]:
            return web.json_response({"reason": "Conflict"}, status=409)
        del self.objects[path]
        return web.json_response({"kind": "Status"})


@asynccontextmanager
async def running(cluster: Cluster) -> AsyncIterator[Calls]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", cluster.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")) as api:
        yield Calls(api, patience=1.0)
    await runner.cleanup()


def request_of(key: str | None = None) -> PodRequest:
    spec = WorkloadSpec(
        WorkloadKind.job,
        "build",
        ("true",),
        1,
        1,
        job_class=JobClass.platform,
        image=next(iter(VALUES.images)),
        key=key,
    )
    return PodRequest(spec, PLATFORM, frozenset(), {"TOKEN": "tok-7c1f9be2d4a0"}, "aiinfn.platform")


async def test_the_secret_is_made_first_and_goes_with_its_job() -> None:
    cluster = Cluster()
    async with running(cluster) as calls:
        made = await creating.make(calls, "start it", VALUES, request_of())
    assert cluster.log == ["POST secrets", "POST jobs", "PATCH secrets"]
    (secret,) = [one for key, one in cluster.objects.items() if "/secrets/" in key]
    assert [one["uid"] for one in secret["metadata"]["ownerReferences"]] == [made["metadata"]["uid"]]


@pytest.mark.parametrize("lost", [1, 2])
async def test_what_was_made_although_the_answer_was_lost_is_found(lost: int) -> None:
    cluster = Cluster()
    cluster.lose = lost
    async with running(cluster) as calls:
        made = await creating.make(calls, "start it", VALUES, request_of())
    assert made["metadata"]["uid"]
    assert len(cluster.objects) == 2


async def test_nothing_of_another_one_with_the_same_name_is_taken_or_removed() -> None:
    cluster = Cluster()
    async with running(cluster) as calls:
        await creating.make(calls, "start it", VALUES, request_of("environment-x"))
        before = dict(cluster.objects)
        with pytest.raises(ClusterRefused) as refused:
            await creating.make(calls, "start it", VALUES, request_of("environment-x"))
        assert refused.value.reason == "AlreadyExists"
        await creating.take_back(calls, VALUES, request_of("environment-x"))
    assert cluster.objects == before


async def test_a_refused_job_leaves_no_secret() -> None:
    cluster = Cluster()
    cluster.refuse = {"POST jobs": 403}
    async with running(cluster) as calls:
        with pytest.raises(ClusterRefused):
            await creating.make(calls, "start it", VALUES, request_of())
    assert cluster.objects == {}


async def test_what_may_have_been_made_is_taken_back_with_its_finalizer() -> None:
    cluster, request = Cluster(), request_of()
    async with running(cluster) as calls:
        await creating.make(calls, "start it", VALUES, request)
        other = await creating.make(calls, "start it", VALUES, request_of())
        await creating.take_back(calls, VALUES, request)
    assert sorted(one["metadata"]["name"] for one in cluster.objects.values()) == [other["metadata"]["name"]] * 2


async def test_only_old_orphans_are_swept_and_others_get_their_owner() -> None:
    cluster, young = Cluster(), timedelta(minutes=2)
    async with running(cluster) as calls:
        made = await creating.make(calls, "start it", VALUES, request_of())
        (key,) = [one for one in cluster.objects if "/secrets/" in one]
        cluster.objects[key]["metadata"].pop("ownerReferences")
        for name, age in (("old", young), ("new", timedelta()), ("begun", young)):
            head = {"name": name, "namespace": "aiinfn-jobs", "labels": {"aiinfn/kind": "job"}}
            created = (datetime.now(UTC) - age).isoformat()
            cluster.put(key.rpartition("/")[0] + f"/{name}", {"metadata": {**head, "creationTimestamp": created}})
        swept = await creating.sweep(calls, VALUES, WorkloadKind.job, {"begun"}, young)
    assert swept == ["old"]
    assert cluster.objects[key]["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert sum("/secrets/" in one for one in cluster.objects) == 3


async def test_a_finalizer_of_somebody_else_stays() -> None:
    cluster = Cluster()
    async with running(cluster) as calls:
        made = await creating.make(calls, "start it", VALUES, request_of())
        name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
        key = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        cluster.objects[key]["metadata"]["finalizers"] = ["foregroundDeletion", "aiinfn/accounting"]
        await creating.let_go(calls, namespace, name)
        await creating.let_go(calls, namespace, name)
    assert cluster.objects[key]["metadata"]["finalizers"] == ["foregroundDeletion"]
