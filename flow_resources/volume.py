"""Volume: persistent storage that clusters mount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pulumi

from flow_resources import program
from flow_resources.arguments import carried_properties
from flow_resources.core.volume_fields import FIELDS
from flow_resources.providers.volume import VolumeProvider

Interface = Literal["file", "block"]


TYPE = "pulumi-python:dynamic/flow:Volume"
"""The type of the class and of every subclass: it is part of the URN."""


class Volume(pulumi.dynamic.Resource, module="flow", name="Volume"):
    """Persistent storage on Mithril, which outlives the machines that mount it.

    The service cannot resize, move or convert a volume: a change of `size_gb`, `interface` or `region` makes a new,
    empty one, and is refused at preview unless `allow_replace=True`; so is a replacement that Pulumi is asked for
    (`pulumi up --replace`, `pulumi state taint`). `protect=True` in the options keeps a volume
    that matters from `pulumi destroy`.
    """

    volume_name: pulumi.Output[str]
    """The name in the service."""
    project: pulumi.Output[str]
    """The id of the project that it lives in."""
    size_gb: pulumi.Output[int]
    """Size in GB."""
    interface: pulumi.Output[Interface]
    """"file" (many machines) or "block" (one machine)."""
    region: pulumi.Output[str]
    """The region; only clusters there can mount it."""
    attached_to: pulumi.Output[Sequence[str]]
    """The ids of the live bids that hold it."""
    created_at: pulumi.Output[str]
    """When the service made it (ISO 8601)."""

    @property
    def volume_id(self) -> pulumi.Output[str]:
        """The service's id, `vol_...`. Known in a preview, too, where the volume stays."""
        return program.id_as_output(self, "volume_id")

    def __init__(
        self,
        name: str,
        *,
        size_gb: pulumi.Input[int],
        interface: pulumi.Input[Interface] = "file",
        region: pulumi.Input[str] | None = None,
        volume_name: pulumi.Input[str] | None = None,
        adopt_volume_id: pulumi.Input[str] | None = None,
        allow_replace: pulumi.Input[bool] = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a volume.

        Args:
            name: The resource's name in the program.
            size_gb: Size in GB, 1 to 16,384 (the Flow SDK's bound).
            interface: "file" (default) attaches to many machines, "block" to one.
            region: Where it lives. Default: `flow:region`, else the Flow SDK's own default region setting.
            volume_name: The name in the service, 3 to 64 of a-z, 0-9 and -. Default: made from `name`, unique.
                A change renames in place.
            adopt_volume_id: Take over this existing volume at the first `up` instead of making one.
            allow_replace: Allow replacements, which lose the data: by a change, and those that Pulumi is asked for
                (`--replace`, a taint, a trigger, `replace_with`).
            opts: Pulumi's resource options. A replacement makes the new volume before it deletes the old one, except
                where `volume_name` is fixed. To copy data, declare a second volume and delete the first one later.

        """
        options = program.guarded_options("Volume", name, opts or pulumi.ResourceOptions())
        if options.replace_with and (allow_replace is False or allow_replace is None):
            # The engine deletes it with what it is replaced with, and asks nobody before.
            raise pulumi.RunError(
                f"Volume {name!r}: replace_with needs allow_replace=True: the data is lost each time that "
                f"{', '.join(one.pulumi_resource_name for one in options.replace_with)} is replaced"
            )
        arguments = {
            "size_gb": size_gb,
            "interface": interface,
            "region": region,
            "volume_name": volume_name,
            "adopt_volume_id": adopt_volume_id,
            "allow_replace": allow_replace,
        }
        props = carried_properties(f"Volume {name!r}", FIELDS, arguments)
        if volume_name is not None:
            options = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(delete_before_replace=True), options)
        program.declare(self, TYPE, VolumeProvider, name, props, OUTPUTS, options)

    @staticmethod
    def get(name: str, id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> Volume:  # noqa: A002 - Pulumi's word
        """Read a volume that Pulumi does not own; `id` is the service's, `vol_...`."""
        volume = Volume.__new__(Volume)
        options = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=id))
        program.declare(volume, TYPE, VolumeProvider, name, {}, OUTPUTS, options)
        return volume


COMPUTED = ("volume_id", "project", "attached_to", "created_at")
"""The outputs that are no inputs."""
OUTPUTS = (*COMPUTED, "volume_name", "size_gb", "interface", "region")
