"""A person with a browser: the real platform, the real pages, Debian's Chromium."""
