"""The values as the JupyterHub chart hands them to its hub, under ``custom.aiinfn``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import yaml

from jupyterhub_aiinfn.backends.kubernetes.deployment import Deployment
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.values import Values, parse_values
from jupyterhub_aiinfn.values.writing import yaml_text

KEY = "custom.aiinfn"
TOKEN = "hub.services.aiinfn.apiToken"  # noqa: S105  # where it is kept, not what it is
MODULE = "z2jh"
"""The chart's own module, beside its configuration of the hub."""


def chart_values() -> Values:
    """The checked values of the chart.

    :class:`StateError` where there is no chart or it holds none; :class:`~jupyterhub_aiinfn.errors.ValuesError` for
    wrong ones.
    """
    found = _chart("configure(c) was given no values").get_config(KEY)
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


def cluster_values() -> Values:
    """The same, of a cluster: there is nothing else on which the chart's hub could start a session."""
    values = chart_values()
    if values.kubernetes is None:
        raise StateError(f"{KEY} of the chart's values is for one machine; add the section kubernetes")
    return values


def chart_deployment(values: Values) -> Deployment:
    """Where the hub of the chart is, with the token of our service that the chart made; :class:`StateError` without."""
    try:
        token = _chart("the values are for a cluster").get_secret_value(TOKEN)
    except StateError:
        raise
    except Exception as error:  # the chart's module raises nothing more special
        raise StateError(
            f"the chart's Secret holds no {TOKEN}; install it with what `aiinfn kubernetes chart-values` prints"
        ) from error
    return Deployment.of(values, str(token))


def _chart(why: str) -> Any:
    """The chart's module."""
    try:
        return import_module(MODULE)
    except ModuleNotFoundError as error:
        if error.name != MODULE:
            raise
        raise StateError(
            f"{why}, and this hub is not one of the JupyterHub chart; "
            "give it values, or install it with what `aiinfn kubernetes chart-values` prints"
        ) from None
