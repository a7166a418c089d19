"""Engines at Modal: what runs here to call the app, and what its containers have in common."""
