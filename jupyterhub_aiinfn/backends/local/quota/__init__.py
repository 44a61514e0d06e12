"""How full a home, project or public folder may become: a small contract, and what each file system can do of it."""
