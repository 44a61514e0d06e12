"""The rules for Prometheus are about figures that exist, and say what to do."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
GROUPS = yaml.safe_load((ROOT / "config" / "alerts.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
CODE = "".join(file.read_text() for file in (ROOT / "jupyterhub_aiinfn").rglob("*.py"))


def test_every_rule_is_about_a_figure_that_exists() -> None:
    for rule in RULES:
        figures = re.findall(r"aiinfn_\w+", rule["expr"])
        assert figures, rule
        for figure in figures:
            assert f'"{figure}"' in CODE or f'Figure("{figure.removeprefix("aiinfn_backend_")}"' in CODE, figure


def test_every_rule_says_what_it_means_and_waits_for_a_while() -> None:
    for rule in RULES:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")
