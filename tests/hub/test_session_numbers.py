"""Where the hub finds the number that an identity provider gives a person."""

from __future__ import annotations

from typing import Any

import pytest

from jupyterhub_aiinfn.hub.session_numbers import claim_of


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"access_token": "t", "oauth_user": {"sub": "alice", "uid_number": 7}}, 7),
        ({"uid_number": "8"}, "8"),
        ({"oauth_user": {"uid_number": 7}, "uid_number": 8}, 7),
        ({"oauth_user": {"uid_number": None}, "uid_number": 8}, None),
        ({"oauth_user": {"sub": "alice"}}, None),
        ({"oauth_user": ["uid_number"]}, None),
        ({"oauth_user": "uid_number"}, None),
        ({}, None),
        (None, None),
    ],
    ids=repr,
)
def test_the_claim_is_what_the_identity_provider_says(state: dict[str, Any] | None, said: object) -> None:
    assert claim_of(state, "uid_number") == said
