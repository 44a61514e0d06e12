"""Every answer: one shape of errors, headers, limits, and nothing that leaks."""

from __future__ import annotations

import socket

import httpx
import pytest

from jupyterhub_aiinfn.api.base import ErrorBody

from .running import API, PREFIX, wait_for


def internal(platform) -> dict[str, str]:
    """Headers of the hub."""
    return {"Authorization": f"token {platform.installation.state.secret('internal-token')}"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", f"{PREFIX}/nothing", 404),
        ("GET", f"{API}/nothing", 404),
        ("POST", f"{PREFIX}/health", 405),
        ("PUT", f"{API}/me", 405),
        ("GET", f"{API}/starts/short", 401),
        ("GET", f"{PREFIX}/static/../app.py", 404),
        ("GET", f"{PREFIX}/static/%2e%2e/app.py", 404),
        ("GET", f"{PREFIX}/oauth_callback?state={'x' * 99}", 422),
    ],
)
def test_one_shape_for_all_errors(platform, method, path, status):
    answer = httpx.request(method, f"{platform.installation.service_url}{path}")
    assert answer.status_code == status
    assert ErrorBody.model_validate_json(answer.content).error.message
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_the_shape_too(platform, text):
    port = httpx.URL(platform.installation.service_url).port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert ErrorBody.model_validate_json(body).error.reason == "bad-request"


def test_a_browser_gets_the_sentence_as_a_page(platform):
    answer = httpx.get(f"{platform.url}{PREFIX}/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert '<p role="alert">there is nothing at this address' in answer.text


def test_a_body_that_is_too_long_is_cut_off(platform):
    url = f"{platform.installation.service_url}{PREFIX}/logout"
    form = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "aiinfn-session=x"}
    assert httpx.post(url, content=b"x" * (1024 * 1024 + 1), headers=form).status_code == 413
    announced_nothing = httpx.post(url, content=iter([b"x" * 65536] * 32), headers=form)
    assert announced_nothing.status_code == 413
    assert announced_nothing.headers["connection"] == "close", "nothing can follow a body that is not read"
    assert announced_nothing.json()["error"]["reason"] == "too-long"
    assert httpx.post(url, content=b"csrf=" + b"x" * 1000, headers=form).status_code == 403


def test_pages_load_nothing_from_elsewhere(platform, browse):
    alice = browse(platform, "alice")
    page = alice.visit(f"{PREFIX}/")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    style = alice.get(f"{PREFIX}/static/service.css")
    assert style.status_code == 200
    assert style.headers["cache-control"] == "max-age=3600"


def test_the_openapi_document_is_there_and_no_page_of_another_host(platform):
    document = httpx.get(f"{platform.url}{API}/openapi.json").json()
    assert {f"{API}/me", f"{API}/sessions", f"{API}/availability", f"{PREFIX}/health"} <= set(document["paths"])
    assert document["components"]["securitySchemes"]["hub token"]["scheme"] == "bearer"
    public = {path for path, methods in document["paths"].items() if any("security" not in m for m in methods.values())}
    assert public == {f"{PREFIX}/health"}
    errors = {code for path in document["paths"].values() for method in path.values() for code in method["responses"]}
    assert {"400", "401", "403", "404", "405", "409", "413", "422", "429", "500", "502", "503"} <= errors
    assert httpx.get(f"{platform.url}/docs").status_code in (302, 404)
    assert httpx.get(f"{platform.installation.service_url}/docs").status_code == 404


def test_health_says_how_the_parts_are_and_nothing_secret(platform):
    health = httpx.get(f"{platform.url}{PREFIX}/health").json()
    assert health["status"] == "ok"
    assert (health["database"], health["backend"], health["hub"]) == ("ok", "ok", "ok")
    assert len(health["values_hash"]) == 16


def test_the_access_log_has_no_query_and_no_forged_line(platform):
    httpx.get(f"{platform.installation.service_url}{PREFIX}/x%0aERROR%20forged?ticket=secret-in-query")
    line = f"{PREFIX}/x%0AERROR%20forged 404"
    wait_for(lambda: line in platform.log("service"), what="the line, which is written after the answer")
    log = platform.log("service")
    assert "secret-in-query" not in log
    assert "\nERROR forged" not in log
    for name in ("service-token", "internal-token", "ticket-key", "session-key"):
        assert platform.installation.state.secret(name) not in log


def test_environments_are_ready_missing_or_unknown(platform):
    token = platform.tokens["reader"]
    (platform.farm.root / "ready" / "python").touch()
    assert platform.get(f"{API}/environments/python", token).json()["state"] == "ready"
    unknown = platform.get(f"{API}/environments/pyhton", token)
    assert unknown.status_code == 404
    assert "known are python, quantum" in unknown.json()["error"]["message"]
