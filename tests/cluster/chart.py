"""The part of the JupyterHub chart that its hub sees: values, its Secret, and the module that reads both."""

from __future__ import annotations

import secrets
from pathlib import Path

from jupyterhub_aiinfn.backends.kubernetes.chart import chart_values
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.writing import yaml_text

TOKEN = "hub.services.aiinfn.apiToken"
Z2JH = """\
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent


def get_config(key, default=None):
    value = yaml.safe_load((FOLDER / "values.yaml").read_text())
    for level in key.split("."):
        if not isinstance(value, dict) or level not in value:
            return default
        value = value[level]
    return value


def get_secret_value(key):
    path = FOLDER / key
    if path.exists():
        return path.read_text()
    raise Exception(f"{path} not found!")
"""
"""What the module of the chart's hub does with a key: dictionaries are walked, anything else is the default."""


def write_chart(folder: Path, text: str | None, token: str | None) -> Path:
    """The chart's module beside these values and this token; None leaves one of them out."""
    folder.mkdir(exist_ok=True)
    (folder / "z2jh.py").write_text(Z2JH)
    if text is not None:
        (folder / "values.yaml").write_text(text)
    if token is not None:
        (folder / TOKEN).write_text(token)
        (folder / TOKEN).chmod(0o600)
    return folder


def installed_chart(folder: Path, values: Values) -> Path:
    """As it is after ``helm install`` with what `aiinfn kubernetes chart-values` prints."""
    return write_chart(folder, yaml_text(chart_values(values)), secrets.token_hex(32))
