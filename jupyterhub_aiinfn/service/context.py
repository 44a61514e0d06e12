"""Everything that the features share in one process; made once by the app."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.base import Backend, Storage
    from jupyterhub_aiinfn.backends.local.agreement import Follower
    from jupyterhub_aiinfn.values import Values
    from jupyterhub_aiinfn.values.current import CurrentValues

    from .announcements.board import Board
    from .availability.streams import Streams
    from .availability.watch import Watch
    from .database import Database
    from .environments.catalogue import Catalogue
    from .environments.starter import Starter
    from .environments.waiters import Waiters
    from .facts.book import Book
    from .facts.recorder import Recorder
    from .health.metrics import Metrics
    from .identity.browser import Browsers
    from .identity.hub import HubApi
    from .identity.tokens import Identities
    from .sessions.keeper import Keeper
    from .sessions.stays import Stays
    from .settings import Settings


@dataclass(frozen=True)
class Context:
    """The parts of the running service."""

    settings: Settings
    current: CurrentValues
    backend: Backend
    database: Database
    hub: HubApi
    identities: Identities
    browsers: Browsers
    watch: Watch
    streams: Streams
    catalogue: Catalogue
    waiters: Waiters
    starter: Starter
    metrics: Metrics
    stays: Stays
    keeper: Keeper
    board: Board
    book: Book
    recorder: Recorder
    storage: Storage | None = None
    """Where homes and shared folders are; None for a backend that does not say how full they are."""
    follower: Follower | None = None
    """What keeps the values at those that hub and service have agreed on; None where nobody changes them."""

    @property
    def values(self) -> Values:
        """The values that count at this moment."""
        return self.current.values

    @property
    def values_hash(self) -> str:
        """Their hash."""
        return self.current.hash

    @property
    def origin(self) -> str:
        """Scheme, host and port under which browsers see the platform."""
        parts = urlsplit(self.settings.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @staticmethod
    def now() -> int:
        """Whole seconds since the epoch."""
        return int(time.time())


def context_of(request: HTTPConnection) -> Context:
    """The context of the app that serves this request."""
    context: Context = request.app.state.context
    return context
