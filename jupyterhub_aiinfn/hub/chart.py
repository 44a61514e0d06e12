"""The values as the JupyterHub chart hands them to its hub, under ``custom.aiinfn``."""

from __future__ import annotations

from importlib import import_module

import yaml

from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.values import Values, parse_values
from jupyterhub_aiinfn.values.writing import yaml_text

KEY = "custom.aiinfn"
MODULE = "z2jh"
"""The chart's own module, beside its configuration of the hub."""


def chart_values() -> Values:
    """The checked values of the chart.

    :class:`StateError` where there is no chart or it holds none; :class:`~jupyterhub_aiinfn.errors.ValuesError` for
    wrong ones.
    """
    try:
        found = import_module(MODULE).get_config(KEY)
    except ModuleNotFoundError as error:
        if error.name != MODULE:
            raise
        raise StateError(
            "configure(c) was given no values, and this hub is not one of the JupyterHub chart; "
            "give it values, or install it with what `aiinfn kubernetes chart-values` prints"
        ) from None
    if found is None:
        raise StateError(
            f"the chart's values hold no {KEY}; install it with what `aiinfn kubernetes chart-values` prints"
        )
    if not isinstance(found, dict):
        raise StateError(f"{KEY} of the chart's values must be a map of keys and values")
    try:
        # Read as a file is read: dates, which the chart's reader made, are text again.
        text = yaml_text(found)
    except (yaml.YAMLError, RecursionError):
        raise StateError(f"{KEY} of the chart's values holds something that is no plain data") from None
    return parse_values(text, KEY)
