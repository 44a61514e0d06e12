"""Calls of an API server that is slow, away, full or hostile: what is tried again, and what is said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes_asyncio import client

from jupyterhub_aiinfn.backends.kubernetes.calls import Calls
from jupyterhub_aiinfn.errors import ClusterRefused

TOKEN = "tok-9f27c1d0aa"
SECRET = {"kind": "Secret", "metadata": {"name": "one", "namespace": "there"}, "stringData": {"TOKEN": TOKEN}}
Answer = Callable[[web.Request], web.StreamResponse]


def status(code: int, reason: str = "", message: str = "") -> Answer:
    body = {"kind": "Status", "reason": reason, "message": message}
    return lambda request: web.json_response(body, status=code)


def made(request: web.Request) -> web.StreamResponse:
    return web.json_response({"kind": "Secret", "metadata": {"name": "one", "uid": "u"}}, status=201)


def lost(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@asynccontextmanager
async def server(*answers: Answer) -> AsyncIterator[tuple[Calls, list[tuple[str, str, str]]]]:
    """A web server that gives these answers one after another, the last one for ever; and what it was asked."""
    asked: list[tuple[str, str, str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append((request.method, request.path_qs, request.content_type))
        await request.read()
        return answers[min(len(asked), len(answers)) - 1](request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{port}")) as api:
        yield Calls(api, patience=1.0), asked
    await runner.cleanup()


async def test_what_fails_for_a_moment_is_tried_again() -> None:
    async with server(status(503), lost, made) as (calls, asked):
        assert (await calls.create("start it", SECRET))["metadata"]["uid"] == "u"
    assert asked == [("POST", "/api/v1/namespaces/there/secrets", "application/json")] * 3


async def test_what_was_made_although_its_answer_was_lost_counts_as_made() -> None:
    async with server(lost, status(409, "AlreadyExists")) as (calls, _):
        assert (await calls.create("start it", SECRET))["metadata"]["name"] == "one"


async def test_what_was_there_before_is_refused() -> None:
    async with server(status(409, "AlreadyExists")) as (calls, asked):
        with pytest.raises(ClusterRefused, match="the cluster has one of that name already"):
            await calls.create("start it", SECRET)
    assert len(asked) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422])
async def test_what_fails_for_good_is_tried_once_and_said_without_what_was_sent(code: int) -> None:
    async with server(status(code, "Whatever", f"cannot take {json.dumps(SECRET)}")) as (calls, asked):
        with pytest.raises(ClusterRefused, match="could not start it: ") as refused:
            await calls.create("start it", SECRET)
    assert (refused.value.code, len(asked)) == (code, 1)
    assert TOKEN not in str(refused.value) + repr(refused.value)


async def test_who_never_answers_is_given_up_in_words() -> None:
    async with server(lost) as (calls, asked):
        with pytest.raises(ClusterRefused, match="the cluster does not answer; try again in a minute") as refused:
            await calls.read("look", "Pod", "there", "one")
    assert refused.value.code == 0
    assert len(asked) > 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"\xff\xfe", b'"' + b"x" * 1_000_000])
async def test_an_answer_that_is_no_object_is_an_error_of_the_cluster(body: bytes) -> None:
    async with server(lambda request: web.Response(body=body)) as (calls, _):
        with pytest.raises(ClusterRefused, match="the cluster has an error of its own"):
            await calls.read("look", "Pod", "there", "one")


async def test_what_is_gone_need_not_be_deleted() -> None:
    async with server(status(404, "NotFound")) as (calls, asked):
        await calls.delete("stop it", "Pod", "there", "../../nodes/n", 5)
    assert asked[0][:2] == ("DELETE", "/api/v1/namespaces/there/pods/..%2F..%2Fnodes%2Fn")


async def test_lists_lines_and_patches_go_where_they_belong() -> None:
    answer: Any = {"items": [{"metadata": {}}, 3, None]}
    async with server(lambda request: web.json_response(answer)) as (calls, asked):
        assert await calls.list("look", "Workload", "there", {"a/b": "c"}) == [{"metadata": {}}]
        await calls.line("look", "there", "lab")
        await calls.patch("stop it", "Pod", "there", "one", {})
    assert asked == [
        ("GET", "/apis/kueue.x-k8s.io/v1beta2/namespaces/there/workloads?labelSelector=a/b%3Dc", "application/json"),
        (
            "GET",
            "/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/there/localqueues/lab/pendingworkloads",
            "application/json",
        ),
        ("PATCH", "/api/v1/namespaces/there/pods/one", "application/merge-patch+json"),
    ]
