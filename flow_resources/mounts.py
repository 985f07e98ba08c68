"""A volume and where a cluster mounts it: what a program says, as the property that check reads."""

from __future__ import annotations

import inspect
from pathlib import PurePath
from typing import Any, TypedDict

import pulumi

from flow_resources.arguments import is_list
from flow_resources.references import VolumeReference
from flow_resources.volume import Volume


class VolumeMountDict(TypedDict):
    """A volume and where it is mounted, as a plain mapping."""

    volume_id: pulumi.Input[str]
    mount_path: pulumi.Input[str | PurePath]


class VolumeMount:
    """A volume and where it is mounted on every machine of a cluster."""

    def __init__(
        self, volume: Volume | VolumeReference | pulumi.Input[str], mount_path: pulumi.Input[str | PurePath]
    ) -> None:
        """Mount a volume.

        Args:
            volume: A `Volume`, a `VolumeReference`, or the id of one (`vol_...`).
            mount_path: Where: under /volumes, /mnt, /data, /dataN, /opt or /var, which is where the service mounts.

        """
        self.volume, self.mount_path = volume, mount_path

    def _to_props(self) -> dict[str, Any]:
        props: dict[str, Any] = {"mount_path": self.mount_path}
        # Never ask an Output for an attribute: it answers to every name.
        if isinstance(self.volume, pulumi.Output) or not isinstance(self.volume, (Volume, VolumeReference)):
            return {"volume_id": self.volume, **props}
        # Of a volume that does not exist yet, preview knows these already.
        hints: dict[str, Any] = {"__region": self.volume.region, "__interface": self.volume.interface}
        if isinstance(self.volume, Volume):
            hints["__volume"] = self.volume.urn
        return {"volume_id": self.volume.volume_id, **props, **hints}


def mount_props(volumes: Any) -> Any:
    """Turn mounts into properties. Anything else is passed on to check, which reports it with its path."""
    if isinstance(volumes, pulumi.Output) or inspect.isawaitable(volumes):
        return pulumi.Output.from_input(volumes).apply(mount_props)
    if is_list(volumes):
        return [mount_props(mount) for mount in volumes]
    if isinstance(volumes, VolumeMount):
        return volumes._to_props()  # noqa: SLF001 - of this module
    if isinstance(volumes, Volume):  # a volume without a path: check says what is missing
        return {"volume_id": volumes.volume_id}
    return volumes
