"""Outputs into notebooks: a table of what may have happened to the notebook meanwhile."""

from __future__ import annotations

import copy
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.model.merging import Run, merge, mergeable, outputs_only

Cell = dict[str, Any]


def out(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def picture(data: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"image/png": data}, "metadata": {}}


def code(name: str, source: str, *outputs: dict[str, Any], count: int | None = None) -> Cell:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "source": source,
        "outputs": list(outputs),
        "execution_count": count,
    }


def note(*cells: Cell) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


RUN = Run(cell_id="a", source="work()", outputs=(out("1\n2\n"),), execution_count=7)
TWO = Run(cell_id="a", source="work()", outputs=(out("1\n"), picture("AAAA")), execution_count=7)

FITS = {
    "as it was": (note(code("a", "work()")), RUN),
    "moved": (note(code("new", "x"), code("b", "y"), code("a", "work()")), RUN),
    "source as a list of lines": (note({**code("a", ""), "source": ["wor", "k()"]}), RUN),
    "saved in the middle of the run": (note(code("a", "work()", out("1\n"))), RUN),
    "saved in the middle, two outputs": (note(code("a", "work()", out("1\n"))), TWO),
    "saved in the middle, text as lines": (note(code("a", "work()", {**out(""), "text": ["1", "\n"]})), RUN),
    "old outputs, not saved since": (
        note(code("a", "work()", out("of yesterday"))),
        Run(**{**vars(RUN), "saved_since": False}),
    ),
    "saved in the middle, rewritten since": (
        note(code("a", "work()", out("10 %"))),
        Run(**{**vars(RUN), "rewritten": True}),
    ),
}
DOES_NOT_FIT = {
    "edited": (note(code("a", "work(2)")), "other code"),
    "deleted": (note(code("b", "work()")), "not in the notebook"),
    "empty": (note(), "not in the notebook"),
    "twice the same id": (note(code("a", "work()"), code("a", "work()")), "2 cells with the same id"),
    "text now": (note({"cell_type": "markdown", "id": "a", "metadata": {}, "source": "work()"}), "no code cell"),
    "run again elsewhere": (note(code("a", "work()", out("3\n"), count=8)), "may be newer"),
    "more outputs than ours": (note(code("a", "work()", out("1\n2\n"), picture("A"))), "may be newer"),
    "another stream": (note(code("a", "work()", out("1\n", "stderr"))), "may be newer"),
    "outputs of no kind": (note({**code("a", "work()"), "outputs": "x"}), "no code cell"),
    "odd outputs": (note({**code("a", "work()"), "outputs": [5]}), "may be newer"),
    "not an object": ([], "not a notebook"),
    "nothing": (None, "not a notebook"),
    "no cells": ({"nbformat": 4}, "not a notebook"),
    "cells of no kind": ({"nbformat": 4, "cells": [5]}, "format"),
    "of version 3": ({"nbformat": 3, "cells": []}, "format"),
}


@pytest.mark.parametrize("case", FITS)
def test_outputs_go_into_their_cell_and_nothing_else_changes(case: str) -> None:
    document, run = FITS[case]
    before = copy.deepcopy(document)
    done = merge(document, [run])
    assert document == before, "what was given is not changed"
    assert (done.merged, done.refused, done.changed) == ((run,), (), True)
    (cell,) = [cell for cell in done.document["cells"] if cell["id"] == "a"]
    assert (cell["outputs"], cell["execution_count"]) == (list(run.outputs), 7)
    others = [cell for cell in done.document["cells"] if cell["id"] != "a"]
    assert others == [cell for cell in before["cells"] if cell["id"] != "a"]
    nbformat.validate(nbformat.from_dict(done.document))


@pytest.mark.parametrize("case", DOES_NOT_FIT)
def test_nothing_newer_is_overwritten(case: str) -> None:
    document, why = DOES_NOT_FIT[case]
    done = merge(document, [RUN])
    assert not done.changed
    assert not done.merged
    ((run, said),) = done.refused
    assert run is RUN
    assert why in said
    assert mergeable(document, RUN) == said


def test_what_is_there_already_is_no_change() -> None:
    document = note(code("a", "work()", out("1\n2\n"), count=7))
    done = merge(document, [RUN])
    assert (done.changed, done.merged) == (False, (RUN,))
    assert done.document is document


def test_of_two_runs_of_a_cell_the_last_counts() -> None:
    later = Run(cell_id="a", source="work()", outputs=(out("later"),), execution_count=9)
    done = merge(note(code("a", "work()")), [RUN, later])
    assert done.document["cells"][0]["outputs"] == [out("later")]
    assert done.merged == (later,)


def test_a_cell_that_was_edited_between_two_runs_keeps_what_belongs_to_its_code() -> None:
    later = Run(cell_id="a", source="other()", outputs=(out("later"),), execution_count=9)
    done = merge(note(code("a", "other()")), [RUN, later])
    assert done.document["cells"][0]["outputs"] == [out("later")]
    assert [run for run, _ in done.refused] == [RUN]


def test_what_does_not_fit_is_a_notebook_of_its_own() -> None:
    document = outputs_only([(RUN, "Why not."), (TWO, "Also not.")], of="work.ipynb")
    assert document["metadata"]["kernelspec"]["name"] == "python3"
    nbformat.validate(nbformat.from_dict(document))
    assert "work.ipynb" in document["cells"][0]["source"]
    assert [cell["outputs"] for cell in document["cells"] if cell["cell_type"] == "code"] == [
        list(RUN.outputs),
        list(TWO.outputs),
    ]


json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3))


@given(json | st.dictionaries(st.sampled_from(["cells", "nbformat", "metadata"]), json | st.just(4)))
def test_no_document_makes_it_fail(document: object) -> None:
    assert merge(document, [RUN]).merged == ()


@given(st.lists(st.fixed_dictionaries({"id": st.sampled_from("ab") | json, "cell_type": st.just("code")}), max_size=4))
def test_no_cell_makes_it_fail(cells: list[object]) -> None:
    assert merge({"cells": cells, "nbformat": 4}, [RUN]).merged == ()
