"""Sessions that run or start."""
