"""`transcodio`: the command line. Needs only httpx, rich and websockets."""
