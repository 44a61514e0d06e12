"""Where a log-in may lead: pages of this service only."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.service.identity.login import INDEX, Login, begin, safe_next, seal, unseal

PIECES = ["/", "..", "%2e", "%2f", "\\", "services", "aiinfn", "?", "#", ":", "@", "x"]
HOST = "http://hub.example/services/aiinfn/oauth_callback"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/services/aiinfn/",
        "/\\evil.example",
        "/hub/logout",
        "/services/aiinfnx/",
        "/services/aiinfn",
        "/services/aiinfn/../../hub/logout",
        "/services/aiinfn/%2e%2e/%2E%2e/hub/logout",
        "/services/aiinfn/%252e%252e/x",
        "/services/aiinfn/..\\..\\hub",
        "/services/aiinfn//evil.example",
        "/services/aiinfn/\nx",
        "/services/aiinfn/\u2025/",
        "javascript:alert(1)",
        "/services/aiinfn/" + "x" * 2000,
        "",
    ],
)
def test_other_places_become_the_index(address):
    assert safe_next(address) == INDEX


@pytest.mark.parametrize(
    "address", ["/services/aiinfn/", "/services/aiinfn/starts?ticket=a.b&again=true", "/services/aiinfn/x/y"]
)
def test_own_pages_are_kept(address):
    assert safe_next(address) == address


@given(
    st.text()
    | st.lists(st.sampled_from(["/", "..", "%2e", "%2f", "\\", "services", "aiinfn", "?", "#", ":", "@", "x"])).map(
        "".join
    )
)
def test_whatever_comes_a_browser_stays_inside(text):
    for address in (text, INDEX + text):
        target = urlsplit(urljoin(HOST, safe_next(address)))
        assert target.netloc == "hub.example"
        assert target.path.startswith(INDEX)


def test_the_cookie_belongs_to_one_state_and_one_key():
    login = begin("/services/aiinfn/logout")
    sealed = seal("key", login)
    assert unseal("key", sealed, login.state) == login
    assert unseal("other", sealed, login.state) is None
    assert unseal("key", sealed, "x" * 32) is None
    assert unseal("key", sealed[:-4], login.state) is None
    assert login.verifier not in sealed


def test_the_cookie_fits_a_browser_with_the_longest_next():
    login = begin("/services/aiinfn/starts?ticket=" + "x" * 1968)
    assert len(login.next) > 1990
    assert len(seal("k" * 64, login)) < 3900


def test_the_address_carries_a_challenge_and_never_the_verifier():
    login = Login("s" * 32, "v" * 64, INDEX)
    assert "code_challenge_method=S256" in login.address()
    assert "v" * 20 not in login.address()
