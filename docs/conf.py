"""Sphinx configuration: MyST pages of four kinds, and nothing from the network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import jupyterhub_aiinfn  # noqa: E402  (found through the line above)

project = "jupyterhub-aiinfn"
author = "The jupyterhub-aiinfn developers"
copyright = "2026, the jupyterhub-aiinfn developers"
release = version = jupyterhub_aiinfn.__version__

extensions = ["myst_parser", "generated_reference"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "reference/generated"]
nitpicky = True
suppress_warnings: list[str] = []

html_theme = "furo"
html_title = f"jupyterhub-aiinfn {release}"
html_static_path = ["_static"]
html_css_files = ["figures.css"]
html_copy_source = False
html_show_sphinx = False
