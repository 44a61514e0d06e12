"""Where the hub finds the number that an identity provider gives a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from sqlalchemy import event
from sqlalchemy.orm import Session

from jupyterhub_aiinfn.hub.session_numbers import PeopleMemory, claim_of


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"access_token": "t", "oauth_user": {"sub": "alice", "uid_number": 7}}, 7),
        ({"uid_number": "8"}, "8"),
        ({"oauth_user": {"uid_number": 7}, "uid_number": 8}, 7),
        ({"oauth_user": {"uid_number": None}, "uid_number": 8}, None),
        ({"oauth_user": {"sub": "alice"}}, None),
        ({"oauth_user": ["uid_number"]}, None),
        ({"oauth_user": "uid_number"}, None),
        ({}, None),
        (None, None),
    ],
    ids=repr,
)
def test_the_claim_is_what_the_identity_provider_says(state: dict[str, Any] | None, said: object) -> None:
    assert claim_of(state, "uid_number") == said


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Session]:
    session = orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")()
    for name in ("alice", "bob", "carol"):
        session.add(orm.User(name=name))
        session.commit()
    yield session
    session.close()


def id_of(db: Session, name: str) -> int:
    return int(db.query(orm.User.id).filter(orm.User.name == name).one()[0])


def test_who_was_there_before(db: Session) -> None:
    people = PeopleMemory()
    assert people.before(db, id_of(db, "carol")) == ["alice", "bob"]
    assert people.before(db, id_of(db, "alice")) == []
    db.add(orm.User(name="dave"))
    db.commit()
    assert people.before(db, id_of(db, "dave")) == ["alice", "bob", "carol"]


def test_a_changed_name_and_a_deleted_person_are_noticed(db: Session) -> None:
    people = PeopleMemory()
    carol = id_of(db, "carol")
    assert people.before(db, carol) == ["alice", "bob"]
    db.query(orm.User).filter(orm.User.name == "alice").one().name = "alba"
    db.commit()
    assert people.before(db, carol) == ["alba", "bob"]
    db.delete(db.query(orm.User).filter(orm.User.name == "bob").one())
    db.commit()
    assert people.before(db, carol) == ["alba"]


def test_only_who_is_new_is_read(db: Session) -> None:
    people, asked = PeopleMemory(), list[str]()
    carol = id_of(db, "carol")
    people.before(db, carol)
    db.commit()
    event.listen(db.get_bind(), "before_cursor_execute", lambda *given: asked.append(given[2]))
    people.before(db, carol)
    assert [one for one in asked if "users" in one] == []
