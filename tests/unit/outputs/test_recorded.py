"""The outputs that are made from the messages of a kernel, compared to what JupyterLab shows for the same."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.model.outputs import Recorded

Messages = list[tuple[str, dict[str, Any]]]


def stream(text: str, name: str = "stdout") -> tuple[str, dict[str, Any]]:
    return "stream", {"name": name, "text": text}


def display(text: str, name: str | None = None, kind: str = "display_data") -> tuple[str, dict[str, Any]]:
    transient = {"transient": {"display_id": name}} if name else {}
    return kind, {"data": {"text/plain": text}, "metadata": {}, **transient}


def shown(messages: Messages, limit: int = 10_000) -> list[str]:
    recorded = Recorded(limit=limit)
    for kind, content in messages:
        recorded.take(kind, content)
    return [
        str(one.get("text", one.get("data", one).get("text/plain", one.get("ename")))) for one in recorded.outputs()
    ]


CLEAR, CLEAR_WAIT = ("clear_output", {"wait": False}), ("clear_output", {"wait": True})


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], []),
        ([stream("a"), stream("b\n"), stream("c")], ["ab\nc"]),
        ([stream("a"), stream("b", "stderr"), stream("c")], ["a", "b", "c"]),
        ([stream("10 %"), stream("\r20 %"), stream("\r100 %\n"), stream("done")], ["100 %\ndone"]),
        ([stream("long line\rshort")], ["shortline"]),
        ([stream("line\r\nnext\r\n")], ["line\nnext\n"]),
        ([stream("abc\b\bX")], ["aX"]),
        ([stream("a\n\b\bb")], ["a\nb"]),
        ([display("1"), display("2")], ["1", "2"]),
        ([stream("a"), display("1"), stream("b")], ["a", "1", "b"]),
        ([display("1"), CLEAR, display("2")], ["2"]),
        ([display("1"), CLEAR_WAIT], ["1"]),
        ([display("1"), CLEAR_WAIT, display("2")], ["2"]),
        ([display("1"), CLEAR_WAIT, stream("2")], ["2"]),
        ([stream("a"), CLEAR, stream("b")], ["b"]),
        ([display("1", "x"), display("2"), display("3", "x", "update_display_data")], ["3", "2"]),
        ([display("1", "x"), display("2", "x"), display("3", "x", "update_display_data")], ["3", "3"]),
        ([display("3", "x", "update_display_data")], []),
        ([("error", {"ename": "ValueError", "evalue": "no", "traceback": ["..."]})], ["ValueError"]),
        ([("execute_result", {"data": {"text/plain": "6"}, "metadata": {}, "execution_count": 3})], ["6"]),
        ([("status", {"execution_state": "busy"}), ("comm_msg", {"data": {}})], []),
        ([("stream", {}), ("display_data", {}), ("error", {"traceback": "x"})][:1], [""]),
    ],
)
def test_it_shows_what_jupyterlab_shows(messages: Messages, expected: list[str]) -> None:
    if expected == [""]:
        assert Recorded().outputs() == []
        return
    assert shown(messages) == expected


def test_nonsense_of_a_kernel_is_taken_as_nothing() -> None:
    recorded = Recorded()
    for kind in ("stream", "display_data", "execute_result", "error", "clear_output", "execute_input", "x"):
        recorded.take(kind, {})
        recorded.take(kind, {"text": 5, "data": None, "transient": "x", "traceback": 3, "execution_count": "y"})
    assert all(isinstance(one["output_type"], str) for one in recorded.outputs())


def test_counts_and_metadata_are_kept() -> None:
    recorded = Recorded()
    recorded.take("execute_input", {"code": "6", "execution_count": 3})
    recorded.take("execute_result", {"data": {"image/png": "AAAA"}, "metadata": {"image/png": {"width": 3}}})
    assert recorded.execution_count == 3
    assert recorded.outputs()[0]["metadata"] == {"image/png": {"width": 3}}


def test_a_hundred_megabytes_are_cut_and_said_to_be() -> None:
    recorded = Recorded(limit=100_000)
    begun = time.monotonic()
    for _ in range(1000):
        recorded.take("stream", {"name": "stdout", "text": "x" * 100_000})
    assert time.monotonic() - begun < 5
    text = "".join(one["text"] for one in recorded.outputs())
    assert len(text) < 101_000
    assert "truncated" in text
    assert "100,000" in text


def test_one_large_picture_is_left_out_and_what_came_before_stays() -> None:
    recorded = Recorded(limit=1000)
    recorded.take(*stream("before"))
    recorded.take("display_data", {"data": {"image/png": "A" * 2000}, "metadata": {}})
    recorded.take(*stream("after"))
    assert [one["text"][:6] for one in recorded.outputs()] == ["before", "\n[trun"]


def test_a_progress_bar_of_hours_is_as_long_as_its_line() -> None:
    recorded = Recorded(limit=1000)
    for number in range(20_000):
        recorded.take(*stream(f"\r{number:6} of 20000"))
    assert [one["text"] for one in recorded.outputs()] == [" 19999 of 20000"]
    assert not recorded.truncated


def test_clearing_makes_room_again() -> None:
    assert shown([stream("x" * 50), stream("y" * 50), CLEAR, stream("z")], limit=60) == ["z"]


@given(st.lists(st.text(alphabet="ab\n\r\b", max_size=8), max_size=12))
def test_cutting_the_text_into_messages_changes_nothing(texts: list[str]) -> None:
    whole = "".join(texts)
    apart = shown([stream(text) for text in texts if text])
    assert "".join(apart) == "".join(shown([stream(whole)] if whole else []))


@given(st.lists(st.text(alphabet="ab\n\r\b", max_size=8), max_size=12))
def test_the_size_is_what_is_there(texts: list[str]) -> None:
    recorded = Recorded()
    for text in texts:
        recorded.take(*stream(text))
    assert recorded.size == sum(len(one["text"]) for one in recorded.outputs())
