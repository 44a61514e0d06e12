"""The platform itself: its values, its ports, its parts, its records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from jupyterhub_aiinfn.api.workloads import Phase
from jupyterhub_aiinfn.backends.local.records import Records
from jupyterhub_aiinfn.errors import AiinfnError, StateError, ValuesError
from jupyterhub_aiinfn.supervisor.known_values import KnownValues, applied, is_running, known_values
from jupyterhub_aiinfn.supervisor.ports import check_free
from jupyterhub_aiinfn.supervisor.record import read_record
from jupyterhub_aiinfn.supervisor.status import answers_of_parts, held_values
from jupyterhub_aiinfn.values import load_values, values_hash

from .findings import Finding, Patient, broken, ok, warning

DAY = 86400.0


def values_file(patient: Patient) -> Iterator[Finding]:
    """Whether the values can be read, and whether their file still says the same."""
    try:
        known = known_values(patient.values_file, patient.state)
    except AiinfnError as error:
        yield broken("values", str(error), "`aiinfn values check FILE` says what is wrong with a file")
        return
    digest = values_hash(known.values)
    if patient.values_file is not None:
        yield ok("values", f"{known.file} says {digest}")
    else:
        hold = "the platform holds" if is_running(patient.state) else "the next start takes"
        yield ok("values", f"{hold} {digest}, read from {known.file}")
    try:
        yield from _file_since(known, applied(patient.state))
    except AiinfnError as error:
        yield broken("values", f"those of the next start: {error}", f"aiinfn values apply {known.file}")
    for name in sorted(known.values.profiles.keys()):
        image = known.values.images.get(known.values.profiles[name].image)
        if image is not None and image.folder is None:
            yield warning("values", f"profile {name} needs an image without a folder, which this machine cannot build")


def _file_since(known: KnownValues, waiting: KnownValues | None) -> Iterator[Finding]:
    try:
        now = values_hash(load_values(known.file))
    except ValuesError as error:
        first = str(error).partition("\n")[0]
        yield warning("values file", f"a start with it would fail: {first}", f"aiinfn values check {known.file}")
        return
    if waiting is not None and now == values_hash(waiting.values) != values_hash(known.values):
        yield warning(
            "values file", f"{known.file} was applied; some of it waits for a restart", "`aiinfn status` says what"
        )
    elif now != values_hash(known.values):
        yield warning("values file", f"{known.file} has changed since", "`aiinfn values apply` shows how")


def ports(patient: Patient) -> Iterator[Finding]:
    """Whether the platform answers; else whether it could listen."""
    found = read_record(patient.state)
    if found is None or not found[0].alive():
        try:
            check_free("127.0.0.1", patient.port)
        except StateError as error:
            yield broken("port", str(error))
        else:
            yield ok("port", f"{patient.port} of 127.0.0.1 is free; the platform does not run")
        return
    for part, word in asyncio.run(answers_of_parts(found[1])).items():
        yield ok(part, "answers") if word == "ok" else broken(part, word, f"see {patient.state.logs / f'{part}.log'}")
    held = asyncio.run(held_values(patient.state))
    if held is not None and not held.agree:
        yield warning("values", held.sentences()[0], "look again in a minute")


def workload_records(patient: Patient) -> Iterator[Finding]:
    """Records that cannot be read, that nothing ends, that are older than they should be."""
    if not patient.state.workloads.is_dir():
        return
    records = Records(patient.state.workloads)
    known, unreadable = records.all(), records.unreadable()
    live = [one for one in known if one.phase is not Phase.ended]
    yield ok("records", f"{len(known)} workloads, {len(live)} of them live")
    if unreadable:
        names = ", ".join(unreadable[:5])
        yield warning("records", f"{len(unreadable)} cannot be read: {names}", "`aiinfn down` ends what they hold")
    if live and not is_running(patient.state):
        yield broken("records", f"{len(live)} workloads live and no platform runs", "`aiinfn down` ends them")
    kept = patient.values.limits.keep_workloads.total_seconds() if patient.values else 0.0
    ended = [one.ended_at.timestamp() for one in known if one.ended_at is not None]
    late = sum(moment < time.time() - kept - DAY for moment in ended) if kept else 0
    people = len({one.person for one in known})
    if late > people:  # of each person the last one is kept for ever
        yield warning("records", f"{late} are older than limits.keep_workloads", "the next start forgets them")
