"""What a task was launched with, compared with what the program says that adopts it: volumes, mount paths, SSH keys.

A later correction of one of these would replace the cluster, so a difference is refused. What the project has no more
(a volume or key that was deleted) is not compared, because no program can declare it; nor are keys that the program
leaves out: which one the Flow SDK's own key is, only a launch settles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.core.inputs import UNKNOWN, Checked, Unknown
from flow_resources.core.models import Bid
from flow_resources.core.spec import ClusterSpec
from flow_resources.lifecycle.operation import LISTING_SECONDS, Operation

_NOT_SHOWN = "does not show its {}, which therefore cannot be compared with the program's"


@dataclass(frozen=True)
class Launched:
    """What the program says of the launch of a task."""

    mounts: Sequence[tuple[str | Unknown, str | Unknown]] | None
    """Volume id and mount path; None where the inputs have a failure, or are unknown as a whole."""
    ssh_keys: Sequence[str] = ()
    """Names or ids; empty for the Flow SDK's own key, and where they are not known yet."""

    @classmethod
    def of_check(cls, found: Checked) -> Launched:
        """Return what a check knows: the ids of volumes that the coming `up` makes are unknown."""
        mounts = None if found.has_failed("volumes") else found.inputs.get("volumes", [])
        pairs = [_pair(mount) for mount in mounts] if isinstance(mounts, list) else None
        return cls(pairs, found.known("ssh_keys") or ())

    @classmethod
    def of_spec(cls, spec: ClusterSpec) -> Launched:
        """Return what a create knows."""
        return cls([(mount.volume_id, mount.path) for mount in spec.volumes], spec.ssh_keys)


def launch_differences(op: Operation, bid: Bid, program: Launched) -> Iterator[str]:
    """Yield how a task's launch differs from the program, each with both sides."""
    if program.mounts is not None:
        if text := _differing_volumes(op, bid, [volume for volume, _ in program.mounts]):
            yield text
        elif any(isinstance(volume, str) for volume, _ in program.mounts):
            paths = op.cloud.mount_paths(bid.id)
            for volume, path in program.mounts:
                told = None if isinstance(volume, Unknown) else paths.get(volume)
                if told and isinstance(path, str) and told != path:
                    yield f"mounts {volume} at {told}, the program at {path}"
    if program.ssh_keys:
        yield from _differing_keys(op, bid, program.ssh_keys)


def _differing_volumes(op: Operation, bid: Bid, volumes: Sequence[str | Unknown]) -> str:
    if bid.volumes is None:
        return _NOT_SHOWN.format("volumes")
    said = [volume for volume in volumes if isinstance(volume, str)]
    live, unknown = list(bid.volumes), len(volumes) - len(said)
    if not unknown and set(live) == set(said):
        return ""
    project = {volume.id for volume in op.cloud.volumes(op.begun - LISTING_SECONDS)}
    live = [volume for volume in live if volume in project or volume in said]
    others = set(live) - set(said)
    if len(others) == unknown and set(said) <= set(live):
        return ""
    new = [f"{unknown} that this `up` makes or adopts"] if unknown else []
    return f"mounts {_words(live) or 'no volume'}, the program mounts {_words([*said, *new]) or 'no volume'}"


def _differing_keys(op: Operation, bid: Bid, keys: Sequence[str]) -> Iterator[str]:
    if bid.ssh_keys is None:
        yield _NOT_SHOWN.format("SSH keys")
        return
    ids = op.cloud.ssh_keys()
    names = {id_: f"{name} ({id_})" for name, id_ in ids.items() if name != id_}
    said = list(dict.fromkeys(ids.get(key, key) for key in keys))
    live = [key for key in bid.ssh_keys if key in ids.values()]
    if set(live) != set(said):
        has, says = (_words([names.get(key, key) for key in one]) for one in (live, said))
        many = "keys" if len(live) > 1 else "key"
        yield f"has {f'the SSH {many} {has}' if live else 'no SSH key'}, the program says {says}"


def _pair(mount: Any) -> tuple[str | Unknown, str | Unknown]:
    return (UNKNOWN, UNKNOWN) if isinstance(mount, Unknown) else (mount["volume_id"], mount["mount_path"])


def _words(items: Sequence[str]) -> str:
    """Return items as a sentence lists them."""
    *before, last = items or [""]
    return f"{', '.join(before)} and {last}" if before else last
