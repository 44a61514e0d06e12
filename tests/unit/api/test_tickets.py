"""Tickets: only the hub's own, unchanged, in time."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import Malformed
from jupyterhub_aiinfn.model.tickets import StartTicket, read_ticket, sign_ticket

TICKET = StartTicket("id", "alice", "gpu", {"profile": "quantum"}, "quantum", "w1", 1000)


def test_a_ticket_is_read_as_it_was_signed():
    assert read_ticket("key", sign_ticket("key", TICKET), now=1000) == TICKET
    going_on = replace(TICKET, holder="chief", next="/user/alice/lab/tree/città?reset#here")
    assert read_ticket("key", sign_ticket("key", going_on), now=1000) == going_on


def test_a_ticket_is_refused_when_it_is_too_old_or_of_another_key():
    with pytest.raises(Malformed, match="too old"):
        read_ticket("key", sign_ticket("key", TICKET), now=1001)
    with pytest.raises(Malformed, match="not made by the hub"):
        read_ticket("other", sign_ticket("key", TICKET), now=0)


@given(
    st.text() | st.binary().map(lambda data: data.decode("latin-1")) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
)
def test_anything_else_is_refused_in_words(text):
    with pytest.raises(Malformed):
        read_ticket("key", text, now=0)


@given(st.integers(0, 400), st.characters())
def test_no_character_can_be_changed(position, character):
    signed = sign_ticket("key", TICKET)
    position %= len(signed)
    changed = signed[:position] + character + signed[position + 1 :]
    with contextlib.suppress(Malformed):  # accepted: the same character, or unused bits of a last one
        assert read_ticket("key", changed, now=0) == TICKET


def test_a_long_text_is_refused_at_once():
    with pytest.raises(Malformed):
        read_ticket("key", "x" * 10_000_000, now=0)


def test_an_administrator_may_hold_the_ticket_of_another_person() -> None:
    assert TICKET.bearer == "alice"
    assert replace(TICKET, holder="chief").bearer == "chief"
