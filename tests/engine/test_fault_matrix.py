"""The fault matrix through the real engine: every request that changes something, struck by every kind of end.

The cells are made from what a clean run asks. After each comes one recovery, with `pulumi cancel` before it where the
engine was killed, and the questions of `faults.matrix`: what is live is what the program declares and what the state
records, and after `destroy` nothing is. A sample runs with the other tests, all of it with `make faults`; in the
provider plugin the sample alone.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from pathlib import Path

import pytest
from faults import matrix
from faults.matrix import CRASH_POINTS, CREATE_FIRST, FORCED, SCENARIOS
from faults.real import KILL_TARGETS, RealStack

from flow_resources.testing import FakeMithril
from flow_resources.testing.web.journal import MUTATING

DEEDS = {name: one for name, one in (SCENARIOS | FORCED).items() if not name.startswith(("refresh", "pause"))}
REPLACEMENTS = [name for name in DEEDS if "replace" in name]
ANSWERS = ("reset after", "500 after", "hang after", "truncated")
HTTP_SECONDS = "1"  # what a client waits for an answer where one hangs
WHOLE = [(name, fault, "") for name in DEEDS for fault in ANSWERS]
WHOLE += [(name, moment, target) for name in DEEDS for moment in CRASH_POINTS for target in KILL_TARGETS]
SAMPLE = [
    ("create a cluster", "reset after", ""),
    ("create a volume", "hang after", ""),
    ("create a cluster", "killed after acceptance", "the engine"),
    ("create a volume", "killed before the send", "the engine"),
    ("replace a cluster", "killed after acceptance", "the plugin"),
    (f"replace a cluster, {CREATE_FIRST}", "killed after acceptance", "both"),
    ("destroy a cluster", "killed after acceptance", "both"),
]
FORMS = ("force a replacement", f"replace a cluster, {CREATE_FIRST}")
IN_THE_PLUGIN = ("replace a cluster", "killed after acceptance", "the plugin")
"""The cell that runs in the provider plugin in `make test`; `make languages` runs the rest of the sample in it."""


def marks(name, marker):
    """Return what marks a test of a deed: one worker takes all of them, and does its clean runs once."""
    return [pytest.mark.xdist_group(name), *([getattr(pytest.mark, marker)] if marker else [])]


CELLS = [pytest.param("dynamic", *one, marks=marks(one[0], "" if one in SAMPLE else "faults")) for one in WHOLE]
CELLS += [
    pytest.param("plugin", *one, marks=marks(one[0], "" if one == IN_THE_PLUGIN else "languages")) for one in SAMPLE
]
RUNS = [pytest.param("dynamic", one, marks=marks(one, "" if one in FORMS else "faults")) for one in REPLACEMENTS]
RUNS += [pytest.param("plugin", one, marks=marks(one, "languages")) for one in REPLACEMENTS]


@functools.cache
def clean_run(_host, name):
    """Return what a clean run of a deed asks, as (method, path), once a process and host; nothing is wrong after it."""
    with tempfile.TemporaryDirectory() as folder, FakeMithril() as cloud:
        stack = RealStack.make(Path(folder), cloud)
        asked = [tuple(one.split(maxsplit=1)) for one in matrix.list_requests(cloud, DEEDS[name], stack)]
        assert list(matrix.find_violations(cloud, stack, DEEDS[name])) == []
    return asked


def place_of(asked, nth):
    """Return the method of a request and its place among those of its method: readings beside it come in any order."""
    method = asked[nth - 1][0]
    return method, sum(one == method for one, _ in asked[:nth])


def wrong_after(folder, name, asked, nth, fault, kill_targets):
    """Strike what a clean run asked as its nth request, recover once, and return what is wrong then."""
    scenario = DEEDS[name]
    with (
        FakeMithril(idempotency="ignore") as cloud,
        contextlib.closing(RealStack.make(folder, cloud, kill_targets)) as stack,
    ):
        matrix.prepare(cloud, stack, scenario)
        cloud.clear_requests()
        if fault.startswith("hang"):
            stack.project.env["FLOW_RESOURCES_HTTP_SECONDS"] = HTTP_SECONDS
        method, place = place_of(asked, nth)
        # After its answer is before the next request, whatever its method.
        where = (nth, fault) if fault == "killed after the answer" else (place, fault, method)
        matrix.run_with_fault(cloud, stack, scenario, *where)
        stack.project.env.pop("FLOW_RESOURCES_HTTP_SECONDS", None)
        assert sum(one.method == method for one in cloud.requests) >= place
        matrix.recover(stack, scenario)
        return list(matrix.find_violations(cloud, stack, scenario))


@pytest.mark.parametrize(("host_of_verbs", "name", "fault", "kill_targets"), CELLS, indirect=["host_of_verbs"])
def test_one_fault_at_every_request_that_changes_something(
    clean_environment, tmp_path, host_of_verbs, name, fault, kill_targets
):
    """One recovery makes up for it, also where the service ignores the Idempotency-Key."""
    asked = clean_run(host_of_verbs, name)
    struck = [nth for nth, (method, _) in enumerate(asked, 1) if method in MUTATING]
    assert struck
    found = {nth: wrong_after(tmp_path / str(nth), name, asked, nth, fault, kill_targets) for nth in struck}
    assert {nth: wrong for nth, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(("host_of_verbs", "name"), RUNS, indirect=["host_of_verbs"])
def test_a_replacement_leaves_one_bid(clean_environment, host_of_verbs, name):
    """By diff and by `--target-replace`, with the same and with changed inputs, in both orders."""
    asked = [method for method, path in clean_run(host_of_verbs, name) if method in MUTATING and "api-keys" not in path]
    is_made_first = any(one.create_first for one in DEEDS[name].after.values())
    assert asked == (["POST", "DELETE"] if is_made_first else ["DELETE", "POST"])
