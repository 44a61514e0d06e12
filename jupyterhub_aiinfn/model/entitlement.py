"""Who may start what, and why not: the one function through which every request goes, pure and without a clock."""

from __future__ import annotations

from jupyterhub_aiinfn.errors import Malformed, NotEntitled, Refusal
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.profiles import Profile

from .launch_links import read_launch
from .offers import AcceleratorOffer, Offer, ProjectOffer, SizeOffer, offers
from .options import listed, quoted, read_options
from .remedies import refusal_with_remedy
from .requests import Choice, Grant, Person, Situation
from .standing import Standing, profiles_of, projects_of

__all__ = [
    "AcceleratorOffer",
    "Offer",
    "ProjectOffer",
    "SizeOffer",
    "decide",
    "offers",
    "profiles_of",
    "projects_of",
    "read_choice",
]


def decide(values: Values, person: Person, options: object, situation: Situation, server_name: str) -> Grant:
    """The grant for a start, or a :class:`Refusal` whose text is a sentence with the remedy.

    :class:`Malformed`: the page could not have sent this. :class:`NotEntitled`: this person may not have it, now
    or later. :class:`NothingFree`: they may, but not now; :class:`~jupyterhub_aiinfn.errors.Busy`: the site starts as
    many sessions as it may. ``person`` is whom the session is for, whoever asks.
    ``server_name`` is "" for the default server; what that server holds does not count against its own start.
    """
    standing = Standing(values, person, situation, server_name)
    choice = _choice(standing, options)
    refusal = _not_now(standing, choice)
    if refusal is not None:
        raise refusal
    profile = standing.profiles[choice.profile]
    return Grant(choice, profile.image, profile.sizes[choice.size], int(profile.max.total_seconds()))


def read_choice(values: Values, person: Person, options: object, situation: Situation) -> Choice:
    """What was asked for, every key known and the person entitled to it; says nothing about what is free.

    Raises :class:`Malformed` or :class:`NotEntitled`.
    """
    return _choice(Standing(values, person, situation), options)


def _choice(standing: Standing, options: object) -> Choice:
    asked = read_options(options)
    key, profile = _profile(standing, asked)
    size = _one_of("size", asked.get("size", next(iter(profile.sizes))), list(profile.sizes))
    project = _project(standing, asked)
    accelerator = _accelerator(standing, profile, project, asked)
    count = _count(standing, accelerator, asked)
    if accelerator is not None:
        _check_right(standing, project, accelerator, count)
    launch = read_launch(asked, standing.values.site.launch_links.hosts)
    return Choice(key, size, project, accelerator, count, launch)


def _profile(standing: Standing, asked: dict[str, str]) -> tuple[str, Profile]:
    names = listed(map(quoted, standing.profiles))
    if not names:
        raise NotEntitled("there is no profile for you; ask an administrator which group you need")
    if "profile" not in asked:
        raise Malformed(f"choose a profile: {names}")
    key = asked["profile"]
    if key not in standing.profiles:
        raise NotEntitled(f"there is no profile {quoted(key)} for you; choose {names}")
    return key, standing.profiles[key]


def _project(standing: Standing, asked: dict[str, str]) -> str:
    refusal = standing.project_refusal()
    if refusal is not None:
        raise refusal
    names = listed(map(quoted, standing.projects))
    if "project" not in asked:
        if len(standing.projects) > 1:
            raise Malformed(f"choose the project that this session is for: {names}")
        return standing.projects[0]
    if asked["project"] not in standing.projects:
        raise NotEntitled(f"you have no project {quoted(asked['project'])} today; choose {names}")
    return asked["project"]


def _accelerator(standing: Standing, profile: Profile, project: str, asked: dict[str, str]) -> str | None:
    offered = profile.accelerators
    if "accelerator" in asked:
        if not offered:
            raise Malformed(f"profile {quoted(profile.name)} has no accelerators; leave the accelerator out")
        return _one_of("accelerator", asked["accelerator"], offered)
    if not offered or not profile.accelerator_required:
        return None
    if len(offered) == 1:
        return offered[0]
    entitled = [key for key in offered if standing.is_entitled(project, key)]
    if not entitled:
        raise NotEntitled(f"project {quoted(project)} may use no accelerator of profile {quoted(profile.name)}")
    raise Malformed(f"choose an accelerator: {listed(map(quoted, entitled))}")


def _count(standing: Standing, accelerator: str | None, asked: dict[str, str]) -> int:
    if accelerator is None:
        if asked.get("count", "0") != "0":
            raise Malformed("a count needs an accelerator; choose one, or leave the count out")
        return 0
    counts = [str(count) for count in standing.values.accelerators[accelerator].per_session]
    return int(_one_of("count", asked.get("count", counts[0]), counts))


def _one_of(option: str, value: str, choices: list[str] | tuple[str, ...]) -> str:
    if value not in choices:
        raise Malformed(f"there is no {option} {quoted(value)} here; choose {listed(map(quoted, choices))}")
    return value


def _check_right(standing: Standing, project: str, accelerator: str, count: int) -> None:
    refusal = standing.right_refusal(project, accelerator, count)
    if refusal is not None:
        raise refusal


def _not_now(standing: Standing, choice: Choice) -> Refusal | None:
    """What lasts longest is said first: it is no use to try again in a minute when the devices are in use."""
    refusal = standing.sessions_refusal(choice.project)
    if refusal is None and choice.accelerator is not None:
        refusal = refusal_with_remedy(standing, choice.profile, choice.project, choice.accelerator, choice.count)
    return refusal or standing.starts_refusal()
