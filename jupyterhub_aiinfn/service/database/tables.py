"""The tables; a change here needs a migration in ``migrations/versions``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can name them. Times are whole seconds since the epoch."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {dict[str, Any]: JSON}


class BrowserSessionRow(Base):
    """A browser that is logged in; the cookie itself is not here, only its hash."""

    __tablename__ = "browser_sessions"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the cookie."""
    person: Mapped[str] = mapped_column(String(255), index=True)
    token: Mapped[str] = mapped_column(Text)
    """The hub's OAuth token, encrypted with a key that needs the cookie."""
    hub_session: Mapped[str] = mapped_column(String(255), default="")
    """The browser's session at the hub, as the hub named it."""
    created_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(index=True)


class WaiterRow(Base):
    """A session that waits for an environment."""

    __tablename__ = "waiters"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    ticket: Mapped[str] = mapped_column(String(128), unique=True)
    """Id of the hub's ticket: a ticket makes one waiter."""
    person: Mapped[str] = mapped_column(String(255), index=True)
    """Whose session it is."""
    holder: Mapped[str] = mapped_column(String(255), index=True)
    """Who asked for it, and sees and cancels it: the person, or an administrator who acts for them."""
    server_name: Mapped[str] = mapped_column(String(255))
    options: Mapped[dict[str, Any]]
    """What the hub is told when the session starts."""
    image: Mapped[str] = mapped_column(String(63))
    job: Mapped[str] = mapped_column(String(64), index=True)
    """The job that builds the environment."""
    state: Mapped[str] = mapped_column(String(16), index=True)
    message: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[int]
    expires_at: Mapped[int]
    claimed_at: Mapped[int | None]
    """When somebody took it to start it."""
    finished_at: Mapped[int | None]


class StayRow(Base):
    """How long one session may stay: what it was granted and warned of, and what was last seen of it."""

    __tablename__ = "stays"

    workload: Mapped[str] = mapped_column(String(64), primary_key=True)
    person: Mapped[str] = mapped_column(String(255))
    policy: Mapped[dict[str, Any]]
    """The limits of its profile when it started."""
    extensions: Mapped[int] = mapped_column(default=0)
    keep_until: Mapped[int | None]
    warned_at: Mapped[int | None]
    """When it was warned of being idle; None since it was not, or something worked in it again."""
    stop_at: Mapped[int | None]
    """When an administrator ends it."""
    stop_message: Mapped[str] = mapped_column(Text, default="")
    course: Mapped[dict[str, Any]]
    """The last look at its counters, and since when it was idle then."""
    seen_at: Mapped[int] = mapped_column(index=True)
    """When it lived for the last time: the row goes some time after it."""


class AnnouncementRow(Base):
    """What an administrator says to everybody or to the users of one profile."""

    __tablename__ = "announcements"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    message: Mapped[str] = mapped_column(Text)
    profile: Mapped[str | None] = mapped_column(String(63))
    author: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[int]
    until: Mapped[int | None]
    withdrawn_at: Mapped[int | None]


class ActRow(Base):
    """What an administrator did. Rows are only added."""

    __tablename__ = "acts"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int] = mapped_column(index=True)
    who: Mapped[str] = mapped_column(String(255))
    what: Mapped[str] = mapped_column(String(32))
    whom: Mapped[str] = mapped_column(String(255))
    """Whose session, or for whom an announcement is: a person, a profile, or everybody."""
    workload: Mapped[str | None] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text, default="")


class FactRow(Base):
    """What somebody saw happen to a workload, or inferred. Rows are only added; each source says each thing once."""

    __tablename__ = "facts"
    __table_args__ = (UniqueConstraint("subject", "kind", "source"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(96))
    """Id of the workload; for a gap a name of its own."""
    kind: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(16))
    """``hub`` or ``service``: who saw it."""
    at: Mapped[int]
    """When it happened."""
    inferred: Mapped[bool]
    """Whether nobody saw it."""
    dropped: Mapped[int] = mapped_column(BigInteger)
    """For a gap: how many facts are missing."""
    workload: Mapped[dict[str, Any]]
    """The workload as it was known then; empty for a gap."""
    taken_at: Mapped[int]
    """When it was written here."""
