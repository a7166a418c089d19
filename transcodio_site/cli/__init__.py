"""`transcodio`: the service from the command line. Needs httpx and rich, and nothing else."""
