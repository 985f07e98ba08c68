"""Clusters and volumes across projects: what one project's stack exports, another one's program reads, typed.

The infrastructure's program says `export_volume("data", data)`; the training's says
`VolumeReference("acme/infra/prod", "data")` and uses it where it would use the volume. What travels is a small
mapping, one output of the stack, which names its kind and version: every later version of this package reads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pulumi

from flow_resources import program
from flow_resources.core import exports

if TYPE_CHECKING:
    from flow_resources.volume import Interface


class _Reference:
    """One output of another stack, taken apart."""

    _kind: ClassVar[exports.Kind]

    def __init__(self, stack: str | pulumi.StackReference, name: str) -> None:
        """Read what another stack exports.

        Args:
            stack: The other stack, as Pulumi names it: "organization/project/stack", or a `pulumi.StackReference`.
            name: The output's name there, as its program says it.

        Raises:
            pulumi.RunError: When the program runs: there is no such stack, or no such output, or the output is
                something else. It says what is there, and the line to add in the other project.

        """
        reference = stack if isinstance(stack, pulumi.StackReference) else _reference(stack, self._kind, name)
        self._whole = _read(self._kind, reference, name)

    def _part(self, key: str) -> pulumi.Output[Any]:
        return self._whole.apply(lambda whole: whole[key])


class ClusterReference(_Reference):
    """A cluster of another project's stack, which exports it with `export_cluster(name, cluster)`."""

    _kind = exports.CLUSTER

    @property
    def task_id(self) -> pulumi.Output[str]:
        """The Flow task's id, which is the bid's: `bid_...`."""
        return self._part("task_id")

    @property
    def region(self) -> pulumi.Output[str]:
        """Where it runs."""
        return self._part("region")

    @property
    def public_ips(self) -> pulumi.Output[Sequence[str]]:
        """The machines' public addresses, as of the other stack's last `up` or `refresh`."""
        return self._part("public_ips")

    @property
    def volume_ids(self) -> pulumi.Output[Sequence[str]]:
        """The volumes attached to it."""
        return self._part("volume_ids")


class VolumeReference(_Reference):
    """A volume of another project's stack, which exports it with `export_volume(name, volume)`.

    It goes wherever a `Volume` goes: `VolumeMount(VolumeReference("acme/infra/prod", "data"), "/data")`.
    """

    _kind = exports.VOLUME

    @property
    def volume_id(self) -> pulumi.Output[str]:
        """The service's id, `vol_...`."""
        return self._part("volume_id")

    @property
    def region(self) -> pulumi.Output[str]:
        """The region; only clusters there can mount it."""
        return self._part("region")

    @property
    def interface(self) -> pulumi.Output[Interface]:
        """The kind: "file" (many machines) or "block" (one machine)."""
        return self._part("interface")

    @property
    def size_gb(self) -> pulumi.Output[int]:
        """Size in GB."""
        return self._part("size_gb")


def _reference(stack: str, kind: exports.Kind, name: str) -> pulumi.StackReference:
    """Return the program's reference to a stack, the same one for all that is read of it."""

    def made() -> pulumi.StackReference:
        there: Any = pulumi.Output.from_input(asyncio.ensure_future(_known_to_exist(stack, kind, name)))
        # Not the stack's own name: Pulumi refuses a second one, and the program may have a reference of that name.
        return pulumi.StackReference(f"flow/{stack}", stack_name=there)

    return program.once_per_program(f"stack {stack}", made)


async def _known_to_exist(stack: str, kind: exports.Kind, name: str) -> str:
    """Return the stack's name once it can be read. Where a StackReference meets none, the engine ends the program."""
    if not program.is_mocked():
        try:
            await pulumi.runtime.invoke_async("pulumi:pulumi:readStackOutputs", {"name": stack})
        except Exception as error:  # noqa: BLE001 - whatever it is, the person reads it
            raise pulumi.RunError(exports.no_stack(stack, kind, name, str(error))) from None
    return stack


def _read(kind: exports.Kind, stack: pulumi.StackReference, name: str) -> pulumi.Output[dict[str, Any]]:
    """Return the output, whole and checked; secret when the other stack's is, whatever its other outputs are."""
    found: pulumi.Output[Any] = stack.get_output(name)
    there = pulumi.Output.unsecret(stack.outputs.apply(exports.kinds_of))

    def take(parts: Sequence[Any]) -> dict[str, Any]:
        value, others, stack_name = parts
        try:
            return kind.parts(value)
        except exports.ForeignError as error:
            raise pulumi.RunError(error.message(name, stack_name, others)) from None

    return pulumi.Output.all(found, there, stack.name).apply(take)
