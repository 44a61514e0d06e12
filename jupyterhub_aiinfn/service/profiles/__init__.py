"""Which profiles a person may start now."""
