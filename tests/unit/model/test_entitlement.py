"""Who may start what: every refusal has its status and a sentence with a remedy; nothing else is ever raised."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import Busy, Malformed, NotEntitled, NothingFree, Refusal
from jupyterhub_aiinfn.model.entitlement import decide, offers, projects_of, read_choice
from jupyterhub_aiinfn.model.requests import Choice, DeviceCount, Grant, Held, Person, Situation
from jupyterhub_aiinfn.values import Values, parse_values

NOW = datetime(2026, 6, 15, 11, 0, tzinfo=UTC)
TEXT = """
version: 1
site: {name: Site, timezone: Europe/Rome, support: help@example.org}
accelerators:
  a100: {type: gpu, name: A100 slice, resource: gpu, node_selector: {p: a100}, preference_weight: 5}
  t4: {type: gpu, name: T4, resource: gpu, node_selector: {p: t4}, preference_weight: 8, per_session: [1, 2]}
  qpu: {type: qpu, name: Quantum processor, emulated: 2}
  u55c: {type: fpga, name: Alveo, resource: fpga}
images: {python: {name: Python, folder: images/python}}
projects:
  flash:
    groups: [flash]
    leaders: [lea]
    accelerators: [a100, t4]
    at_most: {t4: 3}
    per_user: {sessions: 2, accelerators: {a100: 1}}
  lab: {groups: [lab], until: 2026-12-31}
  old: {groups: [old], until: 2026-06-14}
  today: {groups: [today], from: 2026-06-15, until: 2026-06-15}
  personal: {personal: true, accelerators: []}
profiles:
  cpu: {name: CPU, image: python, sizes: {small: {cores: 1, memory_gib: 2}, large: {cores: 8, memory_gib: 8}}, max: 2h}
  gpu: {name: GPU, image: python, accelerators: [a100, t4], sizes: {small: {cores: 1, memory_gib: 2}}, max: 1h}
  quantum:
    name: Quantum
    image: python
    accelerators: [qpu]
    accelerator_required: false
    sizes: {small: {cores: 1, memory_gib: 2}}
    max: 1h
  secret: {name: S, image: python, for: [lab], accelerators: [u55c], max: 1h, sizes: {s: {cores: 1, memory_gib: 1}}}
