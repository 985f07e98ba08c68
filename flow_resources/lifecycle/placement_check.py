"""What the check of a bid asks of the service: the market, the account, the budget, what stands on the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.core.hidden import MARK, Identity
from flow_resources.core.inputs import Checked, changed
from flow_resources.core.market import (
    Market,
    check_market,
    drop_hints,
    resolve_region,
)
from flow_resources.core.naming import Mark, logical_name
from flow_resources.core.placement_fields import SETUP, is_unchanged
from flow_resources.errors import RejectedError
from flow_resources.lifecycle.bid import launch_of
from flow_resources.lifecycle.bid_kind import BidKind
from flow_resources.lifecycle.bid_price import charge_most, settle_bid
from flow_resources.lifecycle.holders import describe_holders
from flow_resources.lifecycle.operation import Operation, region_sources_of
from flow_resources.lifecycle.placements import move_on, settle_placement
from flow_resources.lifecycle.price_lines import check_costs
from flow_resources.lifecycle.spelling import keep_spellings

AnyBidKind = BidKind[Any, Any]
# Inputs up to these sizes always fit: bytes of command and environment, number of mounts and ports. The longest script
# without any takes 8,100 of the 10,000 characters: with a container, several machines and a signal. Building a script
# takes tens of milliseconds, so small ones are not built.
SHORT, FEW = 500, 3
_MOUNTS = [one for one in SETUP if one.name == "volumes"]


def check_placement(
    op: Operation, kind: AnyBidKind, found: Checked, olds: Mapping[str, Any], identity: Identity
) -> None:
    """Check against the market, the account and the budget; resolve and pin the region."""
    region, market, budget = None, None, None
    with op.collecting_failures(found):
        region, budget = op.settings.region, op.settings.budget()
        market = _read_market(op, found)
    settled = settle_placement(op, found, olds, market, identity.mark)
    may_move = not olds or any(changed(_MOUNTS, olds, found.inputs))
    resolve_region(found, region_sources_of(op, found, olds, region), market, may_move=may_move)
    keep_spellings(op, found, olds, market, identity.mark)
    kind.pin_inputs(op, found, olds)
    if market:
        with op.collecting_failures(found):
            _check_block_mounts(op, found, market, identity.mark, is_made=not olds)
            _check_against_service(op, kind, found, market, olds, identity.mark)
    settle_bid(op, kind, found, olds, market)
    drop_hints(found.inputs)
    move_on(op, kind, found, olds, market, settled)
    kind.settle_price(op, found, olds, market, budget)
    key = op.urn or str(identity.mark)
    if kind.may_cost(op, found, olds) and not charge_most(op, kind, found, budget, key):
        check_costs(op, kind, found, olds, market, budget, key)


def _read_market(op: Operation, found: Checked) -> Market:
    op.cloud.project()  # a key of the wrong account is a failure of the preview, not of the `up`
    return op.cloud.market(volumes=bool(found.inputs.get("volumes")))


def _check_against_service(
    op: Operation, kind: AnyBidKind, found: Checked, market: Market, olds: Mapping[str, Any], mark: Mark
) -> None:
    """Check a bid that is to be placed against the market and the account."""
    if is_unchanged(kind.fields, found, olds):
        return
    runs = kind.check_running(op, found, mark, market)
    check_market(found, market, runs=runs, called=kind.called)
    if not runs:
        _check_script(op, kind, found, mark, market)
        if not olds and "ssh_keys" not in found.inputs:
            _check_key_folder(op, found)
    if keys := found.known("ssh_keys"):
        ids = op.cloud.ssh_keys()
        for place, key in enumerate(keys):
            if key not in ids:
                names = ", ".join(sorted(name for name in ids if not name.startswith("sshkey_"))) or "none"
                found.fail(f"ssh_keys[{place}]", "is not a platform SSH key of the project", key, f"it has {names}")


def _check_script(op: Operation, kind: AnyBidKind, found: Checked, mark: Mark, market: Market) -> None:
    """Check that the start-up script can be written and fits: an `up` would end the old machines first and fail then.

    What is not known yet counts as nothing.
    """
    known = {one.name: value for one in kind.fields if (value := found.known(one.name)) is not None}
    if not known.get("instance_type") or not known.get("region"):
        return
    spec = kind.parse({"max_price_per_hour": 1, **known, MARK: str(mark)})
    if not spec.launch_command:  # it has a failure of its own, or is not known yet
        return
    words = [spec.launch_command] if isinstance(spec.launch_command, str) else spec.launch_command
    size = sum(len(word.encode()) for word in (*words, *spec.env, *spec.env.values()))
    offer = market.offer(spec.instance_type, spec.region or "")
    is_short = size <= SHORT and len(spec.volumes) + len(spec.ports) <= FEW
    is_plain = not spec.image or "/" in spec.image or ":" in spec.image  # the SDK refuses most other names of images
    if offer is None or (is_short and is_plain and not kind.has_long_script):
        return
    launch = kind.fitted(op, launch_of(f"{mark}-000000-1", str(mark), spec, offer, market), spec)
    try:
        problem = op.cloud.too_large(launch)
    except RejectedError as error:
        if is_plain or not spec.image:
            raise
        remedy = "write it with its registry or namespace, such as 'docker.io/library/python:3.12'"
        found.fail("image", f"is not one that the Flow SDK takes ({error.message})", spec.image, remedy)
        return
    if problem:
        if size <= SHORT and len(spec.ports) > FEW:
            found.fail("ports", problem, len(spec.ports), "each port needs a service of its own in it: open fewer")
        else:
            remedy = "put what is long on a volume or into an image, and call it from there"
            found.fail("script" if "script" in found.inputs else "command", problem, remedy=remedy)


def _check_key_folder(op: Operation, found: Checked) -> None:
    """Check that the SDK can keep the key that it makes for machines of which the program names no keys."""
    if problem := op.deployment.once("the folder of the SSH keys", op.cloud.key_folder_problem):
        found.fail(
            "ssh_keys",
            f"is not set, and the Flow SDK cannot keep the key that it makes then: {problem}",
            remedy="make it writable, set FLOW_DIR to a folder that is, or name platform keys",
        )


def _check_block_mounts(op: Operation, found: Checked, market: Market, mark: Mark, *, is_made: bool) -> None:
    """Fail where two bids of the program mount one block volume; tell of a wait for one that is held."""
    mounts = found.inputs.get("volumes")
    for index, mount in enumerate(mounts if isinstance(mounts, list) else []):
        if not isinstance(mount, Mapping):
            continue
        id_, urn = mount.get("volume_id"), mount.get("__volume")
        volume = market.volumes.get(id_) if isinstance(id_, str) else None
        if (volume.interface if volume else mount.get("__interface")) != "block" or not op.urn:
            continue
        known = op.deployment.block_mounts
        mounting = {known.setdefault(key, op.urn) for key in (id_, urn) if isinstance(key, str)}
        for other in sorted(mounting - {op.urn}):
            found.fail(
                f"volumes[{index}].volume_id",
                f"is a block volume, which attaches to one machine: the {_called(op.urn)} mounts it, and the "
                f"{_called(other)}",
                remedy="make it with interface='file', which attaches to many, or give each one a volume of its own",
            )
        if volume and is_made and (holders := set(volume.bids or ()) - {op.own_record.id}):
            held_by = describe_holders(op, sorted(holders), own=mark)
            op.warn_once(f"the block volume {volume.id} is held by {held_by}: an `up` waits until it is released")


def _called(urn: str) -> str:
    """Return how messages call a resource of the program: "cluster 'trainer'"."""
    return f"{'job' if ':Job::' in urn else 'cluster'} {logical_name(urn)!r}"
