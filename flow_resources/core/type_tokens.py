"""The type tokens of resources: each kind has one in the dynamic host and one in the plugin. States hold both."""

from __future__ import annotations

_OF_DYNAMIC_HOST, _OF_PLUGIN = "pulumi-python:dynamic/flow:", "flow:index:"


def dynamic_type(kind: str) -> str:
    """Return the type of a kind in the dynamic host."""
    return f"{_OF_DYNAMIC_HOST}{kind}"


def plugin_type(kind: str) -> str:
    """Return the type of a kind, or of a component, in the plugin."""
    return f"{_OF_PLUGIN}{kind}"


def kind_of(type_: str) -> str:
    """Return the kind that a type is of, such as `GpuCluster`, in either host; empty for a type of another package."""
    found = next((prefix for prefix in (_OF_DYNAMIC_HOST, _OF_PLUGIN) if type_.startswith(prefix)), type_)
    return type_[len(found) :]
