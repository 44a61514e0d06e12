"""The record of what administrators did: rows are only added."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from jupyterhub_aiinfn.service.database import Database
from jupyterhub_aiinfn.service.database.tables import ActRow

SHOWN = 50
"""Acts that the page lists; the database has all."""


@dataclass(frozen=True)
class Act:
    """Who did what to whom."""

    who: str
    what: str
    whom: str = ""
    message: str = ""
    workload: str | None = None


def add_act(session: Session, act: Act) -> None:
    """Record an act in the transaction of the act itself."""
    session.add(
        ActRow(
            at=int(time.time()),
            who=act.who,
            what=act.what,
            whom=act.whom,
            message=act.message,
            workload=act.workload,
        )
    )


async def latest(database: Database) -> list[ActRow]:
    """The last acts, newest first."""
    statement = select(ActRow).order_by(ActRow.id.desc()).limit(SHOWN)
    return await database.run(lambda session: list(session.scalars(statement)))
