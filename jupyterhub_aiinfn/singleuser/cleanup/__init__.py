"""The clean-up page of the person's home, and the rescue session that a full home gets."""
