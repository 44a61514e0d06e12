"""The ``identity`` section: who may log in, and in which groups they are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import GroupName, Section, UserName


class User(Section):
    """One person of the password provider."""

    groups: tuple[GroupName, ...] = ()
    """Groups of the person: they decide profiles and projects."""


class Identity(Section):
    """Where people and their groups come from."""

    provider: Literal["password"] = "password"
    """``password``: the people below, each with an own password kept as a hash in the state folder."""
    users: dict[UserName, User] = Field(default_factory=dict)
    """People by login name; more can be added with ``aiinfn user add``."""
    allowed_groups: tuple[GroupName, ...] = ()
    """Only members of one of these may log in; empty: everybody whom the provider knows."""
    admin_groups: tuple[GroupName, ...] = ()
    """Members of one of these administer the hub."""
