"""Git in a session: it knows who commits, and a person's own setting wins."""

from __future__ import annotations

import pytest

from jupyterhub_aiinfn.backends.local.backend import LocalBackend

from .test_verbs import shell, until_ended

pytestmark = pytest.mark.slow


async def test_a_person_can_commit_at_once_and_under_another_address_later(local: LocalBackend) -> None:
    commit = "git commit -q --allow-empty -m x && git log -1 --format='%an <%ae>'"
    setting = "git config --global user.email alice@example.org"
    workload = await local.start(shell(f"git init -q x && cd x && {commit} && {setting} && {commit}"))
    assert (await until_ended(local, workload.id, 30)).exit_code == 0
    assert (await local.log(workload.id)).split("\n") == ["alice <alice@localhost>", "alice <alice@example.org>"]
