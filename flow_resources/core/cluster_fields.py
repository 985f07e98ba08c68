"""What a GpuCluster takes, and what each change does.

`FIELDS` is the only place where an input is declared; the property keys are written into users' states and never
change. Rules that need no service stand here; `check_market` holds a checked cluster against the catalogue.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.core import money
from flow_resources.core.inputs import (
    UNKNOWN,
    Change,
    Checked,
    Field,
    Invalid,
    Several,
    Unknown,
    changed,
    check,
    each,
    flag,
    text,
    whole,
    word,
)
from flow_resources.core.models import InstanceType, Offer, StoredVolume

WAIT_FOR = ("placed", "allocated", "running")  # weakest first
MAX_MACHINES = 100  # flow.sdk.models.task_config.TaskConfig.num_instances
# Where the service mounts (flow.utils.mounts.targets.validate_volume_mount_target).
_MOUNT = re.compile(r"^/(volumes/|mnt/|data[0-9]*(/|$)|opt/|var/)")
_MOUNT_CHARACTERS = re.compile(r"/[A-Za-z0-9/_-]+")
_MOUNT_ROOTS = "/volumes/, /mnt/, /data, /dataN, /opt/ or /var/"
_COUNT_FIRST = re.compile(r"^[1-9][0-9]*x[a-z][a-z0-9]*(?:[-._][a-z0-9]+)*$")
_COUNT_LAST = re.compile(r"^(?P<gpu>[a-z][a-z0-9-]*)(?P<sep>[:x])(?P<count>[1-9][0-9]*)$")
_FULL_NAME = re.compile(r"^[a-z][a-z0-9]*(?:[-._][a-z0-9]+)*\.[0-9]+x$")
_TYPE_ID = re.compile(r"^it_[A-Za-z0-9_]+$")
_FAMILY = re.compile(r"^[a-z][a-z0-9-]*$")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PREFIX = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")


def instance_type(value: Any) -> str:
    """Normalise a spelling: `a100:8`, `a100x8` and `8xA100` are `8xa100`; ids and full names pass."""
    typed = text(value).strip()
    if _TYPE_ID.match(typed):
        return typed
    lowered = typed.lower()
    if _COUNT_FIRST.match(lowered) or _FULL_NAME.match(lowered):
        return lowered
    last = _COUNT_LAST.match(lowered)
    if last and (last["sep"] == ":" or any(digit.isdigit() for digit in last["gpu"])):
        return f"{last['count']}x{last['gpu']}"
    if _FAMILY.match(lowered):
        raise Invalid("does not say how many GPUs a machine has", f"write {f'8x{lowered}'!r} or {f'1x{lowered}'!r}")
    raise Invalid("is no instance type", "write it like '8xa100', 'a100:8', 'a100-80gb.sxm.8x' or 'it_...'")


def bid(value: Any) -> float:
    """A bid: positive, finite, whole cents."""
    try:
        return float(money.price(value))
    except ValueError as error:
        remedy = "it is the bid, in USD per instance-hour"
        if "cent" in str(error):
            remedy += f": write {round(float(value), 2) or 0.01}"
        raise Invalid(str(error), remedy) from None


def command(value: Any) -> str | list[str]:
    """A shell line, or a list of arguments."""
    if isinstance(value, list):
        if not value:
            raise Invalid("must have at least one argument", "leave it out for 'sleep infinity'")
        return each(value, _argument, "strings")
    return text(value)


def env(value: Any) -> dict[str, str]:
    """Environment variables. The values never enter a message: they are secret."""
    if not isinstance(value, Mapping):
        raise Invalid("must be a mapping of names to strings")
    bad = []
    for name, one in value.items():
        at = f".{' '.join(str(name).partition('=')[0].split())}"  # after a stray = stands a value
        if not _ENV_NAME.fullmatch(str(name)):
            bad.append(Invalid("is no name for an environment variable", "use letters, digits and _", at))
        if not isinstance(one, (str, Unknown)):
            bad.append(Invalid("must be a string", "put it in quotes", at))
    if bad:
        raise Several(bad)
    return dict(value)


def ports(value: Any) -> list[int]:
    """TCP ports to open on every machine."""
    return _each_once(value, whole(1024, 65535), "port numbers")


def ssh_keys(value: Any) -> list[str]:
    """Names or ids of platform keys."""
    keys = _each_once(value, text, "names or ids of platform keys")
    if not keys:
        raise Invalid("must name at least one key", "leave it out for the SDK's default key")
    return keys


def volumes(value: Any) -> list[dict[str, Any]]:
    """Volumes and where they are mounted: distinct, and none inside another."""
    return _each_and(value, _mount, "VolumeMount", _collisions)


def name_prefix(value: Any) -> str:
    """The start of the task's name."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise Invalid("must start with a letter, have at most 30 of a-z, 0-9 and -, and not end with -")
    return value


