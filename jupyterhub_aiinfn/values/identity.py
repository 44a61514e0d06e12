"""The ``identity`` section: who may log in, and in which groups they are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import GroupName, Identifier, Line, Section, UserName

Number = Annotated[int, Field(ge=1, le=2_147_483_647)]
"""A uid or gid that is not root's."""


class User(Section):
    """One person of the password provider."""

    groups: tuple[GroupName, ...] = ()
    """Groups of the person: they decide profiles and projects."""


class Uid(Section):
    """Which uid a person has, and which gid a project: files on shared storage belong to these numbers."""

    method: Literal["fixed", "crc32", "claim"]
    """``fixed``: everybody the same; ``crc32``: computed from the login name, as the platform in use today does it;
    ``claim``: what the identity provider says."""
    uid: Number = 1000
    """``fixed``: the uid, and the gid of everybody's own group."""
    claim: Line = "uid_number"
    """``claim``: the name of the claim that holds the number."""
    table: dict[Line, Number] = Field(default_factory=dict)
    """``crc32``: login names whose uid is another than the computed one."""
    project_gids: dict[Identifier, Number] = Field(default_factory=dict)
    """Projects, by key, whose gid is another than the one computed from the key."""


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
    uid: Uid | None = None
    """Numbers of people and projects on the storage of a cluster; one machine allots them itself."""
