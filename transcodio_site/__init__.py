"""The Django project: settings, URLs, embedded servers, documentation and commands."""

# The only place of the version: pyproject.toml, the API, /health and the command line read it.
__version__ = "0.1.0"
__all__ = ["__version__"]
