"""Runs a printed program with classes that only record, for the model of the engine."""

from __future__ import annotations

import ast
from typing import Any

from support.stack import Declared


def declarations(program: str) -> dict[str, Declared]:
    """Return what a program declares, by logical name; it may import from this package, declare, and nothing else."""
    tree, declared = ast.parse(program), dict[str, Declared]()
    assigned = [node for node in tree.body if not isinstance(node, ast.ImportFrom)]
    assert [node.module for node in tree.body if isinstance(node, ast.ImportFrom)] == ["flow_resources"]
    for node in assigned:
        assert isinstance(node, ast.Assign), ast.dump(node)
        assert isinstance(node.value, ast.Call), ast.dump(node)
    used = {node.id for node in ast.walk(ast.Module(assigned, [])) if isinstance(node, ast.Name)}
    (imported,) = [{alias.name for alias in node.names} for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert imported == used & {"GpuCluster", "Volume", "VolumeMount"}

    class Volume:
        def __init__(self, name: str, **inputs: Any) -> None:
            self.id = inputs["adopt_volume_id"]
            declare("Volume", name, inputs)

    def declare(kind: str, name: str, inputs: dict[str, Any]) -> None:
        assert name not in declared, f"two resources are named {name!r}"
        declared[name] = Declared(kind, inputs)

    def cluster(name: str, **inputs: Any) -> str:
        declare("GpuCluster", name, inputs)
        return name

    def mount(volume: Any, path: str) -> dict[str, Any]:
        return {"volume_id": volume.id if isinstance(volume, Volume) else volume, "mount_path": path}

    variables: dict[str, Any] = {"__builtins__": {}}
    classes = {"GpuCluster": cluster, "Volume": Volume, "VolumeMount": mount}
    exec(compile(ast.Module(assigned, []), "program", "exec"), variables | classes, assigned_variables := {})
    assert len(assigned_variables) == len(declared), "a variable was assigned twice"
    return declared
