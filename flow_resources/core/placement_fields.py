"""The inputs that place a bid and set up its machines: shared by every resource that is a bid.

Property keys are written into users' states and never change. The rules need no service; `market` has the checks that
do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flow_resources.core import money
from flow_resources.core.bid_policy import bid_policy
from flow_resources.core.inputs import (
    PROBLEM,
    Change,
    Checked,
    Field,
    Invalid,
    InvalidParts,
    Unknown,
    changed,
    each,
    integer,
    one_of,
    string,
)
from flow_resources.core.public_keys import is_private

MAX_INSTANCES = 100  # flow.sdk.models.task_config.TaskConfig.num_instances
# Signals that a program can catch, and that mean nothing else to it or to the machine.
SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGWINCH", "SIGURG")
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
# The start-up script ends where it sets one of these.
_OF_BASH = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"})
_PREFIX = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")


def instance_type(value: Any) -> str:
    """Normalise a spelling: `a100:8`, `a100x8` and `8xA100` become `8xa100`; ids and full names pass as they are."""
    spelling = string(value).strip()
    if _TYPE_ID.match(spelling):
        return spelling
    lowered = spelling.lower()
    if _COUNT_FIRST.match(lowered) or _FULL_NAME.match(lowered):
        return lowered
    match = _COUNT_LAST.match(lowered)
    if match and (match["sep"] == ":" or any(character.isdigit() for character in match["gpu"])):
        return f"{match['count']}x{match['gpu']}"
    if _FAMILY.match(lowered):
        raise Invalid("does not say how many GPUs a machine has", f"write {f'8x{lowered}'!r} or {f'1x{lowered}'!r}")
    raise Invalid("is not an instance type", "write it like '8xa100', 'a100:8', 'a100-80gb.sxm.8x' or 'it_...'")


def bid(value: Any) -> float:
    """A bid: positive, finite, in whole cents."""
    return _price(value, "it is the bid, in USD per instance-hour")


def highest_bid(value: Any) -> float:
    """The limit of a bid, of the same form."""
    return _price(value, "it is the highest bid, in USD per instance-hour")


def _price(value: Any, remedy: str) -> float:
    if isinstance(value, Mapping):
        remedy += "; a policy is a Bid, or the input bid_policy"
    try:
        return float(money.price(value))
    except ValueError as error:
        if "cent" in str(error):
            remedy += f": write {round(float(value), 2) or 0.01}"
        raise Invalid(str(error), remedy) from None


def env(value: Any) -> dict[str, str]:
    """Environment variables. Their values are secret and enter no message."""
    if not isinstance(value, Mapping):
        raise Invalid("must be a mapping of names to strings")
    bad = []
    for name, variable in value.items():
        at = f".{' '.join(str(name).partition('=')[0].split())}"  # after a stray "=" comes a value
        if not _ENV_NAME.fullmatch(str(name)):
            bad.append(Invalid("is not a name for an environment variable", "use letters, digits and _", at))
        if not isinstance(variable, (str, Unknown)):
            bad.append(Invalid("must be a string", "put it in quotes", at))
        elif name in _OF_BASH:
            bad.append(Invalid("is a variable that bash lets no script set", "set it in the command, with `env`", at))
        elif name == "PATH" and not isinstance(variable, Unknown) and "/usr/bin" not in variable.split(":"):
            rule = "must have /usr/bin, where the start-up script finds its programs"
            bad.append(Invalid(rule, "no other variable is put into it; or set it in the command", at))
    if bad:
        raise InvalidParts(bad)
    return dict(value)


def ports(value: Any) -> list[int]:
    """Distinct TCP ports."""
    return _distinct(value, integer(1024, 65535), "port numbers")


def ssh_keys(value: Any) -> list[str]:
    """Distinct names or ids of platform SSH keys, at least one."""
    keys = _distinct(value, _key_reference, "names or ids of platform keys")
    if not keys:
        raise Invalid("must name at least one key", "leave it out for the SDK's default key")
    return keys


def _key_reference(value: Any) -> str:
    """The name or the id of a platform SSH key. A private key, pasted by mistake, enters no message."""
    is_refused = isinstance(value, Mapping) and PROBLEM in value  # by the program, which kept it to itself
    if is_refused or (isinstance(value, str) and is_private(value)):
        remedy = "pass an SshKey, or a key's name or id"
        raise Invalid("is a private key, which nobody else may have", remedy, is_shown=False)
    return string(value)


def volumes(value: Any) -> list[dict[str, Any]]:
    """Volume mounts: each volume once, and no mount path inside another one."""
    return each_and_all(value, _mount, "VolumeMount", _collisions)


def name_prefix(value: Any) -> str:
    """The start of a task's name."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise Invalid("must start with a letter, have at most 30 of a-z, 0-9 and -, and not end with -")
    return value


