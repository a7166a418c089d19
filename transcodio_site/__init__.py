"""The Django project: settings, URLs, embedded servers, documentation and commands."""

# The version is defined only here: pyproject.toml, the API, /health and the CLI read it.
__version__ = "0.1.0"
__all__ = ["__version__"]
