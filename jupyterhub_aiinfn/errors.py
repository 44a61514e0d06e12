"""Every exception that the platform raises, in one tree.

::

    AiinfnError                  a sentence for a person; ``str(error)`` is that sentence
    ├── ValuesError              the values file is wrong (carries every problem found)
    ├── Refusal                  a request that is well understood and not granted
    │   ├── Malformed            422: not a request that the page could have sent
    │   ├── NotEntitled          403: this person may not have this
    │   ├── NothingFree          409: entitled, but not to be had now
    │   │   └── Busy             429: too many sessions are starting at this moment
    │   └── EnvironmentMissing   409: the image's environment is being built
    ├── BackendError             the backend could not do what it was asked
    │   ├── WorkloadNotFound     no workload of that id
    │   └── ClusterRefused       a call of the cluster's API was refused or not answered (carries code and reason)
    ├── OwnEnvironmentError      a person's own environment could not be made, changed or used
    ├── StateError               the state folder cannot be used (locked, newer, unwritable, full)
    └── ServiceError             the platform service answered with an error (carries status and reason)
        └── HubDown              503: the hub does not answer, so nobody new can be identified and nothing changed

A message names the thing, the values and the remedy. Each edge (page, REST, command line) translates an
``AiinfnError`` once; nothing else is shown to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AiinfnError(Exception):
    """Base of all errors; its text is one sentence for the person who sees it."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a values file.

    ``path`` is dotted (``profiles.gpu.sizes.small``), ``rule`` says what must hold, ``value`` is what
    stands there (shortened), ``hint`` is the remedy or the nearest known key, or empty; ``line`` counts from 1.
    """

    path: str
    rule: str
    value: str = ""
    hint: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.path} (line {self.line})" if self.path and self.line else self.path
        text = f"{where}: {self.rule}" if where else self.rule
        if self.value:
            text += f" (found {self.value})"
        return f"{text}; {self.hint}" if self.hint else text


class ValuesError(AiinfnError):
    """The values file is wrong; ``problems`` holds everything found in one reading."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"{source}: {count} {'problem' if count == 1 else 'problems'}\n{lines}")


class Refusal(AiinfnError):
    """A request that is understood and not granted; ``status`` is its HTTP status, ``reason`` a short label."""

    status = 409
    reason = "refused"


class Malformed(Refusal):
    """422: the request is not one that the page could have sent."""

    status = 422
    reason = "malformed"


class NotEntitled(Refusal):
    """403: this person may not have this, free or not."""

    status = 403
    reason = "not-entitled"


class NothingFree(Refusal):
    """409: entitled, but not to be had now (devices in use, caps reached)."""

    status = 409
    reason = "nothing-free"


class Busy(NothingFree):
    """429: entitled and perhaps free, but too many sessions are starting at this moment; it is worth trying again."""

    status = 429
    reason = "busy"
    retry_after = 5
    """Seconds after which a program may try again: about as long as a start takes, so that no place stays idle."""


class EnvironmentMissing(Refusal):
    """409: the image's environment is being built by job ``job``; the session can start when it is done."""

    status = 409
    reason = "environment"

    def __init__(self, sentence: str, *, image: str, job: str) -> None:
        super().__init__(sentence)
        self.image = image
        self.job = job


class BackendError(AiinfnError):
    """The backend could not do what it was asked."""


class WorkloadNotFound(BackendError):
    """No workload of that id."""


class ClusterRefused(BackendError):
    """The API server of the cluster refused a call, or did not answer it: then ``code`` is 0."""

    def __init__(self, sentence: str, *, code: int, reason: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.reason = reason


class OwnEnvironmentError(AiinfnError):
    """An environment of a person's own could not be made, changed or used."""


class StateError(AiinfnError):
    """The state folder cannot be used: locked by another instance, of a newer version, unwritable, full."""


class ServiceError(AiinfnError):
    """The platform service answered with an error."""

    def __init__(self, sentence: str, *, status: int, reason: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason


class HubDown(ServiceError):
    """503: the hub does not answer, so nobody new can be identified and nothing can be changed."""

    def __init__(self, sentence: str = "the hub does not answer; try again in a minute") -> None:
        super().__init__(sentence, status=503, reason="hub-down")
