"""The verbs: check, diff, create, read, update, delete, one file a resource. The order of effects is decided here.

The provider classes' import paths are pickled into users' states: they never move.
"""
