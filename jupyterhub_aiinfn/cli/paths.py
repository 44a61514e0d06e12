"""Files and folders on the command line."""

from __future__ import annotations

from pathlib import Path

import click

PATH = click.Path(path_type=Path, readable=False)
"""A path. Click would say that it cannot be read (exit code 2); whoever opens it says also what to do (exit code 1)."""