def bid_id(value: Any) -> str:
    """The id of a task, which is a bid."""
    if not isinstance(value, str) or not value.startswith("bid_"):
        raise Invalid("must be the id of a task, 'bid_...'", "`flow status` shows it")
    return value


FIELDS: tuple[Field, ...] = (
    Field("instance_type", instance_type, Change.REPLACE, required=True),
    Field("num_instances", whole(1, MAX_MACHINES), Change.REPLACE, default=1),
    Field("max_price_per_hour", bid, Change.UPDATE, required=True),
    Field("region", text, Change.REPLACE),
    Field("command", command, Change.REPLACE, default="sleep infinity", sensitive=True),
    Field("image", text, Change.REPLACE),
    Field("env", env, Change.REPLACE, sensitive=True),
    Field("ports", ports, Change.REPLACE, unordered=True),
    Field("volumes", volumes, Change.REPLACE, unordered=True),
    Field("ssh_keys", ssh_keys, Change.REPLACE, unordered=True),
    Field("paused", flag, Change.UPDATE, default=False),
    Field("wait_for", word(*WAIT_FOR), Change.UPDATE, default="running"),
    Field("on_preemption", word("keep"), Change.STATE, default="keep"),
    Field("name_prefix", name_prefix, Change.REPLACE),
    Field("adopt_task_id", bid_id, Change.CREATE_ONLY),
)
REPLACING = tuple(one for one in FIELDS if one.change is Change.REPLACE)
SPEC = tuple(one for one in REPLACING if one.name != "name_prefix")


@dataclass(frozen=True)
class Market:
    """What the service has: the catalogue, what is on offer, and the project's volumes by id."""

    types: Sequence[InstanceType]
    offers: Sequence[Offer]
    regions: Sequence[str]
    volumes: Mapping[str, StoredVolume]

    def offer(self, spelling: str, region: str) -> Offer | None:
        """Return the cheapest offer of a type in a region."""
        wanted = {one.id for one in named(spelling, self.types)}
        offers = [one for one in self.offers if one.instance_type in wanted and one.region == region]
        return min(offers, key=lambda one: (one.price is None, one.price or 0, one.instance_type), default=None)

    def interface(self, volume_id: str) -> str:
        """Return what a volume is: block or file."""
        stored = self.volumes.get(volume_id)
        return stored.interface if stored else "file"


def check_cluster(news: Mapping[str, Any]) -> Checked:
    """Check all that needs no service. Hints that a VolumeMount carries stay in the mounts until `drop_hints`."""
    return check(FIELDS, news)


def resolve_region(found: Checked, pinned: str | None, default: str | None, market: Market | None) -> None:
    """Give the cluster its region: the program's, the pinned one, the settings', that of its volumes.

    A failure only when nothing is left to come: an unknown volume may still bring the region.
    """
    if "region" in found.inputs:
        return
    mounts = found.inputs.get("volumes") or []
    listed = mounts if isinstance(mounts, list) else [mounts]
    of_volumes = next((region for region in (_mount_region(mount, market) for mount in listed) if region), None)
    if region := pinned or default or of_volumes:
        found.inputs["region"] = region
    elif any(isinstance(mount, Unknown) or isinstance(_volume_id(mount), Unknown) for mount in listed) or (
        mounts and market is None
    ):
        found.inputs["region"] = UNKNOWN
    else:
        known = f": one of {', '.join(market.regions)}" if market and market.regions else ""
        found.fail("region", "is not set", remedy=f"pass region=..., or `pulumi config set flow:region ...`{known}")


