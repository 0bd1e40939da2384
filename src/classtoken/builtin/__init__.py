"""The small models that ship with the package, and how each was trained."""
