"""What the parts of the hub share: the values, the backend, the sessions, what is free, the last choices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from jupyterhub_aiinfn.api.availability import Availability, DeviceAvailability
from jupyterhub_aiinfn.backends.base import Backend, WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.backends.local.agreement import Follower
from jupyterhub_aiinfn.model.entitlement import Offer, decide, offers
from jupyterhub_aiinfn.model.folders import Folders, folders_of
from jupyterhub_aiinfn.model.requests import DeviceCount, Grant, Person, Situation
from jupyterhub_aiinfn.model.tickets import StartTicket, sign_ticket
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from .availability import AvailabilityFeed
from .last_choices import LastChoices
from .longest_life import PATIENCE, LongestLife
from .sessions import Sessions

OFFERS_LIVE = 30
"""Seconds; a time of day on a card is exact to the minute anyway."""
TICKET_LIFE = 3600
"""Seconds within which the browser must bring the ticket; the service keeps the waiter afterwards."""


class EnvironmentCache(Protocol):
    """What the hub needs to know about environments of images."""

    def ready(self, image: str) -> bool:
        """Whether a session of the image can start; a look at one file."""

    def kernels(self, image: str) -> Path:
        """A folder to put in front of ``JUPYTER_PATH``."""

    def build_spec(self, image: str) -> WorkloadSpec:
        """The job that builds it."""


@dataclass
class Platform:
    """One hub's knowledge and the decisions made from it. Nothing here waits for the network or the disk."""

    current: CurrentValues
    backend: Backend
    environments: EnvironmentCache
    feed: AvailabilityFeed
    last_choices: LastChoices
    ticket_key: str = field(repr=False)
    service_prefix: str = "/services/aiinfn/"
    follower: Follower | None = None
    """What keeps the values at those that hub and service have agreed on; None where nobody changes them."""
    sessions: Sessions = field(init=False)
    longest_life: LongestLife = field(init=False, repr=False)
    drawing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock, repr=False)
    """Held while a page is drawn: twenty at once would take one long turn of the loop together."""
    warming: asyncio.Task[None] | None = field(init=False, default=None, repr=False)
    """What prepares the pages at the hub's start; held here, or it might be collected before it is done."""
    sweeping: asyncio.Task[None] | None = field(init=False, default=None, repr=False)
    """What removes the remains of a killed hub at the hub's start; held here for the same reason."""
    delivering: asyncio.Task[None] | None = field(init=False, default=None, repr=False)
    """What delivers the hub's record of sessions, where it keeps one."""
    _shown: tuple[object, ...] = field(init=False, default=())
    _offers: dict[tuple[object, ...], list[Offer]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.backend)
        grace = self.values.stop_grace.total_seconds()
        self.longest_life = LongestLife(self.backend, self.sessions, grace + PATIENCE)

    @property
    def values(self) -> Values:
        """The values that count at this moment; who needs several things of them asks once."""
        return self.current.values

    def start(self) -> None:
        """Begin to watch sessions, availability and values; may be called often, within the event loop."""
        self.sessions.start()
        if self.follower is not None:
            self.follower.start()
        self.feed.start()
        self.longest_life.start()

    def situation(self, groups: frozenset[str] = frozenset()) -> Situation:
        """The world as the hub knows it at this moment, with what is kept for members of these groups."""
        return Situation(
            now=datetime.now(UTC),
            held=self.sessions.held(),
            devices=devices(self.feed.snapshot(), groups),
            starting=self.sessions.starting(),
        )

    def folders(self, person: Person) -> Folders:
        """The shared folders that a session of the person has when it starts now."""
        today = datetime.now(UTC).astimezone(ZoneInfo(self.values.site.timezone)).date()
        return folders_of(self.values, person, today)

    def offers(self, person: Person, server_name: str) -> list[Offer]:
        """What to show on the page.

        People of the same groups who hold nothing see the same: it is computed once for them, and anew when a
        session comes or goes, a snapshot arrives, the values change, or half a minute is over.
        """
        situation, values = self.situation(person.groups), self.values
        leads = any(person.name in project.leaders for project in values.projects.values())
        holds = any(held.person == person.name for held in situation.held)
        who = person.name if leads or holds else ""
        snapshot = self.feed.snapshot()
        half_minute = int(situation.now.timestamp()) // OFFERS_LIVE
        shown = situation.held, snapshot and snapshot.taken_at, half_minute, self.current.switches
        if shown != self._shown:
            self._shown, self._offers = shown, {}
        key = (who, person.groups, server_name if holds else "")
        if key not in self._offers:
            self._offers[key] = offers(values, person, situation, server_name)
        return self._offers[key]

    def decide_and_reserve(self, person: Person, options: object, server_name: str) -> Grant:
        """Grant a start and count it from now on; raises :class:`~jupyterhub_aiinfn.errors.Refusal`.

        There is no ``await`` between the two, so of ten requests at once none sees a cap that another has used up.
        """
        grant = decide(self.values, person, options, self.situation(person.groups), server_name)
        self.sessions.reserve(person.name, server_name, grant)
        return grant

    def ticket_address(
        self, person: str, server_name: str, grant: Grant, job: str, *, holder: str = "", next_page: str = ""
    ) -> str:
        """Where the browser of ``holder`` (by default the person) follows the build and goes on to the session.

        ``next_page`` is the page of this site that was asked for; by default the session's first one.
        """
        ticket = StartTicket(
            id=new_workload_id(),
            person=person,
            server_name=server_name,
            options=grant.choice.options(),
            image=grant.image,
            job=job,
            expires=int(time.time()) + TICKET_LIFE,
            holder=holder,
            next=next_page,
        )
        return f"{self.service_prefix}starts?ticket={sign_ticket(self.ticket_key, ticket)}"


def devices(snapshot: Availability | None, groups: frozenset[str] = frozenset()) -> Mapping[str, DeviceCount] | None:
    """The devices of a snapshot as the decision takes them for members of these groups; None: nothing is known."""
    if snapshot is None:
        return None
    return {key: _count(device) for key, device in snapshot.seen_by(groups).devices.items()}


def _count(device: DeviceAvailability) -> DeviceCount:
    return DeviceCount(
        total=device.total,
        used=device.used - device.gives_way,  # what goes as soon as a session comes keeps nobody from starting one
        emulated=device.emulated,
        reason=device.reason,
        next_free_at=device.next_free_at,
    )
