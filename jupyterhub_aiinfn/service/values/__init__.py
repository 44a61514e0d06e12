"""Which values the service holds, and the two phases of a change: ``aiinfn values apply``."""
