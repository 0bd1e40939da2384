"""The version of the package, for what is written and compared."""

__version__ = "0.1.0"
