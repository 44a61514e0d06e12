"""Files that are not values files: a sentence, within a second, never a traceback."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import ValuesError
from jupyterhub_aiinfn.values import Values, load_values, parse_values

KIB = 1024


def _bomb(levels: int = 12) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def _long_text_bomb() -> str:
    return f"a: &a {'x' * 500_000}\nb: [{', '.join(['*a'] * 50_000)}]"


HOSTILE: dict[str, bytes] = {
    "alias bomb": _bomb().encode(),
    "alias bomb of text": _long_text_bomb().encode(),
    "alias of itself": b"site: &a {name: *a}",
    "alias of nothing": b"site: *nowhere",
    "ten MiB": b"a: " + b"x" * (10 * KIB * KIB),
    "a MiB of one text": b"a: " + b"x" * (KIB * KIB - 3),
    "a MiB of list": b"[" + b"1," * (KIB * KIB // 2 - 1) + b"]",
    "a MiB of list on lines": b"- 1\n" * (KIB * KIB // 4),
    "a MiB of keys": b"".join(b"k%d: 1\n" % n for n in range(9_900)),
    "a MiB of users": b"identity:\n  users:\n" + b"".join(b"    U%d: 1\n" % n for n in range(9_900)),
    "a MiB of wrong groups": b"identity: {admin_groups: [" + b"1," * 19_000 + b"]}",
    "a MiB of accelerators": b"accelerators:\n" + b"".join(b"  a%d: {resource: gpu}\n" % n for n in range(9_000)),
    "many accelerators of many resources": b"accelerators:\n"
    + b"".join(b"  a%d: {resource: gpu%d, node_selector: {a: b}}\n" % (n, n % 20) for n in range(2_200)),
    "as many alike accelerators as fit": b"accelerators:\n"
    + b"".join(b"  a%d: {resource: gpu%d}\n" % (n, n // 200) for n in range(4_900)),
    "many unknown images": b"images:\n"
    + b"".join(b"  image-number-%d: {}\n" % n for n in range(2_200))
    + b"profiles:\n"
    + b"".join(b"  p%d: {image: imaginary-number-%d}\n" % (n, n) for n in range(2_200)),
    "many unknown accelerators": b"accelerators:\n"
    + b"".join(b"  a%d: {}\n" % n for n in range(2_000))
    + b"projects: {p: {accelerators: ["
    + b"".join(b"b%d," % n for n in range(4_900))
    + b"]}}\n",
    "a MiB of open brackets": b"[" * (KIB * KIB),
    "a MiB of open braces": b"{" * (KIB * KIB),
    "a MiB of question marks": b"? " * (KIB * KIB // 2),
    "a MiB of dashes": b"- " * (KIB * KIB // 2),
    "a MiB of colons": b":" * (KIB * KIB),
    "a MiB of quotes": b"'" * (KIB * KIB - 1),
    "a MiB of anchors": b"&a " * (KIB * KIB // 3),
    "a MiB of exclamation": b"!" * (KIB * KIB),
    "a MiB of spaces": b" " * (KIB * KIB),
    "a MiB of lines": b"\n" * (KIB * KIB),
    "a MiB of comments": b"#\n" * (KIB * KIB // 2),
    "a MiB of documents": b"---\n" * (KIB * KIB // 4),
    "a MiB of one key": b"k" * (KIB * KIB - 2) + b": ",
    "a MiB of directives": b"%YAML 1.1\n" * (KIB * KIB // 10),
    "a MiB of tag directives": b"".join(b"%%TAG !x%d! tag:x,2000:\n" % n for n in range(45_000)),
    "a directive": b"%YAML 1.1\n---\nversion: 1\n",
    "aliases that nest": b"a0: &a0 {x: 1}\n"
    + b"".join(b"a%d: &a%d {x: *a%d}\n" % (n, n, n - 1) for n in range(1, 400)),
    "a MiB of duplicates": b"k: 1\n" * (KIB * KIB // 5),
    "a MiB of tags": b"- !x 1\n" * (KIB * KIB // 7),
    "nested blocks": "\n".join(f"{' ' * n}a:" for n in range(1000)).encode(),
    "nested flow": b"a: " + b"[" * 5000 + b"]" * 5000,
    "tabs": b"site:\n\tname: x\n",
    "tab after dash": b"a:\n-\t- x\n\t- y\n",
    "duplicate keys": b"version: 1\nversion: 1\n",
    "python object": b"a: !!python/object/apply:os.system ['true']",
    "python name": b"version: !!python/name:os.system",
    "own tag": b"version: !thing 1",
    "set": b"a: !!set {x, y}",
    "binary": b"version: !!binary aGVsbG8=",
    "not a number": b"profiles: {a: {sizes: {s: {cores: .nan, memory_gib: .inf}}}}",
    "400 digits": b"version: " + b"9" * 400,
    "5000 digits": b"version: " + b"9" * 5000,
    "400 hexadecimal digits": b"version: 0x" + b"f" * 400,
    "large exponent": b"version: 1e999999999",
    "a float of 5000 digits": b"version: 1." + b"9" * 5000,
    "not UTF-8": b"site: {name: \xff\xfe}",
    "UTF-16": "version: 1".encode("utf-16"),
    "latin": "site: {name: Università}".encode("latin-1"),
    "surrogate": rb'site: {name: "\ud800"}',
    "null character": b"site: {name: \x00}",
    "escaped null character": rb'site: {name: "\0"}',
    "bell": b"site: {name: \x07}",
    "empty": b"",
    "only a comment": b"# nothing",
    "null": b"null",
    "a word": b"hello",
    "a list": b"- 1",
    "two documents": b"version: 1\n---\nversion: 1\n",
    "merge keys": b"a: &a {x: 1}\nb: {<<: *a}",
    "a list as key": b"? [a, b]\n: 1",
    "a map as key": b"{{a: 1}: 2}",
    "an alias as key": b"a: &a x\n*a : 1",
    "unfinished": b"site: {name: 'x",
    "colon": b"site: name: x",
    "Norway": b"site: {name: x, units: [no]}",
    "sexagesimal": b"site: {name: 22:22}",
    "octal": b"version: 01",
    "date as name": b"site: {name: x, timezone: 2026-01-01}",
    "executable": b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 50,
}


def refused(text: str | bytes) -> str:
    with pytest.raises(ValuesError) as caught:
        parse_values(text, "values.yaml")
    return str(caught.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_gets_a_short_sentence_within_a_second(name: str) -> None:
    start = time.process_time()
    sentence = refused(HOSTILE[name])
    assert time.process_time() - start < 1
    assert sentence.startswith("values.yaml: ")
    assert len(sentence) < 20_000
    assert all(len(line) < 500 for line in sentence.splitlines())
    assert "Traceback" not in sentence


@pytest.mark.parametrize(
    ("name", "words"),
    {
        "alias bomb": "more than 20000 entries",
        "alias of itself": "complete before it",
        "ten MiB": "at most 1024 KiB, and is larger",
        "a directive": "line 1: must not have a line that begins with %",
        "aliases that nest": "must not be nested more than 24 levels deep, with aliases expanded",
        "nested blocks": "nested more than 24 levels",
        "tabs": "line 2: must not be indented with a tab",
        "duplicate keys": "version (line 1): is written twice (lines 1 and 2)",
        "python object": "must not have a tag",
        "not a number": "cores (line 1): must be a finite number (found nan)",
        "400 digits": "at most 18 digits, not of 400 characters",
        "not UTF-8": "must be UTF-8 text (found byte 0xff)",
        "null character": "control characters (found U+0000)",
        "empty": "must be a map of keys and values (found nothing)",
        "two documents": "line 2: must be one document",
        "merge keys": "merge keys (<<) are not read",
        "Norway": "write true or false, or use quotes",
        "sexagesimal": "use quotes, or plain decimal digits",
    }.items(),
)
def test_the_sentence_says_what_is_wrong(name: str, words: str) -> None:
    assert words in refused(HOSTILE[name])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_text_gives_values_or_a_values_error(text: str | bytes) -> None:
    with contextlib.suppress(ValuesError):
        assert isinstance(parse_values(text, "x"), Values)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="abk:-?[]{}&*!|>'\"#,%@ \t\n01.~<=", max_size=60))
def test_any_text_of_yaml_signs_gives_values_or_a_values_error(text: str) -> None:
    with pytest.raises(ValuesError):
        parse_values(text, "x")


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    example = Path(__file__).parents[3] / "config" / "local.yaml"
    text = example.read_text("utf-8").replace("\n", "\r\n")
    assert parse_values(b"\xef\xbb\xbf" + text.encode(), "x") == load_values(example)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    cases = {
        tmp_path: "it is a folder",
        tmp_path / "absent": "no such file",
        pipe: "it is not a regular file",
        Path("/dev/zero"): "it is not a regular file",
        loop: "too many levels",
        tmp_path / ("x" * 5000): "file name too long",
        Path("a\0b"): "is not the name of a file",
    }
    for path, words in cases.items():
        with pytest.raises(ValuesError, match=words):
            load_values(path)


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("version: 1")
    path.chmod(0)
    words = "version|is missing" if os.geteuid() == 0 else "permission denied"
    with pytest.raises(ValuesError, match=words):
        load_values(path)
