"""How full homes, project folders and the public folder are, and the rights in shared ones."""
