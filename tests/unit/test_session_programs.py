"""What a session is told about package indexes: never a password, a token, or a folder of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_aiinfn.hub.session_programs import package_settings, search_path

INDEX = "https://index.example.org/simple"


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "https://alice:secret@index.example.org/simple",
        "https://secret@index.example.org/simple",
        f"{INDEX} https://alice:secret@other.example.org/simple",
        f"{INDEX}?token=secret",
        f"{INDEX}#secret",
        "/srv/secret",
        "file:///srv/secret",
        "https://[secret",
        "secret",
    ],
)
def test_nothing_secret_reaches_a_session(name: str, value: str) -> None:
    settings, refused = package_settings({name: value, "PIP_RETRIES": "2"})
    assert settings == {"PIP_RETRIES": "2"}
    assert refused == [name]


def test_plain_addresses_do_and_nothing_else_of_the_platform() -> None:
    given = {
        "PIP_INDEX_URL": INDEX,
        "PIP_EXTRA_INDEX_URL": f"{INDEX} http://other.example.org:8080/simple",
        "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt",
        "PIP_TRUSTED_HOST": "other.example.org",
    }
    others = {
        "PIP_CLIENT_CERT": "/srv/key.pem",
        "PIP_KEYRING_PROVIDER": "import",
        "AIINFN_STATE": "/s",
        "PIP_USER": "1",
    }
    assert package_settings(given | others | {"PIP_FIND_LINKS": " "}) == (given, [])


def test_the_proxy_is_told_to_pip_alone_and_without_a_password() -> None:
    assert package_settings({"HTTPS_PROXY": "http://proxy:3128"}) == ({"PIP_PROXY": "http://proxy:3128"}, [])
    assert package_settings({"https_proxy": "http://me:secret@proxy:3128"}) == ({}, ["PIP_PROXY"])


def test_the_image_comes_before_jupyterlab() -> None:
    path = search_path(Path("/cache/python-1/share/jupyter"), Path("/opt/lab"))
    assert path == "/cache/python-1/bin:/opt/lab/bin:/usr/local/bin:/usr/bin:/bin"
