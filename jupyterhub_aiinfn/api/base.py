"""The base of everything that travels over HTTP, and the one shape of errors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _of_this_millennium(moment: datetime) -> datetime:
    if not 2000 < moment.year < 2999:
        raise ValueError(f"the year {moment.year} is not one from 2001 to 2998")
    return moment


Moment = Annotated[datetime, AfterValidator(_of_this_millennium)]
"""A time that somebody sends: far enough from the ends of the calendar to be reckoned with in every zone."""


class Message(BaseModel):
    """A frozen JSON object; unknown keys are ignored, so that old and new versions can talk."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ErrorDetail(Message):
    """What went wrong."""

    reason: str
    """A short label for programs, such as ``nothing-free``."""
    message: str
    """A sentence for people, with the remedy."""
    path: str | None = None
    """The field that is wrong, when one is."""


class ErrorBody(Message):
    """The body of every answer with status >= 400."""

    error: ErrorDetail
    """What went wrong."""
