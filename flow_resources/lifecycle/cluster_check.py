"""What a cluster's check asks of the service: the market, the adopted task, the budget, what stands on the row."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flow_resources.cloud import has_command_unit
from flow_resources.core import cluster_fields, money
from flow_resources.core.hidden import MARK, Identity
from flow_resources.core.inputs import Checked, changed
from flow_resources.core.market import (
    Market,
    check_market,
    drop_hints,
    named,
    resolve_region,
)
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark, logical_name
from flow_resources.core.spec import ClusterSpec
from flow_resources.errors import RejectedError
from flow_resources.lifecycle.adoption import Launched, launch_differences
from flow_resources.lifecycle.bid import describe_bid, launch_of
from flow_resources.lifecycle.budget import charge
from flow_resources.lifecycle.holders import describe_holders
from flow_resources.lifecycle.operation import Operation, region_sources_of
from flow_resources.lifecycle.spelling import keep_spellings
from flow_resources.lifecycle.takeover import ADOPTION_REMEDY, may_adopt

# Inputs up to these sizes always fit: bytes of command and environment, number of mounts and ports. The longest script
# without any takes 8,100 of the 10,000 characters: with a container, several machines and a signal. Building a script
# takes tens of milliseconds, so small ones are not built.
SHORT, FEW = 500, 3
_MOUNTS = [one for one in cluster_fields.FIELDS if one.name == "volumes"]


_FIRST_BOOT_ALONE = (
    "{}: its machines run the command at their first boot alone, and come back from a preemption without it; "
    "`pulumi up --replace URN` places it anew"
)


def check_cluster(op: Operation, found: Checked, olds: Mapping[str, Any], identity: Identity) -> None:
    """Check against the market, the account and the budget; resolve and pin the region."""
    cluster_fields.check_boots(found)
    region, market, budget = None, None, None
    with op.collecting_failures(found):
        region, budget = op.settings.region, op.settings.budget()
        market = _read_market(op, found)
    may_move = not olds or any(changed(_MOUNTS, olds, found.inputs))
    resolve_region(found, region_sources_of(op, found, olds, region), market, may_move=may_move)
    keep_spellings(op, found, olds, market, identity.mark)
    if cluster_fields.pin_run_on(found, olds) and cluster_fields.has_work(found):
        op.warn_once(_FIRST_BOOT_ALONE.format("this cluster was adopted, or placed before `run_on` existed"))
    if market:
        with op.collecting_failures(found):
            _check_block_mounts(op, found, market, identity.mark, is_made=not olds)
            _check_against_service(op, found, market, olds, identity.mark)
    drop_hints(found.inputs)
    _check_costs(op, found, market, budget, op.urn or str(identity.mark))


def _read_market(op: Operation, found: Checked) -> Market:
    op.cloud.project()  # a key of the wrong account is a failure of the preview, not of the `up`
    return op.cloud.market(volumes=bool(found.inputs.get("volumes")))


def _check_against_service(op: Operation, found: Checked, market: Market, olds: Mapping[str, Any], mark: Mark) -> None:
    """Check a cluster that is to be placed against the market and the account."""
    if cluster_fields.is_unchanged(found, olds):
        return
    runs = _check_adoption(op, found, mark, market)
    check_market(found, market, runs=runs)
    if not runs:
        _check_script(op, found, mark, market)
        if not olds and "ssh_keys" not in found.inputs:
            _check_key_folder(op, found)
    if keys := found.known("ssh_keys"):
        ids = op.cloud.ssh_keys()
        for place, key in enumerate(keys):
            if key not in ids:
                names = ", ".join(sorted(name for name in ids if not name.startswith("sshkey_"))) or "none"
                found.fail(f"ssh_keys[{place}]", "is not a platform SSH key of the project", key, f"it has {names}")


def _check_script(op: Operation, found: Checked, mark: Mark, market: Market) -> None:
    """Check the start-up script against the service's limit: an `up` would end the old machines first and fail then.

    What is not known yet counts as nothing.
    """
    known = {one.name: value for one in cluster_fields.FIELDS if (value := found.known(one.name)) is not None}
    if not known.get("instance_type") or not known.get("region"):
        return
    spec = ClusterSpec.parse({"max_price_per_hour": 1, **known, MARK: str(mark)})
    words = [spec.command] if isinstance(spec.command, str) else spec.command
    size = sum(len(word.encode()) for word in (*words, *spec.env, *spec.env.values()))
    offer = market.offer(spec.instance_type, spec.region or "")
    if offer is None or (size <= SHORT and len(spec.volumes) + len(spec.ports) <= FEW):
        return
    if problem := op.cloud.too_large(launch_of(f"{mark}-000000-1", str(mark), spec, offer, market)):
        if size <= SHORT and len(spec.ports) > FEW:
            found.fail("ports", problem, len(spec.ports), "each port needs a service of its own in it: open fewer")
        else:
            remedy = "put what is long on a volume or into an image, and call it from there"
            found.fail("command", problem, remedy=remedy)


def _check_key_folder(op: Operation, found: Checked) -> None:
    """Check that the SDK can keep the key that it makes for machines of which the program names no keys."""
    if problem := op.deployment.once("the folder of the SSH keys", op.cloud.key_folder_problem):
        found.fail(
            "ssh_keys",
            f"is not set, and the Flow SDK cannot keep the key that it makes then: {problem}",
            remedy="make it writable, set FLOW_DIR to a folder that is, or name platform keys",
        )


def _check_block_mounts(op: Operation, found: Checked, market: Market, mark: Mark, *, is_made: bool) -> None:
    """Fail where two clusters of the program mount one block volume; tell of a wait for one that is held."""
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
                f"is a block volume, which attaches to one machine: the cluster {logical_name(op.urn)!r} mounts it, "
                f"and the cluster {logical_name(other)!r}",
                remedy="make it with interface='file', which attaches to many, or give each cluster a volume",
            )
        if volume and is_made and (holders := set(volume.bids or ()) - {op.own_record.id}):
            held_by = describe_holders(op, sorted(holders), own=mark)
            op.warn_once(f"the block volume {volume.id} is held by {held_by}: an `up` waits until it is released")


def _check_adoption(op: Operation, found: Checked, mark: Mark, market: Market) -> bool:
    """Check a cluster against the task that it adopts; return whether there is one, and it is what the program says."""
    id_ = found.known("adopt_task_id")
    if not id_ or not may_adopt(op, id_, mark):
        return False
    bid = op.cloud.bid(id_)
    if bid is None:
        found.fail("adopt_task_id", "is not a task of this account", id_, "remove it to place a new bid")
        return False
    known = (found.known(name) for name in ("instance_type", "num_instances", "region"))
    problem = _differences(op, bid, market, Launched.of_check(found), *known)
    if problem:
        found.fail("adopt_task_id", f"names a task that {problem}", id_, ADOPTION_REMEDY)
    elif not has_command_unit(op.cloud.startup_script(id_)):
        cluster_fields.pin_adopted(found)
        if cluster_fields.has_work(found):
            op.warn_once(_FIRST_BOOT_ALONE.format(f"the task {id_} was not placed by this package"))
    return not problem


def find_adoptable(op: Operation, spec: ClusterSpec, id_: str) -> Bid:
    """Return the task to adopt. Raises RejectedError where it is not what the program says."""
    bid = op.cloud.bid(id_)
    if bid is None:
        raise RejectedError(f"adopt_task_id: there is no task {id_}", "remove it to place a new bid")
    place = (spec.instance_type, spec.num_instances, spec.region)
    if problem := _differences(op, bid, op.cloud.market(), Launched.of_spec(spec), *place):
        raise RejectedError(f"adopt_task_id: the task {id_} {problem}", ADOPTION_REMEDY)
    return bid


def _differences(
    op: Operation,
    bid: Bid,
    market: Market,
    launched: Launched,
    instance_type: str | None,
    num_instances: int | None,
    region: str | None,
) -> str:
    """Say how a task differs from the program in what only a replacement can change; empty where it does not."""
    problems, project = ["has ended"] if bid.ended else [], op.cloud.project().id
    if bid.project != project:
        problems.append(f"is in project {bid.project}, the settings point at {project}")
    if instance_type and bid.instance_type not in {
        instance_type,  # its own id, also of a type that the catalogue has no more
        *(one.id for one in named(instance_type, market.types)),
    }:
        is_a = next((one.spelling for one in market.types if one.id == bid.instance_type), bid.instance_type)
        problems.append(f"is of type {is_a}, the program says {instance_type}")
    if num_instances is not None and bid.quantity != num_instances:
        problems.append(f"has {bid.quantity} machines, the program says {num_instances}")
    if region and bid.region != region:
        problems.append(f"is in {bid.region}, the program says {region}")
    if not problems:
        problems += launch_differences(op, bid, launched)
    return " and ".join(problems)


def _check_costs(op: Operation, found: Checked, market: Market | None, budget: Decimal | None, key: str) -> None:
    """Enter the cluster into the budget, under a key of its own, and show on its row what it can cost."""
    price, count, region = found.known("max_price_per_hour"), found.known("num_instances"), found.known("region")
    if price is None or count is None:
        return
    bid, paused = money.price(price), found.inputs.get("paused") is True
    charge(found, op.deployment.spending, key, Decimal(0) if paused else bid * count, budget)
    instance_type = found.known("instance_type")
    offer = market.offer(instance_type, region) if market and region and instance_type else None
    going = offer.price if offer else None
    line = describe_bid(bid, count, found.known("region"), going)
    op.report.progress(line)
    if going is not None and bid < going and not paused:
        op.warn_once(
            f"the bid {money.usd(bid)}/h is under the market {money.usd(going)}/h: machines that run are preempted, "
            "and the cluster waits in the auction until the price falls"
        )
    if paused:
        op.report.progress(f"{line}; paused, after it may have run for moments")
