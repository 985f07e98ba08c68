"""A simulation of a stack's life, with the invariants that each of its moments is checked against.

A `Simulation` is a program, a stack whose plugin can be killed, and a cloud that others use, too. Its methods are the
actions of the user, of the market and of others, and injected faults. After each of them it compares the service with
the state, and fails if the stack lost_creates, duplicated or forgot a resource, or changed one that is not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from faults import matrix
from faults.matrix import KillableStack, Scenario
from support.stack import CheckError, Declared, FakeClock, Saved, VerbError, cluster, settings_of, volume

from flow_resources.core.inputs import UNKNOWN
from flow_resources.core.naming import Mark, compose, take_apart
from flow_resources.testing import FakeMithril

REGION = "us-central5-a"
LOW_PRICE, HIGH_PRICE = 12.0, 90.0
"""USD per machine and hour: every bid of a simulation wins at the low price and none at the high one."""
LIMIT_SECONDS = 20.0
"""The `custom_timeouts` of all resources: nothing really sleeps, but each poll costs requests."""
METHODS_BY_STEP = {
    "create": ["POST"],
    "update": ["PATCH"],
    "replace": ["DELETE", "POST"],
    "delete": ["DELETE"],
    "same": [],
}
"""The methods that each step of a preview normally sends."""
STATUSES = {
    "Open": {"pending", "preempted"},
    "Allocated": {"starting", "running", "failed"},
    "Preempting": {"preempting"},
    "Paused": {"paused"},
}


@dataclass(frozen=True)
class InjectedFault:
    """A fault and its request: the nth of all, or the nth mutating one."""

    fault: str
    nth: int
    mutating: bool = True
    retried: bool = True
    """Whether the user then runs the same operation again."""

    def locate(self, methods: list[str]) -> tuple[int, str | None]:
        """Return the number and the method of the request, given the mutating methods of the operation in order."""
        if not (self.mutating and methods):
            return self.nth, None
        index = (self.nth - 1) % len(methods)
        return 1 + methods[:index].count(methods[index]), methods[index]


@dataclass(frozen=True)
class Ref:
    """A reference to the id of another resource of the program, like an Output of it."""

    name: str


class LinkedStack(KillableStack):
    """A stack whose resources can reference each other; ids of resources to be created are unknown at preview."""

    previewing = False
    planned: Mapping[str, str] = {}

    def preview(self, program: Mapping[str, Declared]) -> dict[str, str]:
        """Preview, with unknown ids for the resources to be created."""
        self.previewing, self.planned = True, {}
        try:
            return super().preview(program)
        finally:
            self.previewing = False

    def check(self, name: str, declared: Declared, saved: Saved | None) -> dict[str, Any]:
        """Replace references by ids, as the program side does."""
        inputs = dict(declared.inputs)
        if mounts := inputs.get("volumes"):
            inputs["volumes"] = [{**mount, "volume_id": self._id_of(mount["volume_id"])} for mount in mounts]
        return super().check(name, replace(declared, inputs=inputs), saved)

    def _id_of(self, ref: Ref) -> Any:
        id_is_kept = self.planned.get(ref.name, "same") in ("same", "update")
        known = ref.name in self.state and (id_is_kept or not self.previewing)
        return self.state[ref.name].id if known else UNKNOWN

    def _step(self, name: str, saved: Saved | None, news: dict[str, Any], declared: Declared) -> str:
        step = super()._step(name, saved, news, declared)
        self.planned = {**self.planned, name: step}
        return step


@dataclass
class Snapshot:
    """All live resources that are not foreign, and those that the state records, by id."""

    bids: dict[str, Mapping[str, Any]]
    volumes: dict[str, Mapping[str, Any]]
    recorded: dict[str, str]
    """The name in the program by id, including resources pending deletion."""

    @property
    def live(self) -> set[str]:
        """The live ids of both kinds."""
        return {*self.bids, *self.volumes}

    @property
    def unrecorded(self) -> set[str]:
        """The live ids that the state does not record."""
        return self.live - set(self.recorded)


@dataclass
class Simulation:
    """A stack, its program and its cloud."""

    cloud: FakeMithril
    program: dict[str, Declared] = field(default_factory=dict)
    lost_creates: dict[str, str] = field(default_factory=dict)
    """Creates that were accepted before the plugin was killed, id to name. The next successful `up` must find them."""
    orphans: set[str] = field(default_factory=set)
    """The same while the state records the old resource (create-first): taken over if the program is unchanged."""
    needs_refresh: bool = False
    """Whether something happened that only a refresh, or the market, can correct."""

    def __post_init__(self) -> None:
        """Create the account, with foreign resources, some of which have names like those of the stack."""
        self.clock = FakeClock()
        self.clock.on_sleep = lambda: self.cloud.clock.advance(self.clock.slept[-1])
        self.stack = LinkedStack(settings_of(self.cloud), clock=self.clock)
        self.accepted = dict(self.program)
        foreign_mark = Mark.of("acme/training/prod", self.stack.urn("a", "GpuCluster"))
        names = ("a", "a-1", compose("a", foreign_mark, "0a1b2c", 1), "somebody-elses")
        self.foreign_ids = {self.cloud.add_bid(name)["fid"] for name in names}
        self.foreign_ids |= {self.cloud.add_volume(name.replace("a", "x", 1))["fid"] for name in names}
        self.cloud.set_price("8xa100", REGION, LOW_PRICE)
        self.cloud.clear_requests()

    # -- edits of the program ----------------------------------------------------------------------------------------

    def declare(self, name: str, declared: Declared) -> None:
        """Add a resource; volumes come first, as a program declares them before it mounts them."""
        resources = {**self.program, name: declared}
        self.program = dict(sorted(resources.items(), key=lambda pair: (pair[1].type != "Volume", pair[0])))

    def edit(self, name: str, *, create_first: bool | None = None, **inputs: Any) -> None:
        """Change inputs; None removes an input."""
        old = self.program[name]
        merged = {key: value for key, value in {**old.inputs, **inputs}.items() if value is not None}
        first = old.create_first if create_first is None else create_first
        if old.type == "Volume":
            first = "volume_name" not in merged  # as the resource class does
        self.program[name] = Declared(old.type, merged, first, old.timeout)

    def remove(self, name: str) -> None:
        """Remove a resource and its mounts."""
        del self.program[name]
        for other, declared in list(self.program.items()):
            if name in mounted(declared):
                rest = [mount for mount in declared.inputs["volumes"] if mount["volume_id"].name != name]
                self.edit(other, volumes=rest or None)

    # -- operations ------------------------------------------------------------------------------------------------

    def preview(self) -> dict[str, str] | None:
        """Preview; return None if the program is rejected, which then goes back to the last accepted one."""
        with self._no_changes():
            try:
                plan = self.stack.preview(self.program)
            except CheckError:
                self.program = {name: declared for name, declared in self.accepted.items() if name in self.program}
                return None
        self.accepted = dict(self.program)
        return plan

    def up(self, *, force: str | None = None, injected: InjectedFault | None = None) -> None:
        """Preview, then run `pulumi up`, possibly with a fault or a crash; then check the invariants."""
        plan = self.preview()
        if plan is None:
            return
        before, forced = self.observe(), {force} & set(self.stack.state)
        deletable = self._deletable_ids(plan, forced)
        methods = [
            method for name, step in plan.items() for method in METHODS_BY_STEP["replace" if name in forced else step]
        ]
        error = self._run(lambda stack: stack.up(self.program, force=forced), injected, methods)
        after = self.observe()
        self._check(before, after, deletable, killed=error == "killed")
        if error is None:
            self._check_after_up(None if forced else plan, before, after)
        else:
            self._handle_failure(error, injected, None if forced else self.up)

    def refresh(self, *, injected: InjectedFault | None = None) -> None:
        """Run `pulumi refresh`: the state then equals the service."""
        before = self.observe()
        error = self._run(KillableStack.refresh, injected, [])
        after = self.observe()
        self._check(before, after, set(), killed=error == "killed")
        if error is None:
            self._check_after_refresh(after)
        else:
            assert injected, f"failed without a fault: {error}"

    def destroy(self, *, injected: InjectedFault | None = None) -> None:
        """Run `pulumi destroy`: nothing that the state records is left."""
        before = self.observe()
        error = self._run(KillableStack.destroy, injected, ["DELETE"] * len(before.recorded))
        after = self.observe()
        self._check(before, after, set(before.recorded), killed=error == "killed")
        if error is None:
            assert not self.stack.state
            assert after.live <= self.orphans
        else:
            self._handle_failure(error, injected, self.destroy)

    def recover(self) -> None:
        """Let the market settle and run `pulumi up --refresh`: everything is again as declared."""
        self.refresh()
        self.settle()
        if self.preview() is None:
            assert self.preview() is not None, "a program that was accepted before is rejected"
        self.up()
        self._check_convergence()

    # -- events -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Lower the price, let notices expire, release preempted bids, and do what the error messages ask for."""
        self.cloud.clock.advance(minutes=10)
        self.cloud.set_price("8xa100", REGION, LOW_PRICE)
        for bid in self.cloud.live_bids:
            self.cloud.release(bid["fid"])
            if bid["fid"] in self.orphans:  # it may hold a volume: somebody cancels it, as the error asks for
                self.cloud.terminate(bid["fid"])
        for _, saved in self.stack.pending_deletes:  # a refresh does not read it: somebody restores its name
            if saved.id in self.observe().volumes:
                self.cloud.update_volume(saved.id, name=saved.outputs["volume_name"])
        self.cloud.clock.advance(minutes=10)
        self.needs_refresh = False

    def _handle_failure(self, error: str, injected: InjectedFault | None, operation: Callable[[], None] | None) -> None:
        """Run the operation again if an injected fault alone made it fail; else note that it may need a refresh."""
        held = any(id_ in error for id_ in self.orphans)  # a volume, by the orphan of a killed plugin
        assert injected or self.needs_refresh or held, f"failed without a fault: {error}"
        if operation and injected and injected.retried and not self.needs_refresh:
            operation()
        else:
            self.needs_refresh = True

    # -- observing --------------------------------------------------------------------------------------------------

    def observe(self) -> Snapshot:
        """Return what is live in the service and what the state records; check that nothing foreign was changed."""
        # Pending deletions come first: of two ids with one name, that of the state itself wins.
        recorded = {saved.id: name for name, saved in [*self.stack.pending_deletes, *self.stack.state.items()]}
        # A pending deletion may have been taken over; it then belongs to two resources until its delete keeps it.
        ids = [saved.id for saved in self.stack.state.values()]
        assert len(set(ids)) == len(ids), "two resources have one id"
        bids = {bid["fid"]: bid for bid in self.cloud.live_bids}
        volumes = {volume["fid"]: volume for volume in self.cloud.volumes}
        assert self.foreign_ids <= {*bids, *volumes}, "a foreign resource is gone"
        changed = [
            request.path for request in self.cloud.mutations if any(id_ in request.path for id_ in self.foreign_ids)
        ]
        assert not changed, f"a foreign resource was changed: {changed}"
        return Snapshot(
            {id_: bid for id_, bid in bids.items() if id_ not in self.foreign_ids},
            {id_: volume for id_, volume in volumes.items() if id_ not in self.foreign_ids},
            recorded,
        )

    def names_of_lost_creates(self) -> set[str]:
        """The names of resources that a killed plugin may have created: the user runs `up` before removing them."""
        return set(self.lost_creates.values())

    # -- invariants -------------------------------------------------------------------------------------------------

    def _run(self, action: Any, injected: InjectedFault | None, methods: list[str]) -> str | None:
        if injected:
            nth, method = injected.locate(methods)
            return matrix.run_with_fault(self.cloud, self.stack, Scenario({}, action, {}), nth, injected.fault, method)
        try:
            action(self.stack)
        except (VerbError, CheckError) as error:
            return str(error)
        return None

    @contextmanager
    def _no_changes(self) -> Iterator[None]:
        before, sent = self.observe(), len(self.cloud.mutations)
        yield
        after = self.observe()
        assert len(self.cloud.mutations) == sent, "a preview changed something"
        assert (after.live, after.recorded) == (before.live, before.recorded)

    def _deletable_ids(self, plan: Mapping[str, str], forced: set[str]) -> set[str]:
        """The ids that an `up` may delete: those that the plan replaces or deletes, and the pending deletions."""
        names = {name for name, step in plan.items() if step in ("replace", "delete")} | forced
        return {self.stack.state[name].id for name in names} | {saved.id for _, saved in self.stack.pending_deletes}

    def _check(self, before: Snapshot, after: Snapshot, deletable: set[str], *, killed: bool) -> None:
        """Check what must hold after every operation, whether it succeeded or not."""
        ended = set(before.volumes) - set(after.volumes)
        assert ended <= deletable, f"volumes deleted without being in the plan: {ended - deletable}"
        ended = (set(before.bids) & set(before.recorded)) - set(after.bids)
        assert ended <= deletable, f"clusters cancelled without being in the plan: {ended - deletable}"
        forgotten = (set(before.recorded) - set(after.recorded)) & after.live
        assert not forgotten, f"dropped from the state without proof: {forgotten}"
        known = {*self.lost_creates, *self.orphans}
        appeared = after.unrecorded - known
        assert killed or not appeared, f"not recorded: {appeared}"
        for id_ in appeared:
            name = self._find_name(id_, after)
            if name in self.stack.state:
                self.orphans.add(id_)
            else:
                self.lost_creates[id_] = name
        self.orphans &= after.live
        self.lost_creates = {id_: name for id_, name in self.lost_creates.items() if id_ in after.unrecorded}
        self.orphans -= set(after.recorded)

    def _find_name(self, id_: str, snapshot: Snapshot) -> str:
        """Find the resource of a live id by its name in the service alone, as `sweep` or a person would."""
        name = str({**snapshot.bids, **snapshot.volumes}[id_]["name"])
        if parts := take_apart(name):
            for resource_name, declared in self.program.items():
                if parts.mark == Mark.of(self.stack.owner, self.stack.urn(resource_name, declared.type)):
                    return resource_name
        chosen = [key for key, declared in self.program.items() if declared.inputs.get("volume_name") == name]
        assert len(chosen) == 1, f"{name} cannot be found by its name"
        return chosen[0]

    def _check_after_up(self, plan: Mapping[str, str] | None, before: Snapshot, after: Snapshot) -> None:
        """Check what must hold after a successful `up`."""
        assert set(self.stack.state) == set(self.program)
        assert not self.stack.pending_deletes
        for id_, name in list(self.lost_creates.items()):  # still unrecorded, else `_check` had removed it
            # Data is never deleted: a volume of another size is reported and left to the user.
            assert id_ in after.volumes, f"the bid {id_} of {name} was not taken over"
            size = int(self.program[name].inputs["size_gb"])
            assert after.volumes[id_]["capacity_gb"] != size, f"the volume {id_} of {name} was not taken over"
            self.orphans.add(id_)
            del self.lost_creates[id_]
        assert after.unrecorded <= self.orphans
        if plan:
            self._check_plan(plan, before, after)
        sent = len(self.cloud.mutations)
        assert set(self.stack.preview(self.program).values()) <= {"same"}, "a second preview shows a change"
        self.stack.up(self.program)
        assert len(self.cloud.mutations) == sent, "a second up changed something"
        assert self.observe().recorded == after.recorded
        if not self.needs_refresh:
            assert set(after.recorded) == after.live - self.orphans

    def _check_plan(self, plan: Mapping[str, str], before: Snapshot, after: Snapshot) -> None:
        """Check that the `up` did what its preview error."""
        olds = {name: id_ for id_, name in before.recorded.items()}
        news = {name: id_ for id_, name in after.recorded.items()}
        for name, step in plan.items():
            if step in ("same", "update"):
                assert news[name] == olds[name], f"{name}: {step} created another resource"
            elif step == "replace":
                assert news[name] != olds[name], f"{name} was not replaced"
            else:
                assert (name in news) == (step == "create"), f"{name}: {step}"

    def _check_after_refresh(self, after: Snapshot) -> None:
        """Check that the state records what is live, with its status, name and price."""
        # The engine reads neither pending deletions nor what it has deleted for a replacement.
        refreshed = [saved for saved in self.stack.state.values() if not saved.replacing]
        assert {saved.id for saved in refreshed} <= after.live, "a refresh kept a resource that is gone"
        for saved in refreshed:
            outputs = saved.outputs
            if saved.type == "Volume":
                row = after.volumes[saved.id]
                assert (outputs["volume_name"], sorted(outputs["attached_to"])) == (row["name"], sorted(row["bids"]))
                continue
            row = after.bids[saved.id]
            assert outputs["status"] in STATUSES[row["status"]], (outputs["status"], row["status"])
            assert f"${outputs['max_price_per_hour']:.2f}" == row["limit_price"]
            assert sorted(outputs["volume_ids"]) == sorted(row["launch_specification"]["volumes"])

    def _check_convergence(self) -> None:
        """Check convergence: what is live is what is declared, once each, and the state records it."""
        after = self.observe()
        assert {name: saved.type for name, saved in self.stack.state.items()} == {
            name: declared.type for name, declared in self.program.items()
        }
        assert set(after.recorded) == after.live - self.orphans
        for id_, name in after.recorded.items():
            inputs = self.program[name].inputs
            if id_ in after.volumes:
                row = after.volumes[id_]
                assert row["capacity_gb"] == inputs["size_gb"]
                assert row["name"] == inputs.get("volume_name", row["name"])
                continue
            row = after.bids[id_]
            assert row["limit_price"] == f"${inputs['max_price_per_hour']:.2f}"
            assert row["instance_quantity"] == inputs.get("num_instances", 1)
            assert row["status"] == ("Paused" if inputs.get("paused") else "Allocated")


def mounted(declared: Declared) -> list[str]:
    """Return the names of the volumes that a cluster mounts."""
    return [mount["volume_id"].name for mount in declared.inputs.get("volumes", [])]


def new_cluster(**inputs: Any) -> Declared:
    """Declare a cluster of a simulation."""
    return cluster(timeout=LIMIT_SECONDS, **inputs)


def new_volume(**inputs: Any) -> Declared:
    """Declare a volume of a simulation."""
    return volume(timeout=LIMIT_SECONDS, create_first="volume_name" not in inputs, **inputs)
