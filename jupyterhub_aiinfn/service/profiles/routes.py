"""The profiles of whoever asks: the same decision as on the spawn page, told to programs and to JupyterLab."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.profiles import ProfileOffer, ProfileOffers
from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.errors import NotEntitled
from jupyterhub_aiinfn.model.entitlement import AcceleratorOffer, Offer, SizeOffer, offers
from jupyterhub_aiinfn.model.requests import DeviceCount, Held, Person, Situation
from jupyterhub_aiinfn.service.availability.watch import Snapshot
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.identity.gate import CallerDependency
from jupyterhub_aiinfn.service.settings import API

router = APIRouter(tags=["profiles"])


@router.get(f"{API}/profiles")
async def profiles(context: Annotated[Context, Depends(context_of)], caller: CallerDependency) -> ProfileOffers:
    """The profiles of whoever asks, and why one cannot be had; a session asks as if it had ended already."""
    if caller.identity.kind != "user":
        raise NotEntitled("profiles are for people; a service of the hub starts no session")
    identity = caller.identity
    person = Person(identity.name, frozenset(identity.groups), identity.admin)
    situation = situation_without(context.watch.snapshot, person, caller.server_name)
    found = offers(context.values, person, situation, caller.server_name)
    return ProfileOffers(taken_at=situation.now, profiles=tuple(map(told, found)))


def situation_without(snapshot: Snapshot, person: Person, server_name: str | None) -> Situation:
    """The world as the person sees it in which the session that asks is gone and its devices are back."""
    sessions = snapshot.sessions()
    gone = [work for work in sessions if work.person == person.name and work.server_name == server_name]
    return Situation(
        now=datetime.now(UTC),
        held=tuple(held(work) for work in sessions if work not in gone),
        devices=devices(snapshot.availability.seen_by(person.groups), gone),
    )


def devices(availability: Availability, gone: list[Workload]) -> dict[str, DeviceCount]:
    """What is in use once those sessions are gone."""
    back: dict[str, int] = {}
    for work in gone:
        if work.accelerator:
            back[work.accelerator] = back.get(work.accelerator, 0) + work.accelerator_count
    return {
        key: DeviceCount(
            one.total,
            max(0, one.used - one.gives_way - back.get(key, 0)),
            one.emulated,
            one.reason,
            one.next_free_at,
        )
        for key, one in availability.devices.items()
    }


def held(work: Workload) -> Held:
    """What a session counts for."""
    return Held(
        person=work.person or "",
        server_name=work.server_name or "",
        project=work.project or "",
        accelerator=work.accelerator,
        count=work.accelerator_count,
    )


def told(offer: Offer) -> ProfileOffer:
    """An offer as it travels."""
    return ProfileOffer(
        key=offer.key,
        name=offer.name,
        description=offer.description,
        image=offer.image,
        image_name=offer.image_name,
        sizes=tuple(map(size_in_words, offer.sizes)),
        accelerators=tuple(map(accelerator_in_words, offer.accelerators)),
        max_seconds=offer.max_seconds,
        available=offer.available,
        reason=offer.reason,
    )


def size_in_words(size: SizeOffer) -> str:
    """``small: 1 core, 2 GiB``."""
    return f"{size.key}: {size.cores:g} {'core' if size.cores == 1 else 'cores'}, {size.memory_gib:g} GiB"


def accelerator_in_words(offer: AcceleratorOffer) -> str:
    """``Quantum processor (EMULATED), 2 of 2 free``."""
    name = f"{offer.name} (EMULATED)" if offer.emulated else offer.name
    return name if offer.total is None else f"{name}, {offer.free} of {offer.total} free"
