"""The hub's answers to `aiinfn values apply`: which values it holds, and whether it could hold others.

Only this machine's administrator gets an answer: the request must carry a secret of the state folder, and must not have
come through the proxy, through which sessions and browsers come.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any

from pydantic import ValidationError
from tornado.web import RequestHandler

from jupyterhub_aiinfn.api.base import ErrorBody, ErrorDetail
from jupyterhub_aiinfn.api.values import HeldValues, Proposal
from jupyterhub_aiinfn.backends.local.agreement import Follower
from jupyterhub_aiinfn.errors import StateError

PATH = "/aiinfn/values"


def handlers(follower: Follower, token: str) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """What an authenticator adds to the hub's handlers."""
    given = {"follower": follower, "token": token}
    return [(PATH, Held, given), (f"{PATH}/prepare", Prepare, given), (f"{PATH}/follow", Follow, given)]


class OfThisMachine(RequestHandler):
    """Answers to whoever has the secret, and to nobody else."""

    def initialize(self, follower: Follower, token: str) -> None:
        """The hub's follower, and the secret that opens this."""
        self.follower, self.token = follower, token

    def check_xsrf_cookie(self) -> None:
        """No cookie counts here, so nobody's browser can be made to send what counts."""

    def prepare(self) -> None:
        """Refuse everybody else, in words and before anything is read."""
        given = self.request.headers.get("Authorization", "").partition(" ")[2].strip()
        forwarded = any(name.lower().startswith("x-forwarded") for name in self.request.headers)
        if forwarded or not hmac.compare_digest(given.encode(), self.token.encode()):
            self.refuse(403, "forbidden", "this is for `aiinfn values apply` on the machine of the platform only")

    def refuse(self, status: int, reason: str, message: str) -> None:
        """Answer with an error."""
        self.set_status(status)
        self.finish(ErrorBody(error=ErrorDetail(reason=reason, message=message)).model_dump())

    def say(self) -> None:
        """Say what is held."""
        self.finish(HeldValues(hash=self.follower.current.hash, prepared=self.follower.prepared).model_dump())

    def refuse_values(self, error: StateError | OSError) -> None:
        """Say why the hub keeps what it holds."""
        self.refuse(409, "values", str(error))


class Held(OfThisMachine):
    """``GET``: which values the hub holds."""

    def get(self) -> None:
        """Say it."""
        self.say()


class Prepare(OfThisMachine):
    """``POST``: read values that may count next."""

    async def post(self) -> None:
        """Read and check them; nothing changes."""
        try:
            proposal = Proposal.model_validate(json.loads(self.request.body[:1000]))
        except (ValueError, ValidationError, RecursionError):
            self.refuse(422, "malformed", "send the hash of the values as JSON")
            return
        try:
            await asyncio.to_thread(self.follower.prepare, proposal.hash)
        except (StateError, OSError) as error:
            self.refuse_values(error)
        else:
            self.say()


class Follow(OfThisMachine):
    """``POST``: hold what is agreed now, and not at the next look."""

    async def post(self) -> None:
        """Look at the agreement."""
        try:
            self.follower.follow()
        except (StateError, OSError) as error:
            self.refuse_values(error)
        else:
            self.say()
