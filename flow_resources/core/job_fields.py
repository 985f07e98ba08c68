"""The inputs of a Job."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from flow_resources.core import placements
from flow_resources.core.cluster_fields import argument
from flow_resources.core.inputs import (
    FILE,
    PROBLEM,
    REMEDY,
    Change,
    Checked,
    Field,
    Invalid,
    InvalidParts,
    Unknown,
    check,
    each,
    leaves,
    one_of,
)
from flow_resources.core.placement_fields import NAME, NOTICE, PLACE, SETUP

WAIT_FOR = ("placed", "allocated", "running", "ended")  # weakest first
MAX_HOURS = 168
"""Of `max_run_time_hours`; as flow.sdk.models.task_config.TaskConfig."""


def command(value: Any) -> str | list[str]:
    """A shell command, or a list of arguments."""
    if not isinstance(value, list):
        if not isinstance(value, str) or not value.strip():
            raise Invalid("must be a shell command, or a list of arguments")
        return value
    if not value:
        raise Invalid("must have at least one argument")
    return each(value, argument, "strings")


def script(value: Any) -> str:
    """The text of a script that says in its first line what runs it."""
    if isinstance(value, Mapping) and PROBLEM in value:
        raise Invalid(f"{value[PROBLEM]}, {str(value.get(FILE))!r}", str(value.get(REMEDY) or ""))
    if not isinstance(value, str) or not value.strip():
        raise Invalid("must be the text of a script", "in Python, pass the path of its file")
    if "\0" in value:
        raise Invalid("is not a text", "put what is compiled on a volume or into an image, and call it with command")
    if not value.startswith("#!") or not value.partition("\n")[0][2:].strip():
        raise Invalid("does not say what runs it", "begin its first line with #!, such as #!/usr/bin/env python3")
    return value


def args(value: Any) -> list[str]:
    """The arguments of a script."""
    return each(value, argument, "strings")


def hours(value: Any) -> float:
    """A time limit in hours."""
    rule = f"must be a number of hours, more than 0 and at most {MAX_HOURS}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Invalid(rule)
    if not 0 < value <= MAX_HOURS:
        raise Invalid(rule, "leave it out for no limit" if value > 0 else "")
    return float(value)


def triggers(value: Any) -> Any:
    """Any values: a change of one runs the job again."""
    if not isinstance(value, (Mapping, list)):
        raise Invalid("must be a mapping or a list", "put the value into brackets")
    if bad := [*_not_plain(value)]:
        raise InvalidParts(bad)
    return value


def _not_plain(value: Any) -> Iterator[Invalid]:
    """Yield the parts that no name can be made of: files, archives."""
    for at, part in leaves(value):
        if part is not None and not isinstance(part, (str, int, float, Unknown)):
            yield Invalid("must be a string, a number, True, False, or made of these", "pass a hash of a file", at)


def api_key(value: Any) -> str:
    """An API key of the service."""
    if not isinstance(value, str) or not value.strip() or value != "".join(value.split()):
        raise Invalid("must be an API key of the service, without spaces")
    return value


FIELDS: tuple[Field, ...] = (
    *PLACE,
    *placements.FIELDS,
    Field(
        "command", "string | list of strings", command, Change.REPLACE, either="script", sensitive=True,
        doc="What the machines run at each boot, until it has ended: a shell command, or a list of arguments. Either "
        "this or `script`.",
    ),
    Field(
        "script", "string", script, Change.REPLACE, either="command", sensitive=True,
        doc="A local file, whose text the machines run instead of `command`, by its `#!` line; without one, `python3` "
        "runs a `.py`, and `bash` a `.sh`. In Python the path of the file, relative to the program's folder; the state "
        "holds the text. A change of the text runs the job again.",
    ),
    Field(
        "args", "list of strings", args, Change.REPLACE, sensitive=True,
        doc="The arguments of `script`.",
    ),
    *(one for one in SETUP if one.name != "ports"),
    *NOTICE,
    Field(
        "max_run_time_hours", "number", hours, Change.REPLACE,
        doc=f"The time limit, in hours since the first start, at most {MAX_HOURS}; the time that the job waits in the "
        "auction counts. A job that has not ended by then is stopped, and has failed. Default: no limit.",
    ),
    Field(
        "on_failure", "string", one_of("release", "keep"), Change.REPLACE, default="release",
        doc="What happens to the bid of a job that failed. `release`: it ends, with the machines' disks. `keep`: it is "
        "paused, so that nothing is billed and the disks can be looked at; `pulumi destroy` ends it.",
    ),
    Field(
        "wait_for", "string", one_of(*WAIT_FOR), Change.UPDATE, default="placed",
        doc="What `up` waits for: `placed` (the service has accepted the bid), `allocated` (the bid has won), "
        "`running` (every machine runs and has an address) or `ended`: the `up` fails, once, where the job failed. The "
        "limit is `custom_timeouts`, else 30 minutes; the next `up` goes on waiting.",
    ),
    Field(
        "triggers", "mapping | list", triggers, Change.REPLACE, public=True,
        doc="Any values, none of them secret. A change runs the job again.",
    ),
    Field(
        "machine_api_key", "string", api_key, Change.STATE, sensitive=True, secret=True,
        doc="An API key of the service with which the machine ends the job's bid, instead of one that is made for it "
        "(`flow:allowJobKeys`). It is never revoked or renewed. It is always secret in the state; whoever can read the "
        "bids of the project can read it there. A change reaches the next placement alone.",
    ),
    *NAME,
)  # fmt: skip
SPEC = tuple(field for field in FIELDS if field.change is Change.REPLACE and field.name != "name_prefix")
"""The inputs in the digest of a bid's name."""


def check_job(news: Mapping[str, Any]) -> Checked:
    """Check all that needs no service."""
    found = check(FIELDS, news)
    check_together(found)
    return found


def check_together(found: Checked, not_recorded: Collection[str] = ()) -> None:
    """Check the inputs that depend on each other. What is not recorded of an imported job need not be said."""
    inputs = found.inputs
    if (
        not {"command", "script"} & {*inputs, *not_recorded}
        and not found.has_failed("command")
        and not found.has_failed("script")
    ):
        found.fail("command", "is required, or script", remedy="a job needs one of the two")
    if "command" in inputs and "script" in inputs:
        found.fail("script", "cannot be set beside command", remedy="remove one of the two")
    if "args" in inputs and "script" not in inputs:
        found.fail("args", "needs a script", remedy="write the arguments of a command into the command")
