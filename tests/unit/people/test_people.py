import json
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import pytest

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.hub.people import People, PeopleError, check_group, check_name, check_password, new_password
from jupyterhub_aiinfn.values import Values, parse_values
from jupyterhub_aiinfn.values.current import CurrentValues

TEXT = """
version: 1
site: {name: Test}
identity:
  users:
    admin: {groups: [admins]}
    alice: {groups: [users, quantum]}
  admin_groups: [admins]
  allowed_groups: [users, visitors]
images: {python: {name: Python, folder: images/python}}
profiles: {python: {name: Python, image: python, sizes: {small: {cores: 1, memory_gib: 1}}, max: 8h}}
"""


@pytest.fixture
def values() -> Values:
    return parse_values(TEXT, "test")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    folder.prepare()
    return folder


@pytest.fixture
def people(state: StateFolder, values: Values) -> People:
    return People(state, values)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_first_passwords_are_one_private_file_each_and_work(people: People, state: StateFolder) -> None:
    files = people.ensure_first_passwords()
    assert files == {"admin": state.passwords / "admin", "alice": state.passwords / "alice"}
    for name, file in files.items():
        assert mode(file) == 0o600
        assert people.verify(name, file.read_text().strip())
    assert mode(state.people) == 0o600
    assert files["admin"].read_text() != files["alice"].read_text()
    assert files["alice"].read_text().strip() not in state.people.read_text()


def test_nobody_logs_in_as_another_with_their_own_password(people: People) -> None:
    files = people.ensure_first_passwords()
    assert not people.verify("admin", files["alice"].read_text().strip())


def test_ensuring_again_changes_nothing(people: People, state: StateFolder) -> None:
    first = people.ensure_first_passwords()
    before = state.people.read_bytes(), first["alice"].read_bytes(), state.people.stat().st_ino
    assert people.ensure_first_passwords() == first
    assert (state.people.read_bytes(), first["alice"].read_bytes(), state.people.stat().st_ino) == before


def test_a_chosen_password_replaces_the_first_one_and_its_file(people: People, state: StateFolder) -> None:
    first = people.ensure_first_passwords()["alice"].read_text().strip()
    people.set_password("alice", "correct horse battery")
    assert people.verify("alice", "correct horse battery")
    assert not people.verify("alice", first)
    assert people.ensure_first_passwords().keys() == {"admin"}
    assert [file.name for file in state.passwords.iterdir()] == ["admin"]


def test_a_crash_between_change_and_removal_leaves_no_stale_file(people: People, state: StateFolder) -> None:
    people.ensure_first_passwords()
    people.set_password("alice", "correct horse battery")
    (state.passwords / "alice").write_text("stale")
    assert people.ensure_first_passwords().keys() == {"admin"}
    assert not (state.passwords / "alice").exists()


def test_other_processes_see_a_change_without_a_restart(people: People, state: StateFolder, values: Values) -> None:
    people.ensure_first_passwords()
    assert "dora" not in people.names()
    file = People(state, values).add("dora", ["visitors"])
    assert people.names() == ["admin", "alice", "dora"]
    assert people.groups("dora") == ("visitors",)
    assert people.verify("dora", file.read_text().strip())
    People(state, values).set_password("dora", "another password")
    assert people.verify("dora", "another password")


def test_groups_and_rights(people: People) -> None:
    people.add("dora", ["elsewhere"])
    people.add("eve", ["admins"])
    assert people.groups("alice") == ("users", "quantum")
    assert people.groups("nobody") == ()
    assert people.is_admin("admin")
    assert people.is_admin("eve")
    assert not people.is_admin("alice")
    assert people.is_allowed("alice")
    assert people.is_allowed("admin"), "an administrator need not be in allowed_groups"
    assert not people.is_allowed("dora")
    assert not people.is_allowed("nobody")


def test_who_leaves_the_values_file_cannot_log_in(state: StateFolder) -> None:
    current = CurrentValues(parse_values(TEXT, "test"))
    people = People(state, current)
    password = people.ensure_first_passwords()["alice"].read_text().strip()
    current.switch(parse_values(TEXT.replace("alice: {", "albert: {"), "test"))
    assert not people.verify("alice", password)
    assert not people.is_allowed("alice")
    with pytest.raises(PeopleError, match="nobody is called 'alice'"):
        people.set_password("alice", "correct horse battery")
    people.add("alice", ["users"])
    assert not people.verify("alice", password), "a name given again does not bring the old password back"


