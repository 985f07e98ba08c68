"""Looking up at a service, for `change-api-url`, what the state of a stack records: by id, and by name as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.cli.kinds import RECORDED
from flow_resources.cloud import Project
from flow_resources.core.stack_state import RecordedThing
from flow_resources.lifecycle.job import JOB
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.verbs import AnyResource

FOUND = "found"


@dataclass(frozen=True)
class LookedUp:
    """A recorded thing, and what the service says of it."""

    thing: RecordedThing
    kind: AnyResource | None
    """None for an id of no kind that this version knows."""
    problem: str = ""
    """Why it is not proven to be the recorded one; empty where it is."""
    note: str = ""
    """What else the person has to know of one that is."""


def look_up(op: Operation, things: Sequence[RecordedThing]) -> list[LookedUp]:
    """Look up all things in the project of the settings.

    A bid that has ended is found where the service still tells its name. A job that is recorded as ended needs none: it
    costs nothing, and stays recorded where the service has forgotten its bid. Raises AccountMismatchError where the key
    does not list the project, and UnavailableError where the service gives no readable answer: nothing is proven then.
    """
    project = op.cloud.project()
    kinds = [kind for kind in RECORDED if any(thing.id.startswith(kind.id_prefix) for thing in things)]
    live = {kind.id_prefix: {one.id: one for one in kind.list_all(op)} for kind in kinds}
    found = []
    for thing in things:
        kind = next((kind for kind in kinds if thing.id.startswith(kind.id_prefix)), None)
        problem, note = _problem_of_record(thing, project), ""
        if kind is None:
            problem = problem or "its id is of no kind that this version knows"
        elif not problem:
            one = live[kind.id_prefix].get(thing.id) or kind.find(op, thing.id)
            problem = "" if one is None and thing.has_ended else _problem_of_answer(thing, one)
            note = _note(thing, one)
        found.append(LookedUp(thing, kind, problem, note if not problem else ""))
    return found


def _problem_of_record(thing: RecordedThing, project: Project) -> str:
    for what, value in (("API URL", thing.service), ("project", thing.project), ("name", thing.name)):
        if value is None:
            return f"the state does not tell its {what}"
    if thing.project != project.id:
        return f"recorded in project {thing.project}, the settings point at {project.name} ({project.id})"
    return ""


def _problem_of_answer(thing: RecordedThing, one: Any) -> str:
    if one is None:
        return "not there"
    if one.name != thing.name:
        return f"named {one.name!r} there"
    if one.project != thing.project:
        return f"in project {one.project!r} there"
    return ""


def _note(thing: RecordedThing, one: Any) -> str:
    if thing.kind != JOB.name:
        return ""
    if one is None:
        return "it has ended, and its bid is forgotten"
    if thing.has_ended or one.ended:
        return ""
    return "its machine ends it at the old address"
