"""The inputs of a GpuCluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.core.inputs import (
    Change,
    Checked,
    Field,
    Invalid,
    boolean,
    check,
    each,
    one_of,
    string,
)
from flow_resources.core.placement_fields import NAME, PLACE, SETUP

WAIT_FOR = ("placed", "allocated", "running")  # weakest first


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


def bid_id(value: Any) -> str:
    """The id of a task, which is a bid."""
    if not isinstance(value, str) or not value.startswith("bid_"):
        raise Invalid("must be the id of a task, 'bid_...'", "`flow status` shows it")
    return value


FIELDS: tuple[Field, ...] = (
    *PLACE,
    Field(
        "command", "string | list of strings", command, Change.REPLACE, default="sleep infinity", sensitive=True,
        doc="What the machines run: a shell command, or a list of arguments. The start-up script that contains it, "
        "`env` and the mounts has at most 10,000 characters, compressed.",
    ),
    *SETUP,
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
        "on_preemption", "string", one_of("keep"), Change.STATE, default="keep",
        doc="What happens to a preempted bid. `keep`: it stays in the auction.",
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
    return check(FIELDS, news)