def check_market(found: Checked, market: Market, *, runs: bool = False) -> None:
    """Hold a checked cluster against the catalogue and the project's volumes.

    `runs`: it is there already, and what is on offer today does not matter to it.
    """
    region = found.known("region") if runs else _known_region(found, market)
    if not runs and (spelling := found.known("instance_type")):
        _known_type(found, spelling, region, market)
    mounts = found.inputs.get("volumes")
    failed = {failure.path for failure in found.failures}
    for place, mount in enumerate(mounts if isinstance(mounts, list) else []):
        if isinstance(mount, Mapping) and f"volumes[{place}].volume_id" not in failed:
            _fitting_volume(found, place, mount, region, market)


def is_unchanged(found: Checked, olds: Mapping[str, Any]) -> bool:
    """Whether a cluster that exists stays as it is: a market that moves on must not fail it then."""
    return bool(olds) and not any(changed(REPLACING, olds, found.inputs))


def drop_hints(inputs: dict[str, Any]) -> None:
    """Take out of the mounts what only check needed to know of a volume that does not exist yet."""
    mounts = inputs.get("volumes")
    for mount in mounts if isinstance(mounts, list) else []:
        if isinstance(mount, dict):
            for hint in ("__region", "__interface"):
                mount.pop(hint, None)


def named(spelling: str, types: Sequence[InstanceType]) -> list[InstanceType]:
    """Return the types a spelling can mean. Names are not unique: there can be one id a region."""
    if spelling.startswith("it_"):
        return [one for one in types if one.id == spelling]
    return [one for one in types if spelling in (one.spelling, one.name.lower())]


def near(typed: str, known: Sequence[str]) -> str:
    """List the nearest of what there is, or all where nothing is near."""
    if not known:
        return "the service lists none"
    close = difflib.get_close_matches(typed, known, n=5, cutoff=0.5)
    return f"there {'is' if len(close or known) == 1 else 'are'} {', '.join(close or sorted(known))}"


