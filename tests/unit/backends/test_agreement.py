"""Sets of values that are stored: which are taken for what they say they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.backends.local.agreement import KEPT, Agreement, Agreements
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.supervisor.known_values import last_held, values_to_start_with
from jupyterhub_aiinfn.values import load_values, values_hash
from jupyterhub_aiinfn.values.load import data_hash, plain_values

CONFIG = Path(__file__).parents[3] / "config" / "local.yaml"


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    folder.prepare()
    return folder


def stored_by_an_older_release(state: StateFolder) -> str:
    """Values without a setting that is new, as the release before it wrote them."""
    data: dict[str, Any] = plain_values(load_values(CONFIG))
    del data["limits"]["keep_workloads"]
    digest = data_hash(data)
    agreements = Agreements(state)
    agreements.store(load_values(CONFIG))
    (agreements.folder / f"{digest}.json").write_text(json.dumps(data))
    return digest


def test_values_of_an_older_release_are_started_with(state: StateFolder) -> None:
    digest = stored_by_an_older_release(state)
    agreements = Agreements(state)
    agreements.agree(Agreement(digest, str(CONFIG)))
    agreements.put_next(Agreement(digest, str(CONFIG)))
    assert digest != values_hash(load_values(CONFIG))
    assert values_to_start_with(None, state).values == load_values(CONFIG)
    assert last_held(state) is not None
    with pytest.raises(StateError, match="was changed by somebody"):
        agreements.load(digest)  # hub and service hold what they were told and nothing else


@pytest.mark.parametrize("older", [False, True])
def test_values_that_somebody_changed_are_refused(state: StateFolder, older: bool) -> None:
    digest = stored_by_an_older_release(state)
    agreements = Agreements(state)
    file = agreements.folder / f"{digest}.json"
    data = json.loads(file.read_text())
    data["limits"]["sessions_per_person"] = 49
    file.write_text(json.dumps(data))
    with pytest.raises(StateError, match="was changed by somebody"):
        agreements.load(digest, older=older)


def test_values_that_were_stored_long_ago_are_not_forgotten_when_they_are_stored_again(state: StateFolder) -> None:
    """What `values apply` stores for the next start must be there until something points to it."""
    agreements, values = Agreements(state), load_values(CONFIG)
    digest = agreements.store(values)
    file = agreements.folder / f"{digest}.json"
    os.utime(file, (1, 1))
    for number in range(KEPT):
        (agreements.folder / f"{number:016x}.json").write_text("{}")
    other = values.model_copy(update={"site": values.site.model_copy(update={"name": "Other"})})
    assert agreements.store(values) == digest
    agreements.agree(Agreement(agreements.store(other), str(CONFIG)))
    agreements.put_next(Agreement(digest, str(CONFIG)))
    assert values_to_start_with(None, state).values == values
