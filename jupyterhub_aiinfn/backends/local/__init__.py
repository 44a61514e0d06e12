"""Workloads as sandboxed processes of this machine."""
