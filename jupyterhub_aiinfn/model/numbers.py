"""Which uid and gids a person's workloads have on the storage of a cluster: decided from the values, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.identity import Uid
from jupyterhub_aiinfn.values.numbers import PUBLIC, computed_gid, computed_uid

from .options import quoted

LARGEST = 2_147_483_647
"""The largest number that every file system can keep."""


@dataclass(frozen=True)
class Numbers:
    """The numbers with which a workload runs; none of them is root's."""

    uid: int
    gid: int
    """The person's own group; nobody else is in it, but with the method ``fixed``."""
    projects: Mapping[str, int] = field(default_factory=dict)
    """The gid of each project whose folder the workload has, by key."""
    public: int | None = None
    """The gid with which it writes the public folder; None: it does not."""

    @property
    def supplementary(self) -> list[int]:
        """All gids beside the own one."""
        found = {*self.projects.values(), *([self.public] if self.public is not None else [])}
        return sorted(found - {self.gid})


def numbers_of(
    values: Values,
    person: str,
    projects: Iterable[str] = (),
    *,
    claimed: object = None,
    before: Iterable[str] = (),
    writes_public: bool = False,
) -> Numbers:
    """The numbers of a person with the folders of ``projects``.

    ``claimed`` is what the identity provider said. ``before`` are the login names of those who were there earlier: who
    would have the number of one of them is refused.

    :class:`BackendError` when there is no number for the person, or only one that belongs to somebody else; it is a
    sentence for the person, with what the administrator has to do.
    """
    rules = values.identity.uid
    if rules is None:
        raise BackendError("identity.uid is missing in the values, so nobody knows to whom files belong; add it")
    uid = _uid(values, rules, person, claimed, before)
    gids = {key: gid_of(rules, key) for key, project in values.projects.items() if not project.personal}
    taken = next((key for key, gid in gids.items() if gid == uid and rules.method != "fixed"), None)
    if taken is not None:
        # Everybody's own group has the number of the uid: this one would be the group of the project.
        raise BackendError(
            f"{quoted(person)} has the uid {uid}, which is the gid of project {quoted(taken)}; "
            "an administrator gives the project another one in identity.uid.project_gids"
        )
    own = {project: gid_of(rules, project) for project in projects}
    return Numbers(uid, uid, own, computed_gid(PUBLIC) if writes_public else None)


def gid_of(rules: Uid, project: str) -> int:
    """The gid of a project's folder."""
    return rules.project_gids.get(project, computed_gid(project))


def _uid(values: Values, rules: Uid, person: str, claimed: object, before: Iterable[str]) -> int:
    if rules.method == "fixed":
        return rules.uid
    if rules.method == "claim":
        return _claimed(rules, person, claimed)
    if person in rules.table:
        return rules.table[person]
    uid = computed_uid(person)
    known = dict.fromkeys([*before, *values.identity.users, *rules.table])
    same = [name for name in known if (rules.table.get(name) or computed_uid(name)) == uid and name != person]
    if same:
        raise BackendError(
            f"{quoted(person)} and {quoted(same[-1])} would both have the uid {uid}, and each the other's files; "
            f"an administrator gives {quoted(person)} another one in identity.uid.table"
        )
    return uid


def _claimed(rules: Uid, person: str, claimed: object) -> int:
    if isinstance(claimed, str) and claimed.isascii() and claimed.isdigit() and len(claimed) <= 10:
        claimed = int(claimed)
    if isinstance(claimed, int) and not isinstance(claimed, bool) and 0 < claimed <= LARGEST:
        return claimed
    said = "nothing" if claimed is None else quoted(str(claimed)[:40])
    raise BackendError(
        f"the identity provider says {said} as {quoted(rules.claim)} of {quoted(person)}, which is not the uid of a "
        "person; ask an administrator to have it set there"
    )
