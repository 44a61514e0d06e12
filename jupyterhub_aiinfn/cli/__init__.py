"""The ``aiinfn`` command."""
