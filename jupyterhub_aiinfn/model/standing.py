"""Where a person stands at one moment: their projects, what they and their projects hold, what is free for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from jupyterhub_aiinfn.errors import Busy, NotEntitled, NothingFree, Refusal
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.profiles import Profile
from jupyterhub_aiinfn.values.projects import Project

from .options import listed, quoted
from .requests import DeviceCount, Held, Person, Situation


def projects_of(values: Values, person: Person, today: date) -> list[str]:
    """Keys of the projects that the person may charge today, in the order of the values file.

    Members are those of its groups and its leaders, between its first and last day. Who is in none has the
    personal project, where the values have one.
    """
    current = [(key, project) for key, project in values.projects.items() if _runs(project, today)]
    own = [key for key, project in current if not project.personal and is_member(project, person)]
    return own or [key for key, project in current if project.personal]


def is_member(project: Project, person: Person) -> bool:
    """Whether the person is in one of the project's groups or leads it; dates do not matter here."""
    return person.name in project.leaders or not person.groups.isdisjoint(project.groups)


def profiles_of(values: Values, person: Person) -> dict[str, Profile]:
    """The profiles that the person's groups show, in the order of the values file."""
    return {
        key: profile
        for key, profile in values.profiles.items()
        if not profile.for_groups or not person.groups.isdisjoint(profile.for_groups)
    }


def _runs(project: Project, today: date) -> bool:
    return (project.starts or date.min) <= today <= (project.until or date.max)


