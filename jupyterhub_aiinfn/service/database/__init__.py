"""The service's own database: tables, transactions in threads, migrations."""

from .engine import Database

__all__ = ["Database"]
