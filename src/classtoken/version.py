"""The version of the package, for what is written and compared."""

__version__ = "0.1.0"
#: Raised by whoever makes the same model give other vectors for the same input, beyond the last digits. Folders of
#: vectors made under another number are never added to; those of another version of the package are.
NUMBERS = 1
