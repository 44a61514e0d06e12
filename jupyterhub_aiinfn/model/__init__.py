"""Decisions without I/O: who may start what, what is free, how long things were used."""
