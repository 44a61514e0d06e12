"""The Python client against the real service."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason
from jupyterhub_aiinfn.client import Client
from jupyterhub_aiinfn.errors import ServiceError

from .running import wait_for
from .test_tokens import hub_token, start


def test_a_session_asks_with_its_own_token(platform, browse):
    token = start(platform, hub_token(platform, browse, "nina"), "nina")
    variables = {"AIINFN_SERVICE_URL": platform.url, "JUPYTERHUB_API_TOKEN": token}
    with Client.from_environment(variables) as client:
        assert client.me().name == "nina"
        assert client.me().server_name == ""
        assert client.availability().devices["card"].total == 2
        assert client.sessions().sessions == ()
        assert client.health().status == "ok"
        assert client.environment("quantum").name == "Quantum"
        work = platform.session(person="nina")
        wait_for(lambda: client.sessions().sessions, 10, "the session's appearance")
        assert client.session(work.id).idle_after_seconds == 60
        with pytest.raises(ServiceError, match="no session"):
            client.session("w" + "0" * 20)
        platform.farm.end(work.id, EndReason.finished)
        with pytest.raises(ServiceError, match="there is no image") as unknown:
            client.environment("pyhton")
        assert (unknown.value.status, unknown.value.reason) == (404, "not-found")
        with pytest.raises(ServiceError, match="only administrators"):
            client.sessions(everybody=True)


def test_the_service_may_be_named_with_its_path(platform):
    with Client(f"{platform.installation.service_url}/services/aiinfn/", platform.tokens["reader"]) as client:
        assert client.me().kind == "service"


def test_errors_are_sentences(platform):
    with Client(platform.url, "wrong") as client, pytest.raises(ServiceError, match="does not know this token"):
        client.me()
    with Client(f"{platform.url}/hub", "x") as client, pytest.raises(ServiceError) as other:
        client.me()
    assert other.value.reason == "not-the-service"
    with Client("http://127.0.0.1:9", "x") as client, pytest.raises(ServiceError, match="does not answer"):
        client.me()
    with pytest.raises(ServiceError, match="AIINFN_SERVICE_URL"):
        Client.from_environment({})


def test_the_import_is_light():
    heavy = ("httpx", "sqlalchemy", "fastapi")
    code = f"import sys, jupyterhub_aiinfn.client; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