def _argument(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid("must be a string", "put it in quotes")
    return value


def _known_region(found: Checked, market: Market) -> str | None:
    region: str | None = found.known("region")
    if region and market.regions and region not in market.regions:
        found.fail("region", "is no region of the service", region, near(region, market.regions))
        return None
    return region


def _known_type(found: Checked, spelling: str, region: str | None, market: Market) -> None:
    candidates = named(spelling, market.types)
    if not candidates:
        # Only what is on offer somewhere is worth proposing.
        offered = {one.instance_type for one in market.offers}
        known = sorted({one.spelling for one in market.types if one.id in offered or not offered})
        found.fail("instance_type", "is not in the service's catalogue", spelling, near(spelling, known))
    elif region and market.offers and not market.offer(spelling, region):
        ids = {one.id for one in candidates}
        places = sorted({one.region for one in market.offers if one.instance_type in ids})
        remedy = f"it is in {', '.join(places)}" if places else "it is on offer nowhere now"
        found.fail("instance_type", f"is not on offer in {region}", spelling, remedy)


def _fitting_volume(found: Checked, place: int, mount: Mapping[str, Any], region: str | None, market: Market) -> None:
    path, id_ = f"volumes[{place}].volume_id", mount.get("volume_id")
    stored = None if isinstance(id_, Unknown) else market.volumes.get(str(id_))
    if stored is None and not isinstance(id_, Unknown):
        found.fail(path, "is no volume of the project", id_, "`flow volume list` shows them")
        return
    where = stored.region if stored else mount.get("__region")
    kind = stored.interface if stored else mount.get("__interface")
    if region and isinstance(where, str) and where != region:
        found.fail(path, f"is a volume in {where}, the cluster is in {region}", remedy="both must be in one region")
    machines = found.known("num_instances") or 1
    if kind == "block" and machines > 1:
        found.fail(path, f"is a block volume, which attaches to one machine; the cluster has {machines}",
                   remedy="make it with interface='file', which attaches to many")  # fmt: skip


def _mount(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid("must be a VolumeMount, or a mapping with volume_id and mount_path")
    bad = [
        Invalid("is no key of a volume mount", "it has volume_id and mount_path", f".{key}")
        for key in value
        if key not in ("volume_id", "mount_path") and not str(key).startswith("__")
    ]
    id_, path = value.get("volume_id"), value.get("mount_path")
    if not isinstance(id_, Unknown) and not (isinstance(id_, str) and id_.startswith("vol_")):
        bad.append(Invalid("must be a Volume or the id of one, 'vol_...'", at=".volume_id"))
    if not isinstance(path, Unknown):
        try:
            _mount_path(path)
        except Invalid as invalid:
            bad.append(Invalid(invalid.rule, invalid.remedy, ".mount_path"))
    if bad:
        raise Several(bad)
    return dict(value)


def _mount_path(path: Any) -> None:
    if not isinstance(path, str):
        raise Invalid("must be a path", f"under {_MOUNT_ROOTS}")
    if not _MOUNT_CHARACTERS.fullmatch(path) or "//" in path or path.endswith("/"):
        raise Invalid("must be an absolute path of letters, digits, - and _, without // and without / at its end")
    if not _MOUNT.match(path):
        raise Invalid("is no place where the service mounts", f"it mounts under {_MOUNT_ROOTS}")


def _collisions(mounts: Sequence[Any]) -> Iterator[Invalid]:
    """Yield the mounts that take an earlier one's volume or place. A path that is no path collides with nothing."""
    ids, paths = [_volume_id(mount) for mount in mounts], [_good_path(mount) for mount in mounts]
    for place, (id_, path) in enumerate(zip(ids, paths, strict=True)):
        if isinstance(id_, str) and id_ in ids[:place]:
            yield Invalid("is mounted twice", "mount a volume once", f"[{place}].volume_id")
        if over := next((one for one in paths[:place] if path and one and _nested(one, path)), None):
            remedy = "mount volumes beside each other, not inside each other"
            yield Invalid(f"overlaps {over}", remedy, f"[{place}].mount_path")


def _volume_id(mount: Any) -> Any:
    return mount.get("volume_id") if isinstance(mount, Mapping) else None


def _good_path(mount: Any) -> str | None:
    path = mount.get("mount_path") if isinstance(mount, Mapping) else None
    try:
        _mount_path(path)
    except Invalid:
        return None
    return str(path)


def _nested(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _mount_region(mount: Any, market: Market | None) -> str | None:
    if not isinstance(mount, Mapping):
        return None
    hint = mount.get("__region")
    stored = market.volumes.get(str(mount.get("volume_id"))) if market else None
    return stored.region if stored else hint if isinstance(hint, str) else None


def _each_once(values: Any, rule: Callable[[Any], Any], what: str) -> list[Any]:
    return _each_and(values, rule, what, _repeated)


def _repeated(values: Sequence[Any]) -> Iterator[Invalid]:
    for place, one in enumerate(values):
        if one in values[:place] and not isinstance(one, Unknown):
            yield Invalid("stands in the list twice", "write it once", f"[{place}]")


def _each_and(
    values: Any, rule: Callable[[Any], Any], what: str, together: Callable[[Sequence[Any]], Iterator[Invalid]]
) -> list[Any]:
    """Apply a rule to every item and one to all of them; what breaks the one hides nothing that breaks the other."""
    items, bad = values, list[Invalid]()
    try:
        items = each(values, rule, what)
    except Several as several:
        bad += several.parts
    said = {one.at for one in bad}
    bad += [one for one in together(items) if one.at not in said]
    if bad:
        raise Several(bad)
    return list(items)
