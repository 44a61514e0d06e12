"""What a benchmark gives: figures with a name, written as JSON and printed as a table."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured figure; ``ratio`` is value over baseline, or the median of paired ratios where there were pairs."""

    name: str
    value: float
    unit: str = "s"
    baseline: float | None = None
    ratio: float | None = None


def paired(name: str, ours: Sequence[float], theirs: Sequence[float], unit: str = "s") -> Figure:
    """Medians of both, and the median of the ratios pair by pair: robust when the machine's speed drifts."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Figure(
        name,
        rounded(statistics.median(ours)),
        unit,
        rounded(statistics.median(theirs)),
        rounded(statistics.median(ratios)),
    )


def compared(name: str, value: float, baseline: float, unit: str = "s") -> Figure:
    """Two figures of one run and their ratio (absent when the baseline is zero)."""
    return Figure(name, rounded(value), unit, rounded(baseline), rounded(value / baseline) if baseline else None)


def rounded(value: float) -> float:
    """Four significant digits: more would pretend a precision that no run has."""
    return float(f"{value:.4g}")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of ``values`` lie, by nearest rank."""
    ordered = sorted(values)
    rank = math.ceil(round(share * len(ordered), 6))
    return ordered[min(len(ordered), max(1, rank)) - 1]


def write(name: str, figures: Sequence[Figure]) -> Path:
    """Write ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    return file


def table(figures: Sequence[Figure]) -> str:
    """The figures as aligned columns."""
    rows = [("figure", "value", "unit", "baseline", "ratio")]
    rows += [(f.name, _text(f.value), f.unit, _text(f.baseline), _text(f.ratio)) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
