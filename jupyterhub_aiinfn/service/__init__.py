"""The platform service: one process beside the hub, one folder a feature."""
