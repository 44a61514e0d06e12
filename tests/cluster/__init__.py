"""The tests' cluster, and what is tested on it."""
