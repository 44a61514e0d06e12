"""Whether the service works, for people and for Prometheus."""
