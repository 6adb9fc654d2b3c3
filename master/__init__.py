"""Master: the central coordinator of a farm of browser workers."""

__version__ = "1.0.0"
