"""The spawn form: from offers to cards, and from what is posted or linked to options."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jupyterhub_aiinfn.errors import Malformed
from jupyterhub_aiinfn.model.entitlement import Offer
from jupyterhub_aiinfn.model.launch_links import Launch, read_launch
from jupyterhub_aiinfn.model.limits import lasting
from jupyterhub_aiinfn.model.options import LAUNCH_KEYS, OPTION_KEYS, quoted
from jupyterhub_aiinfn.model.requests import Person

if TYPE_CHECKING:
    from .platform import Platform

TEMPLATES = Path(__file__).parent / "templates"
IGNORED = ("_xsrf",)
LAUNCH = "launch"
"""The box with which a person lets a link bring its files; what it brings is in ``launch:git`` and so on."""
NO_ACCELERATOR = "none"
CARDS_AT_A_TIME = 10
"""Cards that are drawn before others get their turn: about 2 ms."""


@dataclass(frozen=True)
class Posted:
    """A form that was sent; ``options`` is None when it could not be read."""

    server_name: str
    options: Mapping[str, str] | None = None


posted: ContextVar[Posted | None] = ContextVar("posted", default=None)
"""What the request under way posted: after a refusal the form shows it again."""


@dataclass(frozen=True)
class AcceleratorChoice:
    """One line of a card's accelerators: ``value`` is what the form posts."""

    value: str
    label: str
    free: str
    emulated: bool
    available: bool
    reason: str
    checked: bool


@dataclass(frozen=True)
class Card:
    """One profile as the template draws it."""

    offer: Offer
    checked: bool
    size: str
    project: str
    accelerators: tuple[AcceleratorChoice, ...]
    lasts: str
    sizes: str
    """All sizes in a line."""
    announcements: tuple[str, ...] = ()
    """What administrators say to the users of this profile."""


