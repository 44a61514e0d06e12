"""The platform service as a real process behind a real proxy and a real hub."""
