"""The inputs of a GpuCluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.core import placements
from flow_resources.core.inputs import (
    Change,
    Checked,
    Field,
    Invalid,
    boolean,
    changed,
    check,
    each,
    has_unknown,
    one_of,
    show,
    string,
)
from flow_resources.core.placement_fields import NAME, NOTICE, PLACE, SETUP, highest_bid

WAIT_FOR = ("placed", "allocated", "running")  # weakest first
POLICIES = ("keep", "raise_bid", "replace", "fail")


def command(value: Any) -> str | list[str]:
    """A shell command, or a list of arguments."""
    if isinstance(value, list):
        if not value:
            raise Invalid("must have at least one argument", "leave it out for 'sleep infinity'")
        return each(value, argument, "strings")
    return string(value)


def argument(value: Any) -> str:
    """One argument of a command."""
    if not isinstance(value, str):
        raise Invalid("must be a string", "put it in quotes")
    return value


_LEAVE_OUT = "leave it out"
DEFAULT_COMMAND = "sleep infinity"


def bid_id(value: Any) -> str:
    """The id of a task, which is a bid."""
    if not isinstance(value, str) or not value.startswith("bid_"):
        raise Invalid("must be the id of a task, 'bid_...'", "`flow status` shows it")
    return value


FIELDS: tuple[Field, ...] = (
    *PLACE,
    *placements.FIELDS,
    *placements.WAIT_FIELDS,
    Field(
        "command", "string | list of strings", command, Change.REPLACE, default=DEFAULT_COMMAND, sensitive=True,
        doc="What the machines run: a shell command, or a list of arguments. The start-up script that contains it, "
        "`env` and the mounts has at most 10,000 characters, compressed.",
    ),
    *SETUP,
    Field(
        "run_on", "string", one_of("every_boot", "first_boot"), Change.REPLACE,
        default="every_boot", absent="first_boot",
        doc="When the command runs. `every_boot`: once at every boot, so also after a preemption, a pause or a move. "
        "`first_boot`: what the service does by itself; the machines come back without the command. A cluster that was "
        "placed before this input existed stays as it is, until something else replaces it.",
    ),
    Field(
        "restart", "string", one_of("never", "on_failure", "always"), Change.REPLACE, default="never", absent="never",
        doc="Whether the command runs again after it has ended, while the machine stays up: `never`, `on_failure` (an "
        "exit code other than 0) or `always`; after five seconds.",
    ),
    *NOTICE,
    Field(
        "paused", "boolean", boolean, Change.UPDATE, default=False,
        doc="Whether to give the machines back but keep the bid. A pause loses what is in memory, and may "
        "lose `/mnt/local`; boot disks and volumes are kept.",
    ),
    Field(
        "wait_for", "string", one_of(*WAIT_FOR), Change.UPDATE, default="running",
        doc="What `up` waits for: `placed` (the service has accepted the bid), `allocated` (the bid has won) or "
        "`running` (every machine runs and has an address). The limit is `custom_timeouts`, else 30 minutes; the next "
        "`up` goes on waiting. A change sends no request.",
    ),
    Field(
        "on_preemption", "string", one_of(*POLICIES), Change.STATE, default="keep",
        doc="What happens to a preempted bid, which stays in the auction by itself. `keep`: nothing. `raise_bid`: it "
        "is raised, up to `raise_up_to_per_hour`. `replace`: it ends, and a new bid takes its place. `fail`: the next "
        "`up` stops. A refresh sees the preemption, and the `up` after it (`pulumi up --refresh`) acts, once for each "
        "preemption.",
    ),
    Field(
        "raise_up_to_per_hour", "number", highest_bid, Change.STATE, public=True,
        doc="Of `on_preemption='raise_bid'`: the highest bid, in USD per instance-hour, whole cents. The new bid is "
        "5 % above the market, and never above this. It stays until `max_price_per_hour` or the policy changes in the "
        "program; a lower limit lowers it.",
    ),
    *NAME,
    Field(
        "adopt_task_id", "string", bid_id, Change.CREATE_ONLY,
        doc="The id of a running task, `bid_...`, which the first `up` takes over instead of placing a bid. Nothing is "
        "restarted. Type, count, region, volumes and SSH keys must be what the program says; what cannot be read back "
        "(command, env, the mount paths of other tools) is taken from the program.",
    ),
)  # fmt: skip
REPLACING = tuple(field for field in FIELDS if field.change is Change.REPLACE)
SPEC = tuple(field for field in REPLACING if field.name != "name_prefix")
"""The inputs in the digest of a bid's name."""


