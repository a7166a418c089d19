"""Measures lists, search and pages of a large library."""
