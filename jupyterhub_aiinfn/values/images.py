"""The ``images`` section: environments with a kernel."""

from __future__ import annotations

from pydantic import Field

from .base import Line, Section, Text


class Image(Section):
    """An environment: a container image on Kubernetes, a cached virtual environment on one machine."""

    name: Line
    """What people read; also the name of the kernel."""
    description: Text = ""
    """What is inside, in a sentence."""
    folder: Line | None = Field(default=None)
    """Folder with Containerfile and frozen requirements.txt: beside the values file, or of the installation."""
    reference: Line | None = None
    """Container image with digest, for Kubernetes."""