def read_form(data: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """The options of a posted form: of the fields ``size:<profile>`` only those of the chosen profile count.

    Raises :class:`Malformed` for what our form does not send; whether keys and values are good is decided later.
    """
    fields = {name: _single(name, values) for name, values in data.items() if name not in IGNORED}
    profile = fields.get("profile", "")
    brings = fields.pop(LAUNCH, "")
    options = {name: value for name, value in fields.items() if ":" not in name}
    if brings:
        options |= {name: value for name in LAUNCH_KEYS if (value := fields.get(f"{LAUNCH}:{name}"))}
    for name in ("size", "accelerator", "project"):
        if value := fields.get(f"{name}:{profile}"):
            options[name] = value
    return _split_accelerator(options)


def read_link(arguments: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """What a link asks to be preselected: ``opt-profile=…`` or ``profile=…``; anything unknown is ignored.

    ``opt-git``, ``opt-branch`` and ``opt-file`` name files to bring.
    """
    found: dict[str, str] = {}
    for key in OPTION_KEYS:
        values = arguments.get(f"opt-{key}") or arguments.get(key) or []
        if values:
            found[key] = values[0].decode(errors="replace")
    return found


def is_readable(arguments: Mapping[str, Sequence[bytes]]) -> bool:
    """Whether all values of an address are UTF-8."""
    try:
        for values in arguments.values():
            b"".join(values).decode()
    except UnicodeDecodeError:
        return False
    return True


async def render(platform: Platform, person: Person, chosen: Mapping[str, str], server_name: str) -> str:
    """The form's inner part as HTML, every text escaped.

    One page is drawn at a time, and everything else gets its turn after a few cards of it.
    """
    async with platform.drawing:
        offers = platform.offers(person, server_name)
        announced = platform.feed.announcements()
        selected = _selected(offers, chosen)
        cards = []
        for number, offer in enumerate(offers, 1):
            said = tuple(one.message for one in announced if one.profile == offer.key)
            cards.append(_card_html(_card(offer, chosen, offer.key == selected, said)))
            if number % CARDS_AT_A_TIME == 0:
                await asyncio.sleep(0)
    template = _environment().get_template("profiles.html")
    for_everybody = [one.message for one in announced if one.profile is None]
    launch, problem = _launch(chosen, platform.values.site.launch_links.hosts)
    return template.render(
        cards=cards,
        support=platform.values.site.support,
        announcements=for_everybody,
        launch=launch,
        launch_problem=problem,
    )


def _launch(chosen: Mapping[str, str], hosts: Sequence[str]) -> tuple[Launch | None, str]:
    """The files that would be brought, or why they cannot be."""
    try:
        return read_launch(chosen, hosts), ""
    except Malformed as refusal:
        return None, str(refusal)


def prepare() -> None:
    """Compile the templates now and not for the first person who comes."""
    for name in ("profiles.html", "card.html"):
        _environment().get_template(name)


def _sizes(cores: Sequence[float], memory: Sequence[float]) -> str:
    """``1 core, 2 GiB`` or ``1 to 4 cores, 2 to 16 GiB``."""
    return f"{_span(cores)} {'core' if max(cores) == 1 else 'cores'}, {_span(memory)} GiB memory"


def _span(figures: Sequence[float]) -> str:
    """``2`` or ``1 to 4``."""
    low, high = min(figures), max(figures)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _selected(offers: Sequence[Offer], chosen: Mapping[str, str]) -> str:
    """The card to preselect: the wish if it can be had, else the first that can."""
    available = [offer.key for offer in offers if offer.available]
    wish = chosen.get("profile", "")
    return wish if wish in available else next(iter(available), "")


def _card(offer: Offer, chosen: Mapping[str, str], checked: bool, announcements: tuple[str, ...]) -> Card:
    mine = chosen if chosen.get("profile") == offer.key else {}
    sizes = [size.key for size in offer.sizes]
    projects = [project.key for project in offer.projects if project.available]
    return Card(
        offer=offer,
        checked=checked,
        size=_or_first(mine.get("size"), sizes),
        project=_or_first(chosen.get("project"), projects),
        accelerators=_accelerators(offer, mine),
        lasts=lasting(timedelta(seconds=offer.max_seconds)),
        sizes=_sizes([size.cores for size in offer.sizes], [size.memory_gib for size in offer.sizes]),
        announcements=announcements,
    )


def _accelerators(offer: Offer, chosen: Mapping[str, str]) -> tuple[AcceleratorChoice, ...]:
    lines = [line for accelerator in offer.accelerators for line in _lines(accelerator)]
    values = [line.value for line in lines if line.available]
    if not offer.accelerator_required:
        values.insert(0, NO_ACCELERATOR)
    wish = f"{chosen.get('accelerator', '')}:{chosen.get('count', '1')}"
    selected = _or_first(wish, values)
    marked = [_checked(line, line.value == selected) for line in lines]
    if lines and not offer.accelerator_required:
        marked.insert(0, AcceleratorChoice(NO_ACCELERATOR, "None", "", False, True, "", selected == NO_ACCELERATOR))
    return tuple(marked)


def _lines(accelerator: Any) -> list[AcceleratorChoice]:
    return [_line(accelerator, count) for count in accelerator.counts]


def _line(accelerator: Any, count: int) -> AcceleratorChoice:
    enough = accelerator.free is None or accelerator.free >= count
    waits = bool(accelerator.waits) and accelerator.total >= count
    reason = accelerator.reason or ("" if enough else accelerator.waits if waits else f"{count} are not free now")
    label = accelerator.name if count == 1 else f"{count} of {accelerator.name}"
    return AcceleratorChoice(
        value=f"{accelerator.key}:{count}",
        label=label,
        free=_free(accelerator),
        emulated=accelerator.emulated,
        available=accelerator.available and (enough or waits),
        reason=reason,
        checked=False,
    )


def _checked(line: AcceleratorChoice, checked: bool) -> AcceleratorChoice:
    return AcceleratorChoice(line.value, line.label, line.free, line.emulated, line.available, line.reason, checked)


def _free(accelerator: Any) -> str:
    if accelerator.total is None or accelerator.free is None:
        return "availability unknown"
    return f"{accelerator.free} of {accelerator.total} free"


def _or_first(wish: str | None, choices: Sequence[str]) -> str:
    return wish if wish in choices and wish is not None else next(iter(choices), "")


def _single(name: str, values: Sequence[Any]) -> str:
    if len(values) != 1 or not isinstance(values[0], str):
        raise Malformed(f"the field {quoted(name)} was sent in a way that this page does not; load the page again")
    return values[0]


def _split_accelerator(options: dict[str, str]) -> dict[str, str]:
    """``rtx5000:2`` as the form posts it becomes accelerator and count; ``none`` becomes nothing."""
    value = options.get("accelerator", "")
    if value == NO_ACCELERATOR:
        del options["accelerator"]
    elif ":" in value:
        options["accelerator"], options["count"] = value.split(":", 1)
    return options


@lru_cache(maxsize=4096)
def _card_html(card: Card) -> Markup:
    """Most people see most cards alike: drawing 50 of them each time would hold up everybody else."""
    return Markup(_environment().get_template("card.html").render(card=card))  # noqa: S704  # autoescaped


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
