"""Made-up lives of a stack: whatever a user, the market and bad luck do, in whatever order, no promise breaks.

The lives of an ordinary run are always the same ones. `make sweep` lives others: 200 of 30 steps, or as many as
FLOW_RESOURCES_LIVES says, in portions with a seed each, FLOW_RESOURCES_SEED onwards. A failure shows the shortest life
that fails, as calls that can be read; the seed stands in the test's name (`[7]`: FLOW_RESOURCES_SEED=7 does it again),
and the line `@reproduce_failure(...)` that is printed, put on top of `Lives`, repeats exactly that one.
"""

from __future__ import annotations

import functools
import os
import ssl
import sys

import pytest
from faults.matrix import CRASHES, FAULTS
from faults.stateful_model import CALM_PRICE, DEAR_PRICE, REGION, Life, Ref, Strike, mounted, new_cluster, new_volume
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from flow_resources.providers import base
from flow_resources.testing import Clock, FakeMithril

CLUSTERS, VOLUMES = ("a", "b"), ("x", "y")
# A hang takes real time, and so does a server that is not there; the matrix has both.
STRIKES = [*(name for name in FAULTS if not name.startswith(("hang", "refused"))), *CRASHES]
SHORT, SHORT_STEPS = 20, 12
LONG, LONG_STEPS = int(os.environ.get("FLOW_RESOURCES_LIVES", "200")), 30
PORTION, FIRST = 20, int(os.environ.get("FLOW_RESOURCES_SEED", "1"))

cluster_names, volume_names = (
    st.sampled_from("aaab"),
    st.sampled_from("xxxy"),
)  # rather two things to one than one to two


def inputs(names, **values):
    """Make up a change of some inputs of one resource."""
    return st.tuples(names, st.fixed_dictionaries(values))


changes = st.one_of(
    inputs(cluster_names, max_price_per_hour=st.sampled_from([50.0, 60.0])),
    inputs(cluster_names, paused=st.booleans()),
    inputs(cluster_names, num_instances=st.integers(1, 2), create_first=st.booleans()),
    inputs(cluster_names, command=st.sampled_from(["sleep 1", None]), env=st.sampled_from([{"A": "b"}, None])),
    inputs(cluster_names, volumes=st.lists(volume_names, unique=True)),
    inputs(volume_names, volume_name=st.sampled_from(["corpus", "checkpoints", None])),
    inputs(volume_names, size_gb=st.sampled_from([100, 200]), allow_replace=st.booleans()),
    st.tuples(cluster_names | volume_names, st.sampled_from(["add", "remove"])),
)
meddling = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["preempt", "terminate", "price", "pause", "resume", "detach", "delete", "rename", "dear", "wait"]),
)
strikes = st.builds(
    Strike,
    st.sampled_from(CRASHES) | st.sampled_from(STRIKES),
    st.integers(1, 12),
    st.sampled_from([True, True, False]),
)
OPERATIONS = ("up", "up", "up", "up", "recover", "refresh", "refresh", "replace", "destroy", "preview")


