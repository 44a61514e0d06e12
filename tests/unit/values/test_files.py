"""The files that we ship, the schema, and what `values show` writes."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import ValuesError
from jupyterhub_aiinfn.values import load_values, parse_values, values_hash
from jupyterhub_aiinfn.values.base import format_duration, parse_duration
from jupyterhub_aiinfn.values.scalars import AmbiguousScalar, read_plain
from jupyterhub_aiinfn.values.writing import values_schema, values_to_yaml

CONFIG = Path(__file__).parents[3] / "config"
FILES = [CONFIG / "local.yaml", *sorted((CONFIG / "examples").glob("*.yaml"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_ours_is_valid_and_shows_as_itself(path: Path) -> None:
    values = load_values(path)
    shown = values_to_yaml(values)
    assert parse_values(shown, "shown") == values
    assert values_hash(parse_values(shown, "shown")) == values_hash(values)
    assert values_to_yaml(parse_values(shown, "shown")) == shown


def test_the_schema_is_current() -> None:
    stored = (CONFIG / "values.schema.json").read_text("utf-8")
    assert stored == values_schema(), "run `aiinfn values schema > config/values.schema.json`"


def test_the_schema_takes_our_files_and_refuses_unknown_keys() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(values_schema()))
    for path in FILES:
        data = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
        assert not [error for error in validator.iter_errors(data) if error.validator == "additionalProperties"]
        data["profils"] = {}
        assert [error for error in validator.iter_errors(data) if error.validator == "additionalProperties"]


@pytest.mark.parametrize(
    "part",
    [
        {"profiles": {"GPU": {"imag": "x", "sizs": 7}}},
        {"identity": {"users": {"Alice": {"gruops": 3}}}},
        {"projects": {"one": {"at_most": {"Not a key": 1}}}},
        {"storage": {"home": {"path": "nobody"}}},
    ],
)
def test_the_schema_refuses_keys_and_patterns_that_the_check_refuses(part: dict[str, Any]) -> None:
    data = yaml.load(FILES[0].read_text("utf-8"), Loader=yaml.SafeLoader) | part
    validator = jsonschema.Draft202012Validator(json.loads(values_schema()))
    assert list(validator.iter_errors(data))
    with pytest.raises(ValuesError):
        parse_values(yaml.safe_dump(data), "x")


def test_every_field_is_described_in_the_schema() -> None:
    schema = json.loads(values_schema())
    models = [schema, *schema["$defs"].values()]
    bare = [
        f"{m.get('title')}.{k}" for m in models for k, v in m.get("properties", {}).items() if "description" not in v
    ]
    assert bare == []


def test_the_hash_sees_changes_and_order_but_not_layout() -> None:
    text = FILES[0].read_text("utf-8")
    values = parse_values(text, "x")
    assert values_hash(values) == values_hash(parse_values("# a comment\n" + text, "x"))
    assert values_hash(values) != values_hash(parse_values(text.replace("max: 8h", "max: 9h"), "x"))
    assert len(values_hash(values)) == 16


NASTY = [
    "no",
    "1e3",
    "22:22",
    "0o10",
    "2026-01-01",
    "~",
    "null",
    ".5",
    "010",
    "1_000",
    "- x",
    "a: b",
    "#",
    "<<",
    "*a",
    "é\u2028",
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_any_name_survives_show_and_check(name: str) -> None:
    base = load_values(FILES[0])
    site = base.site.model_copy(update={"name": name, "units": (*base.site.units, name)})
    values = base.model_copy(update={"site": site})
    assert parse_values(values_to_yaml(values), "x") == values


@given(st.integers(0, 3650 * 86400))
def test_a_duration_is_read_as_it_is_written(seconds: int) -> None:
    duration = parse_duration(f"{seconds}s")
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0x1f", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("~", None),
        ("0", 0),
        *[(word, word) for word in ("2026-01-01", "1/7", "8h", "nope", "-", ".", "y")],
    ],
)
def test_a_plain_word_is_read_as_in_yaml_1_2(text: str, value: object) -> None:
    assert read_plain(text) == value
    assert type(read_plain(text)) is type(value)


@pytest.mark.parametrize(
    "text", ["no", "Yes", "ON", "off", "22:22", "1:30:00", "010", "0b11", "1_000", "9" * 19, "9" * 400]
)
def test_a_word_on_which_readers_disagree_is_refused(text: str) -> None:
    with pytest.raises(AmbiguousScalar):
        read_plain(text)


def test_a_file_that_vanishes_and_changes_under_the_reader_is_one_whole_or_a_sentence(tmp_path: Path) -> None:
    file, other = tmp_path / "values.yaml", tmp_path / "other.yaml"
    one = (CONFIG / "local.yaml").read_bytes()
    two = one.replace(b"max: 8h", b"max: 9h")
    hashes = {values_hash(parse_values(text, "test")) for text in (one, two)}
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            for text in (one, two):
                other.write_bytes(text)
                other.replace(file)
            file.unlink()
            file.write_bytes(b"")
            file.write_bytes(one)

    file.write_bytes(one)
    seen, end = set(), time.monotonic() + 5
    writer = threading.Thread(target=disturb)
    writer.start()
    try:
        while len(seen) < 3 and time.monotonic() < end:
            try:
                seen.add(values_hash(load_values(file)))
            except ValuesError as error:
                seen.add(error.problems[0].rule)
    finally:
        done.set()
        writer.join()
    assert hashes & seen
    assert len(seen) > 1, "nothing has changed under the reader"
    rules = seen - hashes
    assert all(rule.startswith(("cannot be read: ", "must be a map")) for rule in rules), rules
