"""The administrator's file: frozen models, one module a section; reading, checking, schema."""

from .document import Values
from .load import load_values, parse_values, values_hash

__all__ = ["Values", "load_values", "parse_values", "values_hash"]
