"""`transcodio`: the command line. Needs only httpx and rich."""
