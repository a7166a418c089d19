"""Backups of an installation: its database, its files and its secret key, and how to restore them.

A backup folder holds any number of backups. Contents are stored under their SHA-256, so that a
backup adds only what has changed.
"""
