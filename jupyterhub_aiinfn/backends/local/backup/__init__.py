"""Copies of an installation that can be trusted: parts with checksums, made while it runs, checked before use."""