class Lives(RuleBasedStateMachine):
    """Rules: what can happen next."""

    cloud: FakeMithril

    @initialize(
        boot=st.sampled_from([0.0, 3.0]),
        notice=st.sampled_from([0.0, 2.0]),
        cancel=st.sampled_from([0.0, 1.0]),
        detach=st.sampled_from([0.0, 1.0]),
        idempotency=st.sampled_from(["dedupe", "ignore", "terminated"]),
        keep=st.booleans(),
        first=st.booleans(),
    )
    def begin(self, boot, notice, cancel, detach, idempotency, keep, first):
        """A cloud of one temper or another, and a program with one cluster, replaced in one order or the other."""
        self.cloud.reset()
        self.cloud.set_options(
            boot_seconds=boot, preemption_notice_seconds=notice, cancel_seconds=cancel, detach_seconds=detach,
            idempotency=idempotency, keep_instance_ids=keep,
        )  # fmt: skip
        self.life = Life(self.cloud, {"a": new_cluster(create_first=first)})

    @rule(
        happens=st.lists(changes | meddling, max_size=3),
        operation=st.sampled_from(OPERATIONS),
        name=cluster_names,
        struck=st.none() | strikes,
    )
    def live_on(self, happens, operation, name, struck):
        """Something is written into the program, somebody meddles, and the user runs something, come what may."""
        for what, how in happens:
            if isinstance(what, int):
                self._meddle(what, how)
            else:
                self._write(what, how)
        life = self.life
        if operation == "replace":
            life.up(force=name, struck=struck)
        elif operation == "destroy" and not life.lost:  # the user runs `up` again first
            life.destroy(struck=struck)
        elif operation == "refresh":
            life.refresh(struck=struck)
        elif operation == "preview":
            life.preview()
        elif operation == "recover":
            life.recover()
        else:
            life.up(struck=struck)

    # -- what a user writes -----------------------------------------------------------------------------------------

    def _write(self, name, change):
        """Write a change into the program, where it makes sense."""
        life = self.life
        cut_off, there = name in life.cut_off(), name in life.program
        if change == "add" and not there:
            life.declare(name, new_cluster() if name in CLUSTERS else new_volume())
        elif change == "remove" and there and not cut_off:  # the user runs `up` again first
            life.remove(name)
        elif there and isinstance(change, dict) and self._sensible(name, change, cut_off=cut_off):
            if "volumes" in change:
                known = [one for one in change["volumes"] if one in life.program]
                mounts = [{"volume_id": Ref(one), "mount_path": f"/mnt/{one}"} for one in known]
                change = {"volumes": mounts or None}
            life.edit(name, **change)

    def _sensible(self, name, change, *, cut_off):
        """Whether a user who knows the README would write that."""
        others = [one for key, one in self.life.program.items() if key != name]
        if chosen := change.get("volume_name"):  # a name for each; and what a killed plugin made is found by its name
            return not cut_off and chosen not in [one.inputs.get("volume_name") for one in others]
        if "volume_name" in change:
            return not cut_off
        if "size_gb" in change and "volume_name" in self.life.program[name].inputs:
            # Replaced in the delete-first order it takes what mounts it along: the engine's business, not ours.
            return not cut_off and not any(name in mounted(one) for one in others)
        return True

    # -- what others do ---------------------------------------------------------------------------------------------

    def _meddle(self, pick, what):
        """Behind the stack's back."""
        life, cloud = self.life, self.cloud
        if what == "wait":
            cloud.clock.advance(10.0 * pick)
            return
        seen, life.disturbed = life.look(), True
        if what == "dear":
            cloud.set_price("8xa100", REGION, DEAR_PRICE if pick else CALM_PRICE)
            return
        live = seen.volumes if what in ("delete", "rename") else seen.bids
        ours = sorted(set(seen.recorded) & set(live))
        if not ours:
            return
        id_ = ours[pick % len(ours)]
        {
            "preempt": lambda: live[id_]["status"] == "Allocated" and cloud.preempt(id_),
            "terminate": lambda: cloud.terminate(id_),
            "price": lambda: cloud.update_bid(id_, limit_price="$70.00"),
            "detach": lambda: cloud.update_bid(id_, volumes=[]),
            "pause": lambda: cloud.update_bid(id_, paused=True),
            "resume": lambda: cloud.update_bid(id_, paused=False),
            "delete": lambda: cloud.delete_volume(id_, force=True),  # also under the machines that use it
            "rename": lambda: cloud.update_volume(id_, name=f"renamed-{id_.removeprefix('vol_')}"),
        }[what]()

    def teardown(self):
        """However a life went: it recovers, and ends with nothing left."""
        if hasattr(self, "life") and sys.exc_info()[0] is None:  # else this would hide what broke
            self.life.recover()
            self.life.destroy()


@pytest.fixture
def live(clean_environment, monkeypatch):
    """Live so many lives of so many steps, all on one server."""
    # Each operation opens the SDK anew, and each time it reads the authorities of the whole world: two thirds of all.
    monkeypatch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
    with FakeMithril(clock=Clock(speed=0)) as cloud:

        def run(lives, steps, seeded=None):
            class Here(Lives):
                pass

            Here.cloud = cloud
            if seeded is not None:
                Here = seed(seeded)(Here)  # noqa: N806 - a class
            run_state_machine_as_test(
                Here,
                settings=settings(
                    max_examples=lives,
                    stateful_step_count=steps,
                    derandomize=seeded is None,
                    database=None,
                    deadline=None,
                    print_blob=True,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.generate, Phase.shrink],
                ),
            )

        yield run
        base.current().close()


def test_no_life_breaks_a_promise(live):
    """The same lives in every run."""
    live(SHORT, SHORT_STEPS)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seeded", range(FIRST, FIRST + -(-LONG // PORTION)))
def test_no_long_life_breaks_a_promise(live, seeded):
    """Others in every sweep that names another seed."""
    live(min(PORTION, LONG), LONG_STEPS, seeded)