def check_cluster(news: Mapping[str, Any]) -> Checked:
    """Check all that needs no service. The hints of a VolumeMount stay in the mounts until `market.drop_hints`."""
    found = check(FIELDS, news)
    check_boots(found)
    check_policy(found)
    return found


def check_policy(found: Checked) -> None:
    """Check the limit of a policy that raises the bid."""
    policy, limit = found.inputs.get("on_preemption"), found.inputs.get("raise_up_to_per_hour")
    if policy == "raise_bid" and limit is None:
        found.fail("raise_up_to_per_hour", "is required with on_preemption='raise_bid'", remedy="it is the highest bid")
    elif policy in POLICIES and policy != "raise_bid" and limit is not None and not has_unknown(limit):
        found.fail("raise_up_to_per_hour", "needs on_preemption='raise_bid'", limit, "set that, or leave it out")
    if "bid_policy" not in found.inputs:
        check_limit(found)
        return
    limit, cap = found.known("raise_up_to_per_hour"), (found.known("bid_policy") or {}).get("cap")
    if policy == "raise_bid" and limit is not None and cap is not None and limit > cap:
        found.fail(
            "raise_up_to_per_hour", f"is over the cap of bid_policy, {show(cap)}", limit, "lower it, or raise cap"
        )


def check_limit(found: Checked) -> None:
    """Check that the limit is not under the bid, which a policy has to resolve first."""
    price, limit, policy = (
        found.known(name) for name in ("max_price_per_hour", "raise_up_to_per_hour", "on_preemption")
    )
    if policy == "raise_bid" and price is not None and limit is not None and limit < price:
        found.fail(
            "raise_up_to_per_hour",
            f"is under the bid, max_price_per_hour={show(price)}"
            f"{', to which bid_policy is resolved' if 'bid_policy' in found.inputs else ''}",
            limit,
            "raise it, or lower the bid",
        )


def check_boots(found: Checked) -> None:
    """Fail for what only a command that runs at every boot can have."""
    if found.inputs.get("run_on") == "first_boot":
        problem, remedy = "needs run_on='every_boot'", _LEAVE_OUT
    elif found.inputs.get("command", DEFAULT_COMMAND) == DEFAULT_COMMAND:
        problem, remedy = "needs a command, and the default does nothing", _LEAVE_OUT
    else:
        return
    for name in ("restart", "preemption_signal"):
        if (value := found.known(name)) not in (None, "never"):
            found.fail(name, problem, value, remedy)


def has_work(found: Checked) -> bool:
    """Whether the machines run anything of the program's: a command, or a container."""
    return found.inputs.get("command", DEFAULT_COMMAND) != DEFAULT_COMMAND or "image" in found.inputs


def pin_adopted(found: Checked) -> None:
    """Let `run_on` be absent: the task that is adopted runs its command at the first boot alone."""
    if found.inputs.get("run_on") == "every_boot":
        del found.inputs["run_on"]
    for name in ("restart", "preemption_signal"):
        if (value := found.known(name)) not in (None, "never"):
            found.fail(
                name, "needs a command that runs at every boot, which the adopted task has not", value, _LEAVE_OUT
            )


def pin_run_on(found: Checked, olds: Mapping[str, Any]) -> bool:
    """Keep `run_on` absent where the state has none and nothing else replaces the cluster; return whether it does.

    Such a cluster was placed before this input existed, or adopted: its machines run their command at the first boot
    alone. In every other case the inputs say what the machines do.
    """
    is_pinned = (
        bool(olds)
        and "run_on" not in olds
        and found.inputs.get("run_on") == "every_boot"
        and not any(changed([field for field in REPLACING if field.name != "run_on"], olds, found.inputs))
    )
    if is_pinned:
        del found.inputs["run_on"]
    return is_pinned
