"""What travels over HTTP: old and new versions talk, errors have one shape."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from jupyterhub_aiinfn.api.availability import Availability, DeviceAvailability
from jupyterhub_aiinfn.api.base import ErrorBody, ErrorDetail
from jupyterhub_aiinfn.api.environments import Environment, EnvironmentState, Start, StartState
from jupyterhub_aiinfn.api.people import Me
from jupyterhub_aiinfn.api.sessions import Sessions

NOW = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)


def test_unknown_keys_of_a_newer_version_are_ignored():
    assert Me.model_validate({"name": "alice", "shoe_size": 42}) == Me(name="alice")


def test_messages_are_frozen():
    with pytest.raises(ValidationError):
        Me(name="alice").name = "bob"


@pytest.mark.parametrize(("total", "used", "free"), [(2, 0, 2), (2, 2, 0), (1, 3, 0), (0, 0, 0)])
def test_free_is_never_negative(total, used, free):
    assert DeviceAvailability(accelerator="a", total=total, used=used).free == free


@pytest.mark.parametrize(
    "message",
    [
        ErrorBody(error=ErrorDetail(reason="r", message="m")),
        Availability(taken_at=NOW, devices={"a": DeviceAvailability(accelerator="a", total=1, next_free_at=NOW)}),
        Environment(image="q", name="Q", state=EnvironmentState.ready),
        Sessions(taken_at=NOW),
        Start(id="1", image="q", image_name="Q", server_name="", state=StartState.waiting, created_at=NOW, url="/hub"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_survive_the_way(message):
    assert type(message).model_validate_json(message.model_dump_json()) == message
