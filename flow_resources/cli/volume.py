"""Volumes, as the commands list and write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from flow_resources.cli.kind import CommandKind, Draft
from flow_resources.cli.program_text import Item, Text
from flow_resources.core.models import StoredVolume
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.volume import VOLUME


class VolumeKind(CommandKind[StoredVolume]):
    """The kind; `VOLUMES` is its one instance."""

    resource = VOLUME
    plural = "volumes"
    ending, ended = "deleting", "deleted"
    name_output = "volume_name"
    option = "volumes"
    end_advice = "also deletes the volumes, with the data on them"
    number_titles = ("GB",)
    state_title = "ATTACHED TO"
    fallback_name = "volume"

    def numbers(self, thing: StoredVolume) -> list[str]:
        """Return its size."""
        return ["?" if thing.size_gb is None else str(thing.size_gb)]

    def state(self, thing: StoredVolume, status: str) -> str:  # noqa: ARG002
        """Return what it is attached to."""
        return "?" if thing.bids is None else ", ".join(thing.bids) or "-"

    def document(self, thing: StoredVolume, status: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the same for a script."""
        return {"size_gb": thing.size_gb, "attached_to": None if thing.bids is None else list(thing.bids)}

    def drafts(
        self,
        op: Operation,  # noqa: ARG002
        things: Sequence[StoredVolume],
        live: Collection[str],  # noqa: ARG002
        begun_after: float,  # noqa: ARG002
    ) -> Sequence[Draft]:
        """Return drafts: a listing tells everything."""
        return [draft_volume(volume) for volume in things]

    def arguments(
        self,
        inputs: Mapping[str, Any],
        fill_in: Collection[str],  # noqa: ARG002
        variables: Mapping[str, str],  # noqa: ARG002
    ) -> Iterator[Item]:
        """Yield the arguments of a Volume."""
        yield f"size_gb={inputs['size_gb']}"
        if inputs["interface"] != "file":
            yield Text(inputs["interface"], "interface=")
        yield Text(inputs["region"], "region=")
        yield Text(inputs["adopt_volume_id"], "adopt_volume_id=")


def draft_volume(volume: StoredVolume) -> Draft:
    """Return the inputs that adopt a volume."""
    inputs = {"size_gb": volume.size_gb, "interface": volume.interface, "region": volume.region}
    missing = [what for what, fact in inputs.items() if fact is None]
    problem = f"the service does not say its {' and '.join(missing)}" if missing else ""
    return Draft(volume, {**inputs, "adopt_volume_id": volume.id}, problem=problem)


VOLUMES = VolumeKind()
