"""A stack as the watch sees and changes it, on Pulumi's Automation API. Nothing here reads or writes a state itself.

A look is a preview with a refresh: it takes no lock of the stack and writes nothing. The refresh comes first, so that
what the service says is told also where the program then fails. What changes the stack is an ordinary `refresh` or
`up` of targets, which takes the lock; it is never taken away from another.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from pulumi import automation
from pulumi.automation import events

from flow_resources.backend import WHOLE_NAMES, describe
from flow_resources.cli.watch.look import FLEET_STATUS, WATCHED, Cluster, Look, Outcome, Preview, Step, market_in
from flow_resources.core.naming import kind_of
from flow_resources.errors import FlowResourcesError, one_line
from flow_resources.pulumi_command import PulumiCommand

_HISTORY = 100
_OUTDATED = "violates plan"
_OPTIONS = ("protect", "retain_on_delete")
"""Options of a resource of which the engine tells what the state has, and what the program says."""


class StackBusyError(FlowResourcesError):
    """Another operation of the stack is under way, or died and left its lock."""


class StackUnreachableError(FlowResourcesError):
    """Nothing is known: neither of the service nor of the program."""


class WatchedStack(Protocol):
    """What a round needs of a stack."""

    @property
    def name(self) -> str:
        """organization/project/stack."""
        ...

    def look(self) -> Look:
        """Return what is recorded, what is, and what an `up` would do. Raises StackUnreachableError."""
        ...

    def record(self, urns: Sequence[str]) -> None:
        """Refresh these resources. Raises StackBusyError, StackUnreachableError."""
        ...

    def preview(self, targets: Sequence[str], plan: Path) -> Preview:
        """Preview an `up` of targets, and save its plan; without targets, of the whole stack."""
        ...

    def up(self, targets: Sequence[str], plan: Path, message: str) -> Outcome:
        """Do what was planned. Raises StackBusyError."""
        ...

    def updates(self, since: datetime) -> list[tuple[str, datetime | None]]:
        """Return messages and start times of the updates since a moment. Raises StackUnreachableError."""
        ...


class _Workspace(automation.LocalWorkspace):
    """A project's folder. The Automation API would select each stack in it, for a person's next command too."""

    def select_stack(self, stack_name: str) -> None:
        """Select nothing: every command of a Stack names it."""


class PulumiStack:
    """A stack of the `pulumi` on PATH."""

    def __init__(self, folder: str, name: str) -> None:
        self.name = name
        workspace = _Workspace(folder, pulumi_command=PulumiCommand(), env_vars=WHOLE_NAMES)
        self._stack = automation.Stack.select(name, workspace)

    def look(self) -> Look:
        """Return what is recorded, what is, and what an `up` would do."""
        told, problem = self._run(lambda heard: self._stack.preview(refresh=True, on_event=heard))
        look = told.look(problem)
        if problem and not look.clusters:
            raise StackUnreachableError(problem)
        return look

    def record(self, urns: Sequence[str]) -> None:
        """Refresh these resources."""
        _, problem = self._run(
            lambda heard: self._stack.refresh(
                target=list(urns), message="flow-resources watch: refresh", on_event=heard, show_secrets=False
            )
        )
        if problem:
            raise StackUnreachableError(problem)

    def preview(self, targets: Sequence[str], plan: Path) -> Preview:
        """Preview an `up` of targets, and save its plan."""
        told, problem = self._run(
            lambda heard: self._stack.preview(
                refresh=True, target=list(targets) or None, plan=str(plan), on_event=heard
            )
        )
        return Preview(tuple(told.steps(_changed_inputs(plan))), problem)

    def up(self, targets: Sequence[str], plan: Path, message: str) -> Outcome:
        """Do what was planned."""
        told, problem = self._run(
            lambda heard: self._stack.up(
                refresh=True, target=list(targets) or None, plan=str(plan), message=message, on_event=heard,
                show_secrets=False,
            )
        )  # fmt: skip
        return told.outcome(problem)

    def updates(self, since: datetime) -> list[tuple[str, datetime | None]]:
        """Return messages and start times of the updates since a moment, and of some before."""
        found = list[tuple[str, datetime | None]]()
        for page in count(1):
            try:
                history = self._stack.history(page_size=_HISTORY, page=page, show_secrets=False)
            except (automation.CommandError, ValueError, KeyError) as error:
                message = f"the history of {self.name} could not be read: {describe(error)}"
                raise StackUnreachableError(message) from error
            found += [(one.message or "", _moment(one.start_time)) for one in history if one.kind == "update"]
            oldest = _moment(history[-1].start_time) if history else None
            if len(history) < _HISTORY or (oldest and oldest < since):
                break
        return found

    def _run(self, operation: Callable[[Callable[[events.EngineEvent], None]], object]) -> tuple[_Told, str]:
        """Run an operation; return what it told, and why it failed, in one line."""
        told = _Told()
        try:
            operation(told.hear)
        except automation.ConcurrentUpdateError as error:
            raise StackBusyError(
                f"an operation of {self.name} is under way, or died and has left its lock",
                f"it is waited for; where it has died, `pulumi cancel --stack {self.name}` takes its lock away",
            ) from error
        except automation.CommandError as error:
            return told, told.reason or describe(error)
        except (RuntimeError, OSError) as error:  # the Automation API's words for what Pulumi did not finish
            return told, told.reason or one_line(f"`pulumi` could not be run: {error}")
        except (ValueError, KeyError, TypeError) as error:  # another stack must not suffer for it
            return told, told.reason or f"`pulumi` printed what cannot be read: {describe(error)}"
        return told, ""


@dataclass
class _Row:
    """What the engine tells of one resource."""

    type: str = ""
    parent: str = ""
    ops: set[str] = field(default_factory=set)
    olds: Mapping[str, Any] = field(default_factory=dict)
    news: Mapping[str, Any] = field(default_factory=dict)
    reasons: set[str] = field(default_factory=set)
    options: set[str] = field(default_factory=set)
    """The options that differ, of those that the engine tells."""
    is_refreshed: bool = False
    is_recorded: bool = True
    recorded: Mapping[str, Any] | None = None
    live: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    message: str = ""
    market: str = ""
    is_done: bool = False
    has_failed: bool = False


class _Told:
    """The events of one operation of the engine, as far as they matter: nothing else is kept."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._errors: list[str] = []

    @property
    def reason(self) -> str:
        """The first error that the engine told; empty where it told none."""
        own = (error for row in self._rows.values() for error in row.errors)
        return next(own, "") or next(iter(self._errors), "")

    def hear(self, event: events.EngineEvent) -> None:
        """Take an event in."""
        if event.resource_pre_event:
            self._hear_step(event.resource_pre_event.metadata, is_end=False)
        elif event.res_outputs_event:
            self._hear_step(event.res_outputs_event.metadata, is_end=True)
        elif event.res_op_failed_event:
            self._row(event.res_op_failed_event.metadata.urn).has_failed = True
        elif event.diagnostic_event and event.diagnostic_event.severity != "debug":
            self._hear_message(event.diagnostic_event)

    def look(self, problem: str) -> Look:
        """Return what a preview with a refresh told."""
        clusters = [
            Cluster(
                urn,
                row.type,
                row.recorded,
                row.live,
                row.inputs,
                "" if row.is_refreshed else next(iter(row.errors), "") or problem or "the engine did not tell",
                row.is_recorded,
                market_in(row.market),
                row.parent,
            )
            for urn, row in self._rows.items()
            if kind_of(row.type) in WATCHED and "refresh" in row.ops
        ]
        fleets = (urn for urn, row in self._rows.items() if kind_of(row.type) == FLEET_STATUS and not row.is_recorded)
        preview = Preview(tuple(self.steps({})), problem)
        return Look(tuple(sorted(clusters, key=lambda one: one.urn)), preview, tuple(sorted(fleets)))

    def steps(self, changed: Mapping[str, frozenset[str]]) -> Iterator[Step]:
        """Yield what an `up` would do with each resource that it would touch."""
        for urn, row in self._rows.items():
            if row.ops - {"refresh"}:
                inputs = None if urn not in changed else changed[urn] | row.options
                yield Step(
                    urn, row.type, frozenset(row.ops), row.olds, row.news, inputs, frozenset(row.reasons),
                    row.parent, row.message,
                )  # fmt: skip

    def outcome(self, problem: str) -> Outcome:
        """Return what an `up` did."""
        failed = {
            urn: next(iter(row.errors), problem) for urn, row in self._rows.items() if row.has_failed or row.errors
        }
        done = {urn for urn, row in self._rows.items() if row.is_done and urn not in failed}
        said = [problem, *self._errors, *failed.values()]
        return Outcome(frozenset(done), failed, problem, any(_OUTDATED in one for one in said))

    def _row(self, urn: str) -> _Row:
        return self._rows.setdefault(urn, _Row())

    def _hear_step(self, step: events.StepEventMetadata, *, is_end: bool) -> None:
        if step.old and step.old.delete and str(getattr(step.op, "value", step.op)) == "refresh":
            return  # what was replaced, and waits for its deletion under the URN of what replaced it
        row, op = self._row(step.urn), str(getattr(step.op, "value", step.op))
        row.type = step.type or row.type
        row.ops.add(op)
        either = step.new or step.old
        row.parent = (either.parent if either else "") or row.parent
        if op != "refresh":
            row.reasons |= set(step.keys or ())
            row.is_done |= is_end and op not in ("same", "read")
            if step.old and not row.olds:
                row.olds = step.old.inputs or {}
            if step.new and step.new.inputs:
                row.news = step.new.inputs
            if step.old and step.new:
                row.options |= {one for one in _OPTIONS if bool(getattr(step.old, one)) != bool(getattr(step.new, one))}
        elif is_end:
            old, new = step.old, step.new
            row.is_refreshed = True
            row.recorded = old.outputs if old else None
            row.live, row.inputs = (new.outputs, new.inputs or {}) if new else (None, old.inputs or {} if old else {})
            row.is_recorded = (
                new is not None and old is not None and (old.outputs, old.inputs) == (new.outputs, new.inputs)
            )

    def _hear_message(self, said: events.DiagnosticEvent) -> None:
        text = one_line(said.message)
        if said.urn:
            row = self._row(said.urn)
            if said.severity == "info" and not said.ephemeral:
                row.message = text
            row.market = text if market_in(text) else row.market
        if said.severity == "error":
            (self._row(said.urn).errors if said.urn else self._errors).append(text)


def _changed_inputs(plan: Path) -> dict[str, frozenset[str]]:
    """Return by URN which inputs a saved plan changes, secret ones too; empty where it cannot be read."""
    try:
        resources = json.loads(plan.read_text(encoding="utf-8"))["resourcePlans"]
        return {
            urn: frozenset(name for part in (resource["goal"]["inputDiff"] or {}).values() for name in part)
            for urn, resource in resources.items()
            if resource.get("goal")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)


@contextmanager
def plan_file() -> Iterator[Path]:
    """Provide a place for a plan, which holds sealed secrets and is gone afterwards.

    Raises StackUnreachableError where there is none.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="flow-resources-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StackUnreachableError(one_line(f"a plan could not be written: {error}")) from error
    with folder:
        yield Path(folder.name) / "plan.json"
