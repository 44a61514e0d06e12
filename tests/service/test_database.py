"""The service's database: migrations, refusals in words, transactions."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.model.tickets import StartTicket
from jupyterhub_aiinfn.service.database import Database
from jupyterhub_aiinfn.service.database.engine import make_engine
from jupyterhub_aiinfn.service.database.migrate import alembic_config
from jupyterhub_aiinfn.service.database.tables import Base
from jupyterhub_aiinfn.service.environments.waiters import Waiters


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A migrated database."""
    Database(tmp_path / "service" / "s.sqlite").close()
    return tmp_path / "service" / "s.sqlite"


def test_the_migrations_make_exactly_the_tables(file):
    engine = make_engine(file)
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_migrations_go_down_and_up_again(file):
    engine = make_engine(file)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
    engine.dispose()
    assert len(ScriptDirectory.from_config(alembic_config()).get_heads()) == 1


def test_only_the_owner_reads_it(file):
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_newer_database_is_refused_and_left_alone(file):
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StateError, match="newer program"):
        Database(file)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_damaged_database_is_refused_in_words(tmp_path):
    (tmp_path / "s.sqlite").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StateError, match="restore it from a backup"):
        Database(tmp_path / "s.sqlite")


def test_a_folder_in_the_way_is_said(tmp_path):
    (tmp_path / "s.sqlite").mkdir()
    with pytest.raises(StateError, match="cannot be opened"):
        Database(tmp_path / "s.sqlite")


def test_two_processes_may_open_a_new_one_together(tmp_path):
    load = "from pathlib import Path; import sys; from jupyterhub_aiinfn.service.database import Database"
    code = f"{load}; Database(Path(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "x.sqlite")]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]


async def test_of_many_who_claim_one_start_one_gets_it(file):
    database = Database(file)
    waiters = Waiters(database, 3600)
    ticket = StartTicket("t", "alice", "", {}, "quantum", "w1", 2**40)
    rows = await asyncio.gather(*(waiters.accept(ticket, "w1") for _ in range(8)))
    assert len({row.id for row in rows}) == 1
    claims = await asyncio.gather(*(waiters.claim(rows[0].id) for _ in range(8)))
    assert claims.count(True) == 1
    assert await waiters.cancel(rows[0]) is None
    database.close()


async def test_of_two_who_cancel_together_one_is_the_last(file):
    database = Database(file)
    waiters = Waiters(database, 3600)
    rows = [await waiters.accept(StartTicket(n, n, "", {}, "quantum", "w1", 2**40), "w1") for n in ("a", "b")]
    assert sorted(await asyncio.gather(*(waiters.cancel(row) for row in rows))) == [0, 1]
    database.close()
