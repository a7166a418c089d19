"""The Django project: settings, routes, the embedded servers and the commands that run it all."""

__version__ = "0.1.0"
__all__ = ["__version__"]
