"""Names, packages, lock files and states of own environments: values in, values out."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import OwnEnvironmentError
from jupyterhub_aiinfn.model.own_environments import (
    Base,
    Pin,
    Record,
    State,
    checked_name,
    checked_package,
    checked_packages,
    explanation,
    is_lock,
    kernel_name,
    lock_text,
    parse_requirements,
    reference,
    requested_in,
    state_of,
)

BASE = Base("python", "Python", "/cache/python-1", "3.11", "f1")
RECORD = Record("tools", "python", "Python", "f1", "3.11", ("numpy>=2, <3", "uproot"), finished=True)
DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize("name", ["a", "0", "my-tools", "a" * 41])
def test_good_names(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "A", "a_b", "a/b", "../a", ".", "a.b", "a\n", "a" * 42, "ä", "~", "\N{FULLWIDTH DIGIT ONE}"]
)
def test_bad_names_are_a_sentence(name: str) -> None:
    with pytest.raises(OwnEnvironmentError, match="cannot be the name of an environment; use 1 to 41"):
        checked_name(name)


@pytest.mark.parametrize(
    "package",
    [
        "numpy",
        "numpy>=2,<3",
        "numpy >= 2, < 3",
        "uproot[http]==5.6.*",
        "ruamel.yaml~=0.18",
        'tomli; python_version < "3.12"',
        "x @ https://example.org/x-1-py3-none-any.whl",
        "x @ git+https://example.org/x@v1.0",
    ],
)
def test_good_packages(package: str) -> None:
    assert checked_package(f"  {package} ") == package


@pytest.mark.parametrize(
    "package",
    [
        "",
        "-r file",
        "--index-url=https://evil.example.org",
        "-e .",
        ".",
        "./x",
        "/etc/passwd",
        "../x.whl",
        "x y",
        "x --index-url=https://evil.example.org",
        "x\n--pre",
        "x @ file:///etc/passwd",
        "x @ http://plain.example.org/x.whl",
        "https://example.org/x.whl",
        "x; y; z",
        "x\x1b[31m",
        "$(reboot)",
        "x>=",
    ],
)
def test_what_pip_could_take_for_an_option_or_a_file_is_refused(package: str) -> None:
    with pytest.raises(OwnEnvironmentError, match="is not a package"):
        checked_package(package)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(OwnEnvironmentError) as raised:
        checked_package("x @ https://alice:hunter2@example.org/x.whl")
    assert "hunter2" not in str(raised.value)
    assert "example.org" in str(raised.value)


def test_too_long_and_too_many_are_sentences() -> None:
    with pytest.raises(OwnEnvironmentError, match="is too long; 300 characters at most"):
        checked_package("x" * 301)
    with pytest.raises(OwnEnvironmentError, match="101 packages at a time are too many"):
        checked_packages([f"p{number}" for number in range(101)])
    assert checked_packages(["a", " a", "b"]) == ("a", "b")


@given(st.text(alphabet=string.printable, max_size=400))
def test_whatever_is_accepted_is_no_option_and_one_line(text: str) -> None:
    try:
        package = checked_package(text)
    except OwnEnvironmentError:
        return
    assert package[0].isalnum()
    assert package.isprintable()
    assert " -" not in package.partition(";")[0]


def test_a_lock_file_says_what_was_asked_for_and_can_be_read_again() -> None:
    pins = [Pin("numpy==2.3.5", (DIGEST,)), Pin("uproot==5.6", (DIGEST,))]
    text = lock_text(RECORD, pins, ["pandas==3.0"])
    assert list(parse_requirements(text)) == pins
    assert requested_in(text) == RECORD.requested
    assert "#   pandas==3.0" in text
    assert is_lock(parse_requirements(text))


def test_what_has_no_hash_is_named_and_makes_no_lock() -> None:
    text = lock_text(RECORD, [Pin("numpy==2.3.5", (DIGEST,)), Pin("mine==1")], [])
    assert "# without a hash, so none is required: mine==1" in text
    assert not is_lock(parse_requirements(text))
    assert not is_lock([])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-r other.txt", "is not a package"),
        ("--index-url https://evil.example.org", "is not a package"),
        ("numpy --hash=md5:0", "is not a hash"),
        (f"numpy --hash={DIGEST} --pre", "is not a hash"),
        ("\n".join(f"p{number}" for number in range(2001)), "the file names 2001 packages; the most is 2000"),
    ],
)
def test_a_file_with_anything_else_is_refused(text: str, words: str) -> None:
    with pytest.raises(OwnEnvironmentError, match=words):
        parse_requirements(text)


def test_remarks_blank_lines_and_continued_lines_are_understood() -> None:
    text = (
        f"# remark\n\nnumpy==2 \\\n    --hash={DIGEST} \\\r\n --hash={DIGEST}  # why\nx @ https://example.org/#part\n"
    )
    assert parse_requirements(text) == (Pin("numpy==2", (DIGEST, DIGEST)), Pin("x @ https://example.org/#part"))


UNFINISHED = Record("tools", "python", "Python", "f1", "3.11")
OLD = Record("tools", "python", "Python", "f0", "3.11", finished=True)


@pytest.mark.parametrize(
    ("record", "base", "held", "interpreter", "state", "words"),
    [
        (RECORD, BASE, False, True, State.ready, ""),
        (RECORD, BASE, True, True, State.working, "is being worked on just now"),
        (None, BASE, False, False, State.damaged, "aiinfn env remove tools"),
        (RECORD, BASE, False, False, State.damaged, "aiinfn env repair tools"),
        (UNFINISHED, BASE, False, True, State.unfinished, "is unfinished"),
        (OLD, BASE, False, True, State.base_changed, "an earlier state of the image Python"),
        (RECORD, None, False, True, State.other_image, "this session has no image"),
        (RECORD, Base("gpu", "GPU", "/c/g", "3.11", "f1"), False, True, State.other_image, "this session runs GPU"),
    ],
)
def test_states_and_their_remedies(record, base, held, interpreter, state, words) -> None:
    found = state_of(record, base, held=held, interpreter=interpreter)
    assert found is state
    said = explanation(found, record, "tools", base)
    assert words in said
    assert bool(said) == (state is not State.ready)


def test_no_two_environments_have_the_same_kernel() -> None:
    places = [("~", "a-b"), ("a", "b"), ("a-b", "c"), ("a", "b-c"), ("~", "a"), ("~", "b-c")]
    assert len({kernel_name(*place) for place in places}) == len(places)
    assert [reference("~", "tools"), reference("lhcb", "tools")] == ["tools", "lhcb/tools"]
