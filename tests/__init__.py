"""Tests, one folder for what they test; nothing in here is shipped."""
