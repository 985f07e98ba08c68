"""The provider classes of the dynamic host, one file per resource, and the translation that they share (`base`).

The import paths of the classes are pickled into users' states: they never change.
"""
