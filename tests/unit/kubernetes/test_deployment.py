"""Where hub and service of a cluster find one another, and the secrets that both derive from one."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.kubernetes.deployment import Deployment, token_of_file
from jupyterhub_aiinfn.errors import BackendError, StateError
from jupyterhub_aiinfn.values import load_values

from .farms import CONFIG, farm

TOKEN = "0123456789abcdef" * 4


def test_addresses_follow_from_the_values_unless_the_environment_says_otherwise() -> None:
    found = Deployment.of(farm(), TOKEN, {})
    assert found.service_url == "http://aiinfn-service.aiinfn:8765"
    assert found.hub_api_url == "http://hub.aiinfn:8081/hub/api"
    assert str(found.state.root) == "/srv/jupyterhub/aiinfn"
    said = {"AIINFN_HUB_ADDRESS": "http://h:1/", "AIINFN_SERVICE_ADDRESS": "https://s:2", "AIINFN_STATE": "/x"}
    found = Deployment.of(farm(), TOKEN, said)
    assert (found.hub_api_url, found.service_url, str(found.state.root)) == ("http://h:1/hub/api", "https://s:2", "/x")


@pytest.mark.parametrize("name", ["AIINFN_HUB_ADDRESS", "AIINFN_SERVICE_ADDRESS"])
def test_what_is_no_address_is_a_sentence(name: str) -> None:
    with pytest.raises(StateError, match=f"the variable {name} must be an address such as http"):
        Deployment.of(farm(), TOKEN, {name: "hub:8081"})


def test_hub_and_service_derive_the_same_secrets_each_its_own_and_none_says_the_token() -> None:
    hub, service = Deployment.of(farm(), TOKEN, {}), Deployment.of(farm(), f"{TOKEN}\n", {})
    names = ("internal-token", "ticket-key", "session-key", "facts-token", "login-key")
    assert [hub.secret(name) for name in names] == [service.secret(name) for name in names]
    assert len({hub.secret(name) for name in names} | {TOKEN}) == len(names) + 1
    assert Deployment.of(farm(), TOKEN[::-1], {}).secret("ticket-key") != hub.secret("ticket-key")
    assert all(len(hub.secret(name)) == 64 for name in names)
    assert TOKEN not in repr(hub)


@pytest.mark.parametrize("token", ["", " ", "short", "\u00fc" * 64, "a" * 40 + "\n" + "b" * 40])
def test_an_unusable_token_is_a_sentence_that_does_not_say_it(token: str) -> None:
    with pytest.raises(StateError, match="has fewer than 32 plain characters") as caught:
        Deployment.of(farm(), token, {})
    assert not token.strip() or token not in str(caught.value)


def test_values_of_one_machine_are_a_sentence() -> None:
    with pytest.raises(BackendError, match="kubernetes"):
        Deployment.of(load_values(CONFIG.parent / "local.yaml"), TOKEN, {})


def test_the_token_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    assert token_of_file({"AIINFN_SERVICE_TOKEN_FILE": str(tmp_path / "token")}) == TOKEN
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, sentence in (("absent", "No such file"), ("binary", "it is no text"), (".", "Is a directory")):
        with pytest.raises(StateError, match=sentence):
            token_of_file({"AIINFN_SERVICE_TOKEN_FILE": str(tmp_path / name)})
    with pytest.raises(StateError, match="AIINFN_SERVICE_TOKEN_FILE is not set"):
        token_of_file({})