limits: {sessions_per_person: 3}
"""
VALUES = parse_values(TEXT, "test")
ALICE = Person("alice", frozenset({"flash"}))
BOTH = Person("bob", frozenset({"flash", "lab"}))
CAROL = Person("carol")
FREE = {"a100": DeviceCount(2, 0), "t4": DeviceCount(2, 0), "qpu": DeviceCount(2, 0, True), "u55c": DeviceCount(1, 0)}


def situation(*held: Held, devices: Mapping[str, DeviceCount] | None = FREE, now: datetime = NOW) -> Situation:
    return Situation(now, held, devices)


def start(options: object, person: Person = ALICE, world: Situation | None = None, server: str = "") -> Grant:
    return decide(VALUES, person, options, world or situation(), server)


def refusal(kind: type[Refusal], options: object, person: Person = ALICE, world: Situation | None = None) -> str:
    with pytest.raises(Refusal) as caught:
        start(options, person, world)
    assert type(caught.value) is kind
    return str(caught.value)


def test_no_more_sessions_start_at_a_time_than_the_site_wants() -> None:
    assert start({"profile": "cpu"}, world=replace(situation(), starting=15))
    full = replace(situation(), starting=16)
    assert refusal(Busy, {"profile": "cpu"}, world=full) == (
        "16 sessions are starting at this moment, which is all that this site starts at a time; "
        "try again in a few seconds"
    )
    refusal(Malformed, {"profile": "cpu", "size": "huge"}, world=full)
    in_use = replace(full, devices={"a100": DeviceCount(2, 2)})
    refusal(NothingFree, {"profile": "gpu", "accelerator": "a100"}, world=in_use)


def test_a_grant_says_everything_that_the_spawner_needs() -> None:
    grant = start({"profile": "gpu", "accelerator": "t4", "count": "2"})
    assert grant.choice == Choice("gpu", "small", "flash", "t4", 2)
    assert (grant.image, grant.size.memory_gib, grant.max_seconds) == ("python", 2.0, 3600)


def test_the_options_of_a_choice_lead_to_it_again() -> None:
    for options in (
        {"profile": "gpu", "accelerator": "t4"},
        {"profile": "cpu", "size": "large"},
        {"profile": "quantum"},
    ):
        choice = start(options).choice
        assert start(choice.options()).choice == choice
        assert read_choice(VALUES, ALICE, choice.options(), situation()) == choice


def test_a_form_sends_lists_and_empty_texts() -> None:
    form = {"profile": ["gpu"], "accelerator": ["t4"], "count": [1], "project": [""], "size": []}
    assert start(form).choice == Choice("gpu", "small", "flash", "t4", 1)
    assert start({"profile": "cpu", "accelerator": None, "count": "0"}).choice.accelerator is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, 'choose a profile: "cpu", "gpu" or "quantum"'),
        (None, "choose a profile"),
        ([], "options must be a set of names"),
        ("profile=cpu", "options must be a set of names"),
        ({"proflie": "cpu"}, 'no option "proflie"; did you mean "profile"?'),
        ({"image": "evil"}, 'no option "image"; known are'),
        ({3: "x"}, 'no option "int"'),
        ({"profile": True}, "must be a text, not true or false"),
        ({"profile": 3}, "must be a text, not a number"),
        ({"profile": {"a": 1}}, "must be a text, not a map"),
        ({"profile": ["cpu", "gpu"]}, "was given 2 times"),
        ({"profile": [["cpu"]]}, "must be a text, not a list"),
        ({"profile": "x" * 10**6}, "longer than 200 characters"),
        ({"profile": "cpu", "size": "huge"}, 'no size "huge" here; choose "small" or "large"'),
        ({"profile": "cpu", "size": "small "}, "no size"),
        ({"profile": "cpu", "accelerator": "t4"}, "has no accelerators; leave"),
        ({"profile": "cpu", "count": "1"}, "a count needs an accelerator"),
        ({"profile": "gpu"}, 'choose an accelerator: "a100" or "t4"'),
        ({"profile": "gpu", "accelerator": "u55c"}, 'no accelerator "u55c" here; choose "a100" or "t4"'),
        ({"profile": "gpu", "accelerator": "t4", "count": "3"}, 'no count "3" here; choose "1" or "2"'),
        ({"profile": "gpu", "accelerator": "t4", "count": "-1"}, "no count"),
        ({"profile": "gpu", "accelerator": "t4", "count": "٢"}, "no count"),
        ({"profile": "gpu", "accelerator": "t4", "count": True}, "true or false"),
        ({"profile": "gpu", "accelerator": "t4", "count": 10**400}, "must be a text, not a number"),
    ],
)
def test_what_the_page_could_not_have_sent_is_malformed(options: object, words: str) -> None:
    sentence = refusal(Malformed, options)
    assert words in sentence
    assert len(sentence) < 300


def test_of_several_projects_one_is_chosen() -> None:
    assert 'choose the project that this session is for: "flash" or "lab"' in refusal(
        Malformed, {"profile": "cpu"}, BOTH
    )
    assert start({"profile": "cpu", "project": "lab"}, BOTH).choice.project == "lab"


def test_a_hidden_profile_and_one_that_does_not_exist_sound_the_same() -> None:
    hidden = refusal(NotEntitled, {"profile": "secret"})
    assert hidden == refusal(NotEntitled, {"profile": "secres"}).replace("secres", "secret")
    assert hidden == 'there is no profile "secret" for you; choose "cpu", "gpu" or "quantum"'


def test_a_project_of_others_and_one_that_does_not_exist_sound_the_same() -> None:
    other = refusal(NotEntitled, {"profile": "cpu", "project": "lab"})
    assert other == refusal(NotEntitled, {"profile": "cpu", "project": "bal"}).replace("bal", "lab")


def test_control_characters_are_not_repeated() -> None:
    sentence = refusal(NotEntitled, {"profile": "\x1b[31m\n<script>\u202e"})
    assert sentence.isprintable()


def test_a_project_is_entitled_to_its_accelerators_only() -> None:
    assert 'project "flash" may not use "Quantum processor" (EMULATED)' in refusal(
        NotEntitled, {"profile": "quantum", "accelerator": "qpu"}
    )
    sentence = refusal(NotEntitled, {"profile": "quantum", "accelerator": "qpu", "project": "flash"}, BOTH)
    assert sentence.endswith('choose the project "lab"')
    assert "may use no accelerator" not in refusal(NotEntitled, {"profile": "gpu", "accelerator": "t4"}, CAROL)
    assert "may use no accelerator" in refusal(NotEntitled, {"profile": "gpu"}, CAROL)


@pytest.mark.parametrize(
    ("groups", "projects"),
    [((), ["personal"]), (("flash", "lab"), ["flash", "lab"]), (("old",), ["personal"]), (("today",), ["today"])],
)
def test_membership_is_by_groups_and_dates(groups: tuple[str, ...], projects: list[str]) -> None:
    assert projects_of(VALUES, Person("x", frozenset(groups)), NOW.date()) == projects


def test_a_leader_is_a_member() -> None:
    assert projects_of(VALUES, Person("lea"), NOW.date()) == ["flash"]


def test_the_day_is_that_of_the_site() -> None:
    last = Person("x", frozenset({"today"}))
    assert (
        start({"profile": "cpu"}, last, situation(now=datetime(2026, 6, 14, 22, 30, tzinfo=UTC))).choice.project
        == "today"
    )
    late = situation(now=datetime(2026, 6, 15, 22, 30, tzinfo=UTC))
    assert start({"profile": "cpu"}, last, late).choice.project == "personal"


def test_who_has_no_project_is_told_which_group_to_ask_for() -> None:
    data = yaml.safe_load(TEXT)
    del data["projects"]["personal"]
    values = parse_values(yaml.safe_dump(data, sort_keys=False), "test")
    with pytest.raises(NotEntitled) as caught:
        decide(values, CAROL, {"profile": "cpu"}, situation(), "")
    expected = (
        'you are in no project; ask at help@example.org to become a member of the group "flash", "lab" or "today"'
    )
    assert str(caught.value) == expected
    cards = offers(values, CAROL, situation())
    assert [card.key for card in cards] == ["cpu", "gpu", "quantum"]
    assert {card.reason for card in cards} == {expected}


def test_everything_in_use_names_the_time_and_what_else_would_do() -> None:
    busy = {**FREE, "a100": DeviceCount(2, 2, next_free_at=NOW + timedelta(hours=1, minutes=20))}
    sentence = refusal(NothingFree, {"profile": "gpu", "accelerator": "a100"}, world=situation(devices=busy))
    assert sentence == (
        '2 of 2 "A100 slice" are in use; one is expected free at 14:20 CEST at the latest: '
        'take "T4" now, or try again then'
    )
    tomorrow = {"a100": DeviceCount(2, 2, next_free_at=NOW + timedelta(days=1)), "t4": DeviceCount(1, 1)}
    sentence = refusal(NothingFree, {"profile": "gpu", "accelerator": "a100"}, world=situation(devices=tomorrow))
    assert sentence.endswith("expected free at 2026-06-16 13:00 CEST at the latest: try again then")


def test_without_a_known_end_no_time_is_promised() -> None:
    for end in (None, NOW - timedelta(hours=1)):
        busy = {**FREE, "qpu": DeviceCount(2, 2, True, next_free_at=end)}
        options = {"profile": "quantum", "accelerator": "qpu", "project": "lab"}
        sentence = refusal(NothingFree, options, BOTH, situation(devices=busy))
        assert sentence == (
            '2 of 2 "Quantum processor" (EMULATED) are in use: start without an accelerator now, or try again later'
        )


def test_no_device_on_this_machine_says_why() -> None:
    none = {**FREE, "a100": DeviceCount(0, 0, reason="no NVIDIA GPU on this machine"), "t4": DeviceCount(0, 0)}
    sentence = refusal(NothingFree, {"profile": "gpu", "accelerator": "a100"}, world=situation(devices=none))
    assert sentence == '"A100 slice" cannot be had (no NVIDIA GPU on this machine): choose another profile'


def test_fewer_are_offered_before_another() -> None:
    one = {**FREE, "t4": DeviceCount(2, 1)}
    sentence = refusal(NothingFree, {"profile": "gpu", "accelerator": "t4", "count": "2"}, world=situation(devices=one))
    assert 'take 1 of them or take "A100 slice" now' in sentence


def test_unknown_availability_refuses_nothing() -> None:
    for devices in (None, {}):
        assert start({"profile": "gpu", "accelerator": "a100"}, world=situation(devices=devices))


def test_starts_that_the_snapshot_has_not_seen_count() -> None:
    held = [Held(f"p{n}", "", "flash", "a100", 1) for n in range(2)]
    assert "2 of 2" in refusal(NothingFree, {"profile": "gpu", "accelerator": "a100"}, world=situation(*held))


def test_names_of_others_are_never_in_a_sentence() -> None:
    held = [Held("somebody-else", "", "flash", "t4", 2), Held("third-person", "", "flash", "a100", 2)]
    for options in ({"profile": "gpu", "accelerator": key} for key in ("t4", "a100")):
        sentence = refusal(NothingFree, options, world=situation(*held))
        assert "somebody" not in sentence
        assert "third" not in sentence


def test_sessions_are_capped_for_the_person() -> None:
    lab = [Held("bob", f"s{n}", "lab") for n in range(3)]
    options = {"profile": "cpu", "project": "flash"}
    assert refusal(NothingFree, options, BOTH, situation(*lab)) == (
        "3 of 3 sessions are running or starting; stop one of them first"
    )
    assert start(options, BOTH, situation(*lab), "s1"), "a restart of one of them does not count twice"
    assert start(options, BOTH, situation(*(Held("eve", one.server_name, "lab") for one in lab)))


def test_sessions_are_capped_within_the_project() -> None:
    flash = situation(Held("bob", "a", "flash"), Held("bob", "b", "flash"))
    assert refusal(NothingFree, {"profile": "cpu", "project": "flash"}, BOTH, flash).endswith(
        "or choose another project"
    )
    assert start({"profile": "cpu", "project": "lab"}, BOTH, flash)


def test_devices_are_capped_for_project_and_person() -> None:
    many = {key: DeviceCount(9, 0) for key in FREE}
    full = situation(Held("x", "", "flash", "t4", 2), devices=many)
    sentence = refusal(NothingFree, {"profile": "gpu", "accelerator": "t4", "count": "2"}, world=full)
    assert 'project "flash" holds 2 of 3 "T4" that it may hold at a time: take 1 of them' in sentence
    mine = situation(Held("alice", "other", "flash", "a100", 1), devices=many)
    assert '1 of 1 "A100 slice"' in refusal(NothingFree, {"profile": "gpu", "accelerator": "a100"}, world=mine)
    assert start({"profile": "gpu", "accelerator": "a100"}, world=mine, server="other")


def test_an_admin_has_no_right_of_their_own() -> None:
    refusal(NotEntitled, {"profile": "secret"}, Person("root", frozenset({"flash"}), admin=True))


def test_the_cards_hide_what_is_not_for_the_person() -> None:
    cards = {card.key: card for card in offers(VALUES, CAROL, situation())}
    assert list(cards) == ["cpu", "quantum"], "no project of hers may use a GPU, and the secret one is not for her"
    assert cards["quantum"].accelerators == ()
    assert cards["quantum"].available


def test_the_cards_show_counts_and_reasons() -> None:
    busy = {**FREE, "t4": DeviceCount(2, 2, next_free_at=NOW + timedelta(hours=2))}
    cards = {card.key: card for card in offers(VALUES, BOTH, situation(devices=busy))}
    a100, t4 = cards["gpu"].accelerators
    assert (a100.free, a100.total, a100.available, a100.reason) == (2, 2, True, "")
    assert (t4.free, t4.total, t4.available, t4.counts) == (0, 2, False, (1, 2))
    assert t4.reason.startswith(
        '2 of 2 "T4" are in use; one is expected free at 15:00 CEST at the latest: take "A100 slice"'
    )
    assert cards["gpu"].available
    assert cards["quantum"].accelerators[0].emulated
    assert cards["quantum"].accelerators[0].projects == ("lab",)
    assert [project.key for project in cards["cpu"].projects] == ["flash", "lab"]


def test_a_card_with_nothing_to_be_had_is_disabled_with_its_reasons() -> None:
    none = {"a100": DeviceCount(0, 0, reason="no NVIDIA GPU on this machine")}
    none["t4"] = none["a100"]
    card = next(card for card in offers(VALUES, ALICE, situation(devices=none)) if card.key == "gpu")
    assert not card.available
    assert "no NVIDIA GPU on this machine" in card.reason


def test_unknown_is_shown_as_unknown() -> None:
    card = next(card for card in offers(VALUES, ALICE, situation(devices=None)) if card.key == "gpu")
    assert card.available
    assert {(one.free, one.total, one.available) for one in card.accelerators} == {(None, None, True)}


KEYS = ["profile", "size", "accelerator", "count", "project"]
WORDS = [
    "cpu",
    "gpu",
    "quantum",
    "secret",
    "small",
    "s",
    "a100",
    "t4",
    "qpu",
    "u55c",
    "1",
    "2",
    "flash",
    "lab",
    "personal",
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
HELD = st.builds(
    Held,
    st.sampled_from(["alice", "bob", "carol", "x"]),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["flash", "lab", "gone"]),
    st.sampled_from([None, "a100", "t4", "qpu", "gone"]),
    st.integers(0, 3),
)
DEVICES = st.none() | st.dictionaries(
    st.sampled_from(list(FREE)), st.builds(DeviceCount, st.integers(0, 4), st.integers(0, 5), st.booleans())
)
PEOPLE = st.builds(
    Person,
    st.sampled_from(["alice", "bob", "lea"]),
    st.frozensets(st.sampled_from(["flash", "lab", "old"])),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(JUNK | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=9) | st.integers(), JUNK), PEOPLE)
def test_no_options_raise_anything_but_a_refusal(options: Any, person: Person) -> None:
    sentence = _sentence(options, person)
    assert sentence is None or 0 < len(sentence) < 600


@settings(max_examples=500, deadline=None)
@given(
    st.fixed_dictionaries(
        {"profile": st.sampled_from(WORDS[:4])}, optional={key: st.sampled_from(WORDS) for key in KEYS[1:]}
    ),
    PEOPLE,
    st.lists(HELD, max_size=8),
    DEVICES,
    st.sampled_from(["", "a"]),
)
def test_a_grant_is_within_every_cap(
    options: dict[str, str], person: Person, held: list[Held], devices: dict[str, DeviceCount] | None, server: str
) -> None:
    world = Situation(NOW, tuple(held), devices)
    try:
        choice = decide(VALUES, person, options, world, server).choice
    except Refusal:
        return
    rest = [one for one in held if (one.person, one.server_name) != (person.name, server)]
    assert sum(one.person == person.name for one in rest) < VALUES.limits.sessions_per_person
    assert choice.project in projects_of(VALUES, person, NOW.date())
    project = VALUES.projects[choice.project]
    same = [one for one in rest if one.project == choice.project]
    if project.per_user.sessions is not None:
        assert sum(one.person == person.name for one in same) < project.per_user.sessions
    if choice.accelerator is None:
        return
    assert project.accelerators is None or choice.accelerator in project.accelerators
    like = [one for one in same if one.accelerator == choice.accelerator]
    assert choice.count + sum(one.count for one in like) <= project.at_most.get(choice.accelerator, 10**9)
    mine = sum(one.count for one in like if one.person == person.name)
    assert choice.count + mine <= project.per_user.accelerators.get(choice.accelerator, 10**9)
    if devices and choice.accelerator in devices:
        assert devices[choice.accelerator].used + choice.count <= devices[choice.accelerator].total


@settings(max_examples=200, deadline=None)
@given(PEOPLE, st.lists(HELD, max_size=8), DEVICES)
def test_what_a_card_offers_is_granted_and_what_it_disables_is_refused(
    person: Person, held: list[Held], devices: dict[str, DeviceCount] | None
) -> None:
    world = Situation(NOW, tuple(held), devices)
    for card in offers(VALUES, person, world, ""):
        asked = [{"profile": card.key, "project": project.key} for project in card.projects]
        if card.accelerator_required:
            asked = [
                {**one, "accelerator": a.key, "count": str(n)}
                for one in asked
                for a in card.accelerators
                for n in a.counts
            ]
        assert card.available == any(_granted(one, person, world) for one in asked), card
        for accelerator in card.accelerators:
            wanted = [
                {"profile": card.key, "project": key, "accelerator": accelerator.key, "count": str(count)}
                for key in accelerator.projects
                for count in accelerator.counts
            ]
            assert accelerator.available == any(_granted(one, person, world) for one in wanted), accelerator
            assert bool(accelerator.reason) != accelerator.available


def _sentence(options: object, person: Person) -> str | None:
    try:
        start(options, person)
    except Refusal as refused:
        return str(refused)
    return None


def _granted(options: dict[str, str], person: Person, world: Situation) -> bool:
    try:
        return bool(decide(VALUES, person, options, world, ""))
    except Refusal:
        return False


def large_values() -> Values:
    data = yaml.safe_load(TEXT)
    data["identity"] = {"users": {f"user{n}": {"groups": [f"g{n % 40}"]} for n in range(500)}}
    data["projects"] = {f"p{n}": {"groups": [f"g{n}"]} for n in range(40)}
    gpu = data["profiles"]["gpu"]
    data["profiles"] = {f"profile{n}": gpu for n in range(50)}
    return parse_values(yaml.dump(data, Dumper=_Plain, sort_keys=False), "large")


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def test_a_decision_takes_less_than_a_millisecond_and_a_page_less_than_ten() -> None:
    values, person = large_values(), Person("user7", frozenset({"g7", "g8"}))
    held = tuple(Held(f"user{n}", "", f"p{n % 40}", "a100", 1) for n in range(40) if n != 7)
    world = Situation(NOW, held, {"a100": DeviceCount(60, 40), "t4": DeviceCount(2, 2)})
    options = {"profile": "profile49", "accelerator": "a100", "project": "p7"}
    assert _best(lambda: decide(values, person, options, world, "")) < 0.001
    assert _best(lambda: offers(values, person, world)) < 0.01


def _best(call: Any) -> float:
    """Processor seconds of one call, the best of some rounds."""
    rounds = []
    for _ in range(5):
        start_time = time.process_time()
        for _ in range(20):
            call()
        rounds.append((time.process_time() - start_time) / 20)
    return min(rounds)
