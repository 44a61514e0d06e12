"""What runs goes on when the values change under it, and what is free is counted by the new ones."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import BackendError, NothingFree
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from .conftest import make_values
from .test_verbs import shell

pytestmark = pytest.mark.slow


@pytest.fixture
def current() -> CurrentValues:
    return CurrentValues(make_values())


@pytest.fixture
async def backend(state: StateFolder, current: CurrentValues) -> AsyncIterator[LocalBackend]:
    made = LocalBackend(current, state)
    yield made
    await made.end_all("the test is over", 0.2)


def with_cards(count: int | None) -> Values:
    """The values with so many cards, or without the accelerator."""
    values = make_values()
    kept = {key: one for key, one in values.accelerators.items() if key != "rtx5000"}
    if count is not None:
        kept["rtx5000"] = values.accelerators["rtx5000"].model_copy(update={"emulated": count})
    return values.model_copy(update={"accelerators": kept})


async def test_devices_are_counted_by_the_values_that_count(backend: LocalBackend, current: CurrentValues) -> None:
    card = {"accelerator": "rtx5000", "accelerator_count": 1}
    held = [await backend.start(shell("sleep 60", **card)) for _ in range(2)]
    current.switch(with_cards(1))
    fewer = (await backend.availability()).devices["rtx5000"]
    assert (fewer.total, fewer.used) == (1, 2)
    with pytest.raises(NothingFree):
        await backend.start(shell("true", **card))
    current.switch(with_cards(None))
    assert "rtx5000" not in (await backend.availability()).devices
    with pytest.raises(BackendError, match="there is no accelerator 'rtx5000'"):
        await backend.start(shell("true", **card))
    for workload in held:
        assert (await backend.workload(workload.id)).phase is not Phase.ended
    current.switch(with_cards(3))
    third = await backend.start(shell("sleep 60", **card))
    assert third.devices == ("rtx5000/2",)
    current.switch(with_cards(None))
    for workload in (*held, third):
        assert (await backend.stop(workload.id)).reason is EndReason.stopped