# In four groups, because a resource puts inputs of its own between them; their order is the order of failures.
PLACE: tuple[Field, ...] = (
    Field(
        "instance_type", "string", instance_type, Change.REPLACE, required=True, unless=("placements",),
        doc="The machine type: `8xa100`, `a100:8`, a full name from the service's catalogue, or an id `it_...`.",
    ),
    Field(
        "num_instances", "integer", integer(1, MAX_INSTANCES), Change.REPLACE, default=1,
        doc="The number of machines, 1 to 100. The bid gets all of them or none.",
    ),
    Field(
        "max_price_per_hour", "number", bid, Change.UPDATE, required=True, unless=("bid_policy", "placements"),
        public=True,
        doc="The bid, in USD per instance-hour, whole cents. What is paid is the spot price, never more than the bid. "
        "A change restarts nothing. In Python also a `Bid`, which becomes `bid_policy`. It can be left out where each "
        "of the `placements` has one of its own.",
    ),
    Field(
        "bid_policy", "BidPolicy", bid_policy, Change.UPDATE, public=True,
        doc="A policy that decides `max_price_per_hour`, in Python a `Bid`: `{kind: per_gpu, usd}`, "
        "`{kind: infrastructure, cap, reference}`, `{kind: workload, margin, cap}`, `{kind: market, multiplier, cap}` "
        "or `{kind: uptime, target, days, cap}`. It is resolved once, and again by a change of it or a replacement: a "
        "market that moves has no effect. Default: none, the program gives the number.",
    ),
    Field(
        "region", "string", string, Change.REPLACE, resolved=True,
        doc="The region. Default: `flow:region`, else the Flow SDK's own setting, else the region of the volumes. "
        "It is resolved once: a default that changes later has no effect.",
    ),
)  # fmt: skip
SETUP: tuple[Field, ...] = (
    Field(
        "image", "string", string, Change.REPLACE,
        doc="The container image. Default: none, the command runs on the machine itself.",
    ),
    Field(
        "env", "mapping of strings", env, Change.REPLACE, sensitive=True, secret=True,
        doc="Environment variables. They are always secret in the state.",
    ),
    Field(
        "ports", "list of integers", ports, Change.REPLACE, unordered=True,
        doc="TCP ports to open on every machine, 1024 to 65535.",
    ),
    Field(
        "volumes", "list of VolumeMount", volumes, Change.REPLACE, unordered=True,
        doc="The volumes to mount, with their mount paths. All of them must be in the region of the machines.",
    ),
    Field(
        "ssh_keys", "list of SshKey | string", ssh_keys, Change.REPLACE, unordered=True,
        doc="`SshKey`s, or names or ids of platform SSH keys; exactly these are put on the machines. "
        "Default: the Flow SDK's own key.",
    ),
)  # fmt: skip
NOTICE: tuple[Field, ...] = (
    Field(
        "preemption_signal", "string", one_of(*SIGNALS), Change.REPLACE, absent=None,
        doc="The signal by which the command learns that its machines will be preempted or moved, so that it can save "
        "its work: `SIGUSR1`, `SIGUSR2`, `SIGTERM`, `SIGINT`, ... It is sent once per notice of the service, which "
        "comes five minutes before, as the vendor's documentation says; to the topmost processes of the command that "
        "catch it, and to no others. Default: none is sent.",
    ),
)  # fmt: skip
NAME: tuple[Field, ...] = (
    Field(
        "name_prefix", "string", name_prefix, Change.REPLACE,
        doc="The start of the task's name: at most 30 of a-z, 0-9 and -. Default: made from the resource's name.",
    ),
)  # fmt: skip
FIELDS = (*PLACE, *SETUP, *NOTICE, *NAME)


