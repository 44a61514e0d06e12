"""``python -m jupyterhub_aiinfn.cli`` is the ``aiinfn`` command."""

from __future__ import annotations

from .main import main

main()
