"""Breaks a running service on purpose and checks that nothing is lost: `make chaos`.

Each round uploads several recordings at once, follows them over SSE and a WebSocket, and injects
one fault at a random moment. At the end every recording must be complete, with exactly the segments
of an undisturbed run, charged once, and without orphaned files.
"""