class Standing:
    """One person at one moment, for the session ``server_name`` (which does not count against its own restart)."""

    def __init__(self, values: Values, person: Person, situation: Situation, server_name: str | None = None) -> None:
        self.values = values
        self.person = person
        self.situation = situation
        self.server_name = server_name
        self.zone = ZoneInfo(values.site.timezone)
        self.today = situation.now.astimezone(self.zone).date()
        self.profiles = profiles_of(values, person)
        self.projects = projects_of(values, person, self.today)
        self._refusals: dict[tuple[str, str, int], Refusal | None] = {}
        self._names: dict[str, str] = {}

    def _is_this(self, held: Held) -> bool:
        return held.person == self.person.name and held.server_name == self.server_name

    @cached_property
    def others(self) -> tuple[Held, ...]:
        """Everything held but the session in question."""
        return tuple(held for held in self.situation.held if not self._is_this(held))

    @cached_property
    def mine(self) -> tuple[Held, ...]:
        """What this person holds beside the session in question."""
        return tuple(held for held in self.others if held.person == self.person.name)

    @cached_property
    def _devices_held(self) -> Counter[str]:
        return _devices(self.others)

    @cached_property
    def _devices_of_project(self) -> dict[str, Counter[str]]:
        return {key: _devices([held for held in self.others if held.project == key]) for key in self.projects}

    @cached_property
    def _devices_of_mine(self) -> dict[str, Counter[str]]:
        return {key: _devices([held for held in self.mine if held.project == key]) for key in self.projects}

    def devices(self, accelerator: str) -> DeviceCount | None:
        """Devices as the snapshot has them, those of starts that it has not seen yet included; None: not known."""
        known = self.situation.devices
        if known is None or accelerator not in known:
            return None
        count = known[accelerator]
        used = min(max(count.used, self._devices_held[accelerator]), count.total)
        return DeviceCount(count.total, used, count.emulated, count.reason, count.next_free_at)

    def project_refusal(self) -> Refusal | None:
        """Why this person has no project at all, with the groups to ask for; None when they have one."""
        if self.projects:
            return None
        groups = {
            group: None
            for project in self.values.projects.values()
            if _runs(project, self.today)
            for group in project.groups
        }
        where = f" at {self.values.site.support}" if self.values.site.support else " an administrator"
        if not groups:
            return NotEntitled(f"you are in no project, and there is none to join now; ask{where} for one")
        names = listed([quoted(group) for group in groups], limit=5)
        return NotEntitled(f"you are in no project; ask{where} to become a member of the group {names}")

    def sessions_refusal(self, project: str | None = None) -> Refusal | None:
        """Why no further session can be had now, for the site or within a project; None when one can."""
        limit = self.values.limits.sessions_per_person
        if len(self.mine) >= limit:
            return NothingFree(f"{_of(len(self.mine), limit)} sessions are running or starting; stop one of them first")
        if project is None:
            return None
        cap = self.values.projects[project].per_user.sessions
        count = sum(1 for held in self.mine if held.project == project)
        if cap is None or count < cap:
            return None
        if cap == 0:
            return NotEntitled(f"project {quoted(project)} pays for no sessions; choose another project")
        sessions = f"{_of(count, cap)} sessions that project {quoted(project)} allows each member"
        rest = ", or choose another project" if len(self.projects) > 1 else ""
        return NothingFree(f"{sessions} are running or starting; stop one of them first{rest}")

    def starts_refusal(self) -> Refusal | None:
        """Why nothing can be started at this very moment, whatever it is; None when it can."""
        limit = self.values.limits.concurrent_starts
        count = self.situation.starting
        if count < limit:
            return None
        sessions = f"{count} session{'' if count == 1 else 's'} {_are(count)} starting at this moment"
        return Busy(f"{sessions}, which is all that this site starts at a time; try again in a few seconds")

    def accelerator_refusal(self, project: str, accelerator: str, count: int) -> Refusal | None:
        """Why ``count`` devices cannot be had for ``project`` now; None when they can (or nothing is known)."""
        key = (project, accelerator, count)
        if key not in self._refusals:  # many profiles of a page list the same accelerators
            self._refusals[key] = (
                self.right_refusal(project, accelerator, count)
                or self._device_refusal(accelerator, count)
                or self._cap_refusal(project, accelerator, count)
            )
        return self._refusals[key]

    def wait(self, profile: str, project: str, accelerator: str, count: int) -> timedelta | None:
        """How long a start with this profile waits for devices that are all in use; None when it does not.

        Only Kueue keeps a line, and nobody waits for what waiting does not bring: more than there are, or more than the
        project may hold.
        """
        cluster, devices = self.values.kubernetes, self.devices(accelerator)
        if cluster is None or cluster.kueue is None or devices is None or devices.total < count:
            return None
        if self.right_refusal(project, accelerator, count) or self._cap_refusal(project, accelerator, count):
            return None
        return self.values.profiles[profile].wait

    def right_refusal(self, project: str, accelerator: str, count: int) -> Refusal | None:
        """Why members of the project may never hold so many of the accelerator; None when they may."""
        name = self.name_of(accelerator)
        rules = self.values.projects[project]
        if rules.accelerators is not None and accelerator not in rules.accelerators:
            others = [key for key in self.projects if self.is_entitled(key, accelerator)]
            rest = f"choose the project {listed(map(quoted, others))}" if others else "choose another accelerator"
            return NotEntitled(f"project {quoted(project)} may not use {name}; {rest}")
        for cap in _caps(rules, accelerator):
            if count > cap:
                rest = f"at most {cap}" if cap else "none"
                allowed = f"project {quoted(project)} allows {rest} of {name} at a time"
                return NotEntitled(f"{allowed}; choose fewer or another accelerator")
        return None

    def is_entitled(self, project: str, accelerator: str, count: int = 1) -> bool:
        """Whether members of the project may hold so many of the accelerator at all, free or not."""
        rules = self.values.projects[project]
        if rules.accelerators is not None and accelerator not in rules.accelerators:
            return False
        return all(count <= cap for cap in _caps(rules, accelerator))

    def _device_refusal(self, accelerator: str, count: int) -> Refusal | None:
        devices = self.devices(accelerator)
        name = self.name_of(accelerator)
        if devices is None or devices.total - devices.used >= count:
            return None
        if devices.total == 0:
            return NothingFree(f"{name} cannot be had ({devices.reason or 'there is none on this installation'})")
        if devices.total < count:
            return NothingFree(f"there are {devices.total} of {name} in all, and {count} were asked for")
        used = f"{_of(devices.used, devices.total)} {name} {_are(devices.used)} in use"
        return NothingFree(used + self.expected(accelerator))

    def _cap_refusal(self, project: str, accelerator: str, count: int) -> Refusal | None:
        rules = self.values.projects[project]
        name = self.name_of(accelerator)
        cap, held = rules.at_most.get(accelerator), self._devices_of_project[project][accelerator]
        if cap is not None and held + count > cap:
            return NothingFree(f"project {quoted(project)} holds {_of(held, cap)} {name} that it may hold at a time")
        cap, held = rules.per_user.accelerators.get(accelerator), self._devices_of_mine[project][accelerator]
        if cap is not None and held + count > cap:
            allowed = f"{_of(held, cap)} {name} that project {quoted(project)} allows each member"
            return NothingFree(f"{allowed} {_are(held)} in use in the same person's other sessions")
        return None

    def name_of(self, accelerator: str) -> str:
        """The accelerator's name in quotes, marked when it is emulated."""
        if accelerator not in self._names:
            emulated = " (EMULATED)" if self.is_emulated(accelerator) else ""
            self._names[accelerator] = quoted(self.values.accelerators[accelerator].name) + emulated
        return self._names[accelerator]

    def is_emulated(self, accelerator: str) -> bool:
        """Whether its devices are pretended: as the snapshot says, else as the values say."""
        devices = (self.situation.devices or {}).get(accelerator)
        return devices.emulated if devices else self.values.accelerators[accelerator].emulated > 0

    def expected(self, accelerator: str) -> str:
        """When one is free at the latest, to be added to a sentence; empty when that is not known."""
        devices = self.devices(accelerator)
        moment = devices.next_free_at if devices is not None else None
        if moment is None or moment <= self.situation.now:
            return ""
        return f"; one is expected free at {self.clock(moment)} at the latest"

    def clock(self, moment: datetime) -> str:
        """``14:20 CET`` in the site's time zone, with the date when that is another day."""
        local = moment.astimezone(self.zone)
        return local.strftime("%H:%M %Z" if local.date() == self.today else "%Y-%m-%d %H:%M %Z")


def _caps(rules: Project, accelerator: str) -> Iterator[int]:
    for caps in (rules.at_most, rules.per_user.accelerators):
        if accelerator in caps:
            yield caps[accelerator]


def _devices(held: Iterable[Held]) -> Counter[str]:
    count: Counter[str] = Counter()
    for one in held:
        if one.accelerator is not None:
            count[one.accelerator] += one.count
    return count


def _of(count: int, total: int) -> str:
    return f"{count} of {total}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