def is_unchanged(fields: Sequence[Field], checked: Checked, olds: Mapping[str, Any]) -> bool:
    """Whether a bid exists and is not replaced: then the market, which moves on, is not checked."""
    replacing = [field for field in fields if field.change is Change.REPLACE]
    return bool(olds) and not any(changed(replacing, olds, checked.inputs))


# -- volume mounts -----------------------------------------------------------------------------------------------------


def _mount(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid("must be a VolumeMount, or a mapping with volume_id and mount_path")
    bad = [
        Invalid("is not a key of a volume mount", "it has volume_id and mount_path", f".{key}")
        for key in value
        if key not in ("volume_id", "mount_path") and not str(key).startswith("__")
    ]
    id_, path = value.get("volume_id"), value.get("mount_path")
    if not isinstance(id_, Unknown) and not (isinstance(id_, str) and id_.startswith("vol_")):
        remedy = "a secret of another stack reads so where its passphrase is another one" if id_ == {} else ""
        bad.append(Invalid("must be a Volume or the id of one, 'vol_...'", remedy, ".volume_id"))
    if not isinstance(path, Unknown):
        try:
            _check_mount_path(path)
        except Invalid as invalid:
            bad.append(Invalid(invalid.rule, invalid.remedy, ".mount_path"))
    if bad:
        raise InvalidParts(bad)
    return dict(value)


def _check_mount_path(path: Any) -> None:
    if not isinstance(path, str):
        raise Invalid("must be a path", f"under {_MOUNT_ROOTS}")
    if not _MOUNT_CHARACTERS.fullmatch(path) or "//" in path or path.endswith("/"):
        raise Invalid("must be an absolute path of letters, digits, - and _, without // and without / at its end")
    if not _MOUNT.match(path):
        raise Invalid("is not a place where the service mounts", f"it mounts under {_MOUNT_ROOTS}")


def _collisions(mounts: Sequence[Any]) -> Iterator[Invalid]:
    """Yield the mounts that repeat an earlier volume or overlap an earlier path. Invalid paths overlap nothing."""
    ids, paths = set[str](), set[str]()
    below: dict[str, str] = {}  # by folder, the first path that is in it
    for index, mount in enumerate(mounts):
        id_, path = mount.get("volume_id") if isinstance(mount, Mapping) else None, _valid_path(mount)
        if isinstance(id_, str):
            if id_ in ids:
                yield Invalid("is mounted twice", "mount a volume once", f"[{index}].volume_id")
            ids.add(id_)
        if path:
            parts = path.split("/")
            folders = ["/".join(parts[:count]) for count in range(len(parts), 1, -1)]  # itself first
            if overlapped := next((folder for folder in folders if folder in paths), below.get(path)):
                remedy = "mount volumes beside each other, not inside each other"
                yield Invalid(f"overlaps {overlapped}", remedy, f"[{index}].mount_path")
            paths.add(path)
            for folder in folders:
                below.setdefault(folder, path)


def _valid_path(mount: Any) -> str | None:
    path = mount.get("mount_path") if isinstance(mount, Mapping) else None
    try:
        _check_mount_path(path)
    except Invalid:
        return None
    return str(path)


# -- lists -------------------------------------------------------------------------------------------------------------


def _distinct(values: Any, rule: Callable[[Any], Any], what: str) -> list[Any]:
    return each_and_all(values, rule, what, _repeated)


def _repeated(values: Sequence[Any]) -> Iterator[Invalid]:
    seen = set[Any]()
    for index, value in enumerate(values):
        if not isinstance(value, (str, int, float)):  # not known yet, or it breaks the rule of an item
            continue
        if value in seen:
            yield Invalid("is in the list twice", "write it once", f"[{index}]")
        seen.add(value)


def each_and_all(
    values: Any, rule: Callable[[Any], Any], what: str, rule_of_all: Callable[[Sequence[Any]], Iterator[Invalid]]
) -> list[Any]:
    """Apply a rule to every item and another one to all items together; report what breaks either."""
    items, bad = values, list[Invalid]()
    try:
        items = each(values, rule, what)
    except InvalidParts as invalid_parts:
        bad += invalid_parts.parts
    reported = {invalid.at for invalid in bad}
    bad += [invalid for invalid in rule_of_all(items) if invalid.at not in reported]
    if bad:
        raise InvalidParts(bad)
    return list(items)
