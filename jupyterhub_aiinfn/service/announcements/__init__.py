"""What administrators say to everybody or to the users of one profile."""
