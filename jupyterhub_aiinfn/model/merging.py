"""Whether and how the outputs of a run go into a notebook: by cell id, never over anything newer. No I/O."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
"""A notebook as nbformat 4 has it, with joined texts (as Jupyter's contents manager gives it)."""
Output = Mapping[str, Any]

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
"""The kernel of every image: JupyterLab would ask for one before it shows a notebook that names none."""


@dataclass(frozen=True)
class Run:
    """What one run of a cell left, complete or so far."""

    cell_id: str
    source: str
    """The code that ran."""
    outputs: tuple[Output, ...]
    execution_count: int | None = None
    rewritten: bool = False
    """Outputs were taken back or changed meanwhile: what an earlier save holds need not be their beginning."""
    saved_since: bool = True
    """Whether the file was saved after the run began: then what it holds may be of this run, or newer."""


@dataclass(frozen=True)
class Merged:
    """The notebook with what fitted, and what did not."""

    document: Document
    """The notebook that was given where nothing changes."""
    merged: tuple[Run, ...] = ()
    """Runs whose outputs are in ``document`` now, those among them that had been there already."""
    refused: tuple[tuple[Run, str], ...] = ()
    """Runs that must be kept elsewhere, each with a sentence."""
    changed: bool = False


def merge(document: object, runs: Sequence[Run]) -> Merged:
    """Put the outputs of ``runs`` (oldest first) into a copy of the notebook, each where nothing newer is lost."""
    problem = _not_a_notebook(document)
    if problem or not isinstance(document, dict):
        return Merged({}, refused=tuple((run, problem) for run in runs))
    result = copy.deepcopy(document)
    merged: list[Run] = []
    refused: list[tuple[Run, str]] = []
    for run in _latest(runs):
        cell, why = _place(result, run)
        if cell is None:
            refused.append((run, why))
        else:
            _put(cell, run)
            merged.append(run)
    changed = result != document
    return Merged(result if changed else document, tuple(merged), tuple(refused), changed)


def mergeable(document: object, run: Run) -> str:
    """Why the run's outputs must not go into the notebook: a sentence, empty when they may."""
    return _not_a_notebook(document) or _place(document if isinstance(document, dict) else {}, run)[1]


def outputs_only(runs: Sequence[tuple[Run, str]], of: str) -> Document:
    """A notebook of its own with the runs that did not fit, each below the sentence that says why."""
    cells: list[dict[str, Any]] = [
        _markdown("kept", f"Outputs of `{of}` that came while no tab was open, and that the notebook cannot take.")
    ]
    for number, (run, why) in enumerate(runs):
        cells.append(_markdown(f"why-{number}", why))
        cells.append(
            {
                "cell_type": "code",
                "id": f"run-{number}",
                "metadata": {},
                "source": run.source,
                "outputs": [dict(output) for output in run.outputs],
                "execution_count": run.execution_count,
            }
        )
    return {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}


def _markdown(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def _not_a_notebook(document: object) -> str:
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        return "the file is not a notebook any more"
    if document.get("nbformat") != 4 or not all(isinstance(cell, dict) for cell in document["cells"]):
        return "the notebook is of a format that is not known here"
    return ""


def _latest(runs: Sequence[Run]) -> list[Run]:
    """Only the last run of each cell with each source: JupyterLab shows no earlier one either."""
    last: dict[tuple[str, str], Run] = {}
    for run in runs:
        last.pop((run.cell_id, run.source), None)
        last[run.cell_id, run.source] = run
    return list(last.values())


def _place(document: Document, run: Run) -> tuple[dict[str, Any] | None, str]:
    """The cell for the run's outputs, or None and why there is none."""
    found = [cell for cell in document["cells"] if cell.get("id") == run.cell_id]
    if not found:
        return None, "The cell is not in the notebook any more, or was never saved."
    if len(found) > 1:
        return None, f"The notebook has {len(found)} cells with the same id."
    (cell,) = found
    if cell.get("cell_type") != "code" or not isinstance(cell.get("outputs"), list):
        return None, "The cell is no code cell any more."
    if text(cell.get("source")) != run.source:
        return None, "The cell in the notebook holds other code than what ran."
    if run.saved_since and not could_be_earlier(cell["outputs"], run):
        return None, "The cell in the notebook has other outputs, which may be newer."
    return cell, ""


def could_be_earlier(outputs: Sequence[object], run: Run) -> bool:
    """Whether these outputs may be what the run had put out when the notebook was saved (or are all of it)."""
    if run.rewritten or not outputs:
        return True
    if len(outputs) > len(run.outputs):
        return False
    *before, last = [_comparable(output) for output in outputs]
    ours = [_comparable(output) for output in run.outputs[: len(outputs)]]
    return before == ours[:-1] and (last == ours[-1] or _begins(ours[-1], last))


def _begins(longer: Mapping[str, Any], shorter: Mapping[str, Any]) -> bool:
    if "text" not in longer or "text" not in shorter or longer.get("name") != shorter.get("name"):
        return False
    return str(longer["text"]).startswith(str(shorter["text"]))


def _comparable(output: object) -> dict[str, Any]:
    """An output in the one form in which equal outputs are equal: joined texts, sorted JSON."""
    if not isinstance(output, Mapping):
        return {"odd": repr(output)}
    plain: dict[str, Any] = json.loads(json.dumps(output, sort_keys=True, default=str))
    plain.pop("transient", None)
    if "text" in plain:
        plain["text"] = text(plain["text"])
    if isinstance(plain.get("data"), dict):
        plain["data"] = {kind: text(value) if _is_text(kind) else value for kind, value in plain["data"].items()}
    return plain


def _is_text(kind: str) -> bool:
    return not (kind == "application/json" or kind.endswith("+json"))


def text(value: object) -> str:
    """A text that may be written as a list of lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _put(cell: dict[str, Any], run: Run) -> None:
    same = [_comparable(output) for output in cell["outputs"]] == [_comparable(output) for output in run.outputs]
    if not same:
        cell["outputs"] = [dict(output) for output in run.outputs]
    if cell.get("execution_count") is None or not same:
        cell["execution_count"] = run.execution_count