def test_adding_twice_or_for_the_values_file_is_refused(people: People) -> None:
    people.add("dora")
    for name in ("dora", "alice"):
        with pytest.raises(PeopleError, match=f"{name} exists already"):
            people.add(name)


@pytest.mark.parametrize(
    "name", ["", "..", "../alice", "a/b", "Alice", "a b", "-a", ".a", "a" * 64, "a\n", "a\0", "al\u0131ce", "$(id)"]
)
def test_hostile_names_get_a_sentence(people: People, state: StateFolder, name: str) -> None:
    before = sorted(state.root.rglob("*"))
    with pytest.raises(PeopleError, match="cannot be a login name"):
        people.add(name)
    assert not people.verify(name, "whatever password")
    assert not people.is_allowed(name)
    assert [file for file in sorted(state.root.rglob("*")) if file.name != "people.lock"] == before


@pytest.mark.parametrize("group", ["", "a b", "/x", "a\n", "g" * 129])
def test_hostile_groups_get_a_sentence(group: str) -> None:
    with pytest.raises(PeopleError, match="cannot be a group"):
        check_group(group)


@pytest.mark.parametrize(
    ("password", "words"), [("short", "at least 10"), ("x" * 1025, "at most 1024"), ("with\0zero-byte", "control")]
)
def test_bad_passwords_get_a_sentence(people: People, password: str, words: str) -> None:
    with pytest.raises(PeopleError, match=words):
        check_password(password)
    assert not people.verify("alice", password)


def test_hostile_passwords_are_only_wrong(people: People) -> None:
    people.ensure_first_passwords()
    for password in ("", "\ud800", "x" * 10**6, "\0"):
        assert not people.verify("alice", password)


def test_letters_typed_in_either_form_are_the_same_password(people: People) -> None:
    people.set_password("alice", "perche\u0301 no, signora")
    assert people.verify("alice", "perch\u00e9 no, signora")


def test_an_unknown_name_costs_as_much_time_as_a_known_one(people: People) -> None:
    people.ensure_first_passwords()
    people.verify("warm", "up")
    known, unknown = [], []
    for _ in range(9):
        for name, times in (("alice", known), ("nobody", unknown)):
            began = time.perf_counter()
            people.verify(name, "not the password")
            times.append(time.perf_counter() - began)
    assert 0.5 < median(unknown) / median(known) < 2


def test_many_writers_lose_nothing(state: StateFolder, values: Values) -> None:
    def add(number: int) -> None:
        People(state, values).add(f"person{number}", ["users"])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(24)))
    names = People(state, values).names()
    assert sum(name.startswith("person") for name in names) == 24


def test_a_broken_file_is_a_sentence(people: People, state: StateFolder) -> None:
    for content in ("{", "[1]", '{"alice": 3}'):
        state.people.write_text(content)
        with pytest.raises(StateError, match="restore it from a backup"):
            people.names()


@pytest.mark.root
def test_another_users_folder_is_refused(people: People, state: StateFolder) -> None:
    os.chown(state.root, 12345, 12345)
    with pytest.raises(StateError, match="belongs to the user id 12345"):
        people.add("dora")


def test_first_passwords_are_long_and_differ() -> None:
    made = {new_password() for _ in range(200)}
    assert len(made) == 200
    assert all(len(password) >= 16 and check_name("a") == "a" for password in made)
    for password in made:
        check_password(password)


def test_the_module_loads_without_the_hub() -> None:
    code = (
        "import sys, jupyterhub_aiinfn.hub.people; print([m for m in sys.modules if m.split('.')[0] == 'jupyterhub'])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_file_is_json_with_one_hash_a_person(people: People, state: StateFolder) -> None:
    people.ensure_first_passwords()
    found = json.loads(state.people.read_bytes())
    assert all(record["hash"].startswith("$argon2id$") for record in found.values())
