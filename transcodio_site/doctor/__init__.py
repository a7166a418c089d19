"""Everything that is wrong with an installation, and how to fix it: `manage.py doctor`."""
