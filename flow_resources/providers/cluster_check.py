"""What a cluster's check asks of the service: the market, the adopted task, the budget, what stands on the row."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flow_resources import engine
from flow_resources.cloud import Cloud, Launch
from flow_resources.core import cluster_fields, money, naming
from flow_resources.core.inputs import Checked, has_unknown
from flow_resources.core.market import Market, check_market, named
from flow_resources.core.models import Bid, Offer
from flow_resources.providers import session
from flow_resources.providers.base import adopts

# What fits whatever else is asked for: so many bytes of command and environment, so many mounts and ports together. A
# script of none takes 4,400 of its 10,000 characters, an image 1,800. To write one takes 20 ms.
SHORT, FEW = 500, 3


def read_market(found: Checked) -> Market:
    """Read the market.

    Raises ConfigError or AccountMismatchError, which are failures of the preview, and UnavailableError, which is none.
    """
    cloud = session.current().cloud()
    cloud.project()  # a key of the wrong account is a failure of the preview, not of the `up`
    return cloud.market(volumes=bool(found.inputs.get("volumes")))


def check_against(found: Checked, market: Market, olds: Mapping[str, Any], mark: str) -> None:
    """Hold a cluster that is to be placed against the market and the account."""
    if cluster_fields.is_unchanged(found, olds):
        return
    cloud = session.current().cloud()
    runs = _check_adoption(found, mark, cloud, market)
    check_market(found, market, runs=runs)
    if not runs:
        _check_script(found, mark, cloud, market)
    if keys := found.known("ssh_keys"):
        known = cloud.ssh_keys()
        for place, key in enumerate(keys):
            if key not in known:
                names = ", ".join(sorted(name for name in known if not name.startswith("sshkey_"))) or "none"
                found.fail(f"ssh_keys[{place}]", "is no platform SSH key of the project", key, f"it has {names}")


def _check_script(found: Checked, mark: str, cloud: Cloud, market: Market) -> None:
    """Hold the start-up script against the service's limit: an `up` would end the old machines before it is told.

    What is not known yet counts as nothing.
    """
    command, env = found.known("command") or "", found.known("env") or {}
    mounts, ports = found.known("volumes") or [], found.known("ports") or []
    words = [command] if isinstance(command, str) else command
    size = sum(len(one.encode()) for one in (*words, *env, *env.values()))
    spelling, region = found.known("instance_type"), found.known("region")
    offer = market.offer(spelling, region) if spelling and region else None
    if offer is None or (size <= SHORT and len(mounts) + len(ports) <= FEW):
        return
    known = {one.name: found.known(one.name) for one in cluster_fields.FIELDS}
    launch = launch_of(f"{mark}-000000-1", mark, {**known, "max_price_per_hour": 1}, offer, market)
    if problem := cloud.too_large(launch):
        found.fail("command", problem, remedy="put what is long on a volume or into an image, and call it from there")


def launch_of(
    name: str, key: str, inputs: Mapping[str, Any], offer: Offer, market: Market, ssh_keys: tuple[str, ...] = ()
) -> Launch:
    """Return what the SDK needs for a bid; an input that is None counts as left out."""
    return Launch(
        name=name,
        key=key,
        instance_type=offer.instance_type,
        num_instances=int(inputs.get("num_instances") or 1),
        price=money.price(inputs["max_price_per_hour"]),
        region=str(inputs["region"]),
        command=inputs.get("command") or "sleep infinity",
        image=inputs.get("image"),
        env=inputs.get("env") or {},
        ports=tuple(int(port) for port in inputs.get("ports") or ()),
        volumes=tuple(
            (mount["volume_id"], mount["mount_path"], market.interface(mount["volume_id"]))
            for mount in inputs.get("volumes") or ()
        ),
        ssh_keys=ssh_keys,
    )


def _check_adoption(found: Checked, mark: str, cloud: Cloud, market: Market) -> bool:
    """Hold a cluster against the task that it adopts; return whether there is one, and it is what the program says."""
    id_ = found.known("adopt_task_id")
    if not id_ or not adopts(mark, id_):
        return False
    bid = cloud.bid(id_)
    if bid is None:
        found.fail("adopt_task_id", "is no task of this account", id_, "take the line out to place a new bid")
        return False
    problem = differences(bid, found.inputs, market, cloud.project().id)
    if problem:
        found.fail(
            "adopt_task_id", f"names a task that {problem}", id_, "make the program say the same, or take the line out"
        )
    return not problem


def differences(bid: Bid, props: Mapping[str, Any], market: Market, project: str) -> str:
    """Say how a task differs from the program in what only a replacement can change; empty where it does not."""
    problems = ["has ended"] if bid.ended else []
    if bid.project != project:
        problems.append(f"is in project {bid.project}, the settings point at {project}")
    spelling = props.get("instance_type")
    if isinstance(spelling, str) and bid.instance_type not in {
        spelling,  # its own id, also of a type that the catalogue has no more
        *(one.id for one in named(spelling, market.types)),
    }:
        is_a = next((one.spelling for one in market.types if one.id == bid.instance_type), bid.instance_type)
        problems.append(f"is of type {is_a}, the program says {spelling}")
    if isinstance(props.get("num_instances"), (int, float)) and bid.quantity != props["num_instances"]:
        problems.append(f"has {bid.quantity} machines, the program says {int(props['num_instances'])}")
    if isinstance(props.get("region"), str) and bid.region != props["region"]:
        problems.append(f"is in {bid.region}, the program says {props['region']}")
    return " and ".join(problems)


def check_costs(found: Checked, urn: str, market: Market | None, budget: Decimal | None) -> None:
    """Enter the cluster into the budget, and show on its row what it can cost."""
    price, count, region = found.known("max_price_per_hour"), found.known("num_instances"), found.known("region")
    if price is None or count is None:
        return
    bid = money.price(price)
    paused = found.inputs.get("paused") is True
    session.charge(found, urn, naming.logical_name(urn), Decimal(0) if paused else bid * count, budget)
    spelling = found.known("instance_type")
    offer = market.offer(spelling, region) if market and region and spelling else None
    going = offer.price if offer else None
    engine.row(bid_line(found.inputs, going))
    if going is not None and bid < going and not paused:
        session.current().warn_once(
            f"the bid {money.usd(bid)}/h is under the market {money.usd(going)}/h: machines that run are preempted, "
            "and the cluster waits in the auction until the price falls"
        )
    if paused:
        engine.row(f"{bid_line(found.inputs, going)}; paused, after it may have run for moments")


def bid_line(props: Mapping[str, Any], going: Decimal | None) -> str:
    """Say what is bid, what it can cost at most, and what the market asks."""
    bid, count = money.price(props["max_price_per_hour"]), int(props.get("num_instances") or 1)
    region = "" if has_unknown(props.get("region")) else f" in {props.get('region')}"
    market = f", market {money.usd(going)}/h" if going is not None else ""
    return f"bid {money.usd(bid)}/h x {count} (max {money.usd(bid * count)}/h){region}{market}"
