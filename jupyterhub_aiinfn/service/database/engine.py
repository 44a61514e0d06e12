"""One SQLite file: transactions run in threads, one after the other where they write.

Synchronous SQLAlchemy in threads: every transaction here takes well under a millisecond, and the same code serves
PostgreSQL later without a second driver.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from jupyterhub_aiinfn.errors import StateError

from .migrate import upgrade

T = TypeVar("T")


class Database:
    """The service's database, migrated to this program's version before the first use."""

    def __init__(self, path: Path) -> None:
        """Open or make ``path`` (0600) and migrate it; :class:`StateError` when it is newer, damaged or unwritable."""
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
        except OSError as error:
            raise StateError(
                f"the database {path} cannot be opened: {error.strerror or error}; make room for it"
            ) from error
        self._engine = make_engine(path)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="database")
        try:
            upgrade(self._engine, path)
        except SQLAlchemyError as error:
            self.close()
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise StateError(f"the database {path} cannot be used: {reason}; restore it from a backup") from error
        except StateError:
            self.close()
            raise

    def transact(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` in one transaction: committed when it returns, rolled back when it raises."""
        with self._sessions.begin() as session:
            return work(session)

    async def run(self, work: Callable[[Session], T]) -> T:
        """:meth:`transact` in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.transact, work)

    async def state(self) -> str:
        """``ok``, or what is wrong in a sentence."""
        try:
            await self.run(lambda session: session.execute(text("SELECT 1 FROM alembic_version")))
        except SQLAlchemyError:
            return "the database does not answer; see the service's log"
        return "ok"

    def close(self) -> None:
        """Wait for what runs, and let the file go."""
        self._threads.shutdown(wait=True)
        self._engine.dispose()


def make_engine(path: Path) -> Engine:
    """An engine whose transactions take the write lock when they begin: none fails half way for another writer."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 10})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
