"""A kind of resource that only says what it is gets everything that the verbs owe: see `support.toy_kind`."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from faults import matrix
from faults.matrix import CRASHES, FAULTS, Scenario
from support import stack as model
from support import toy_kind
from support.stack import CheckError, Declared, FakeClock, Stack, VerbError, operation
from support.toy_kind import ScratchProvider

from flow_resources.core.hidden import SERVICE
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

ONE = {"s": Declared("Scratch", {"size_gb": 10, "note": "canary-note"}, create_first=True)}
LARGER = {"s": Declared("Scratch", {"size_gb": 20, "note": "canary-note"}, create_first=True)}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model of the engine, and the matrix, know it."""
    monkeypatch.setitem(model.PROVIDERS, "Scratch", ScratchProvider)
    monkeypatch.setitem(matrix.LIVE_IDS, "Scratch", matrix.LIVE_IDS["Volume"])
    monkeypatch.delitem(matrix.LIVE_IDS, "Volume")


def test_the_kind_has_fewer_than_eighty_lines() -> None:
    """With its imports and its table."""
    assert len(inspect.getsource(toy_kind).splitlines()) < 80


def test_check_reports_every_bad_input_with_its_path_and_no_secret(stack: Stack) -> None:
    """From the table alone."""
    bad = {"s": Declared("Scratch", {"size_gb": 1000, "note": 7, "colour": "red"})}
    with pytest.raises(CheckError) as failed:
        stack.preview(bad)
    assert set(failed.value.failures) == {"size_gb", "", "colour"}  # of a sensitive one a host would print the value


def test_diff_is_what_the_table_says(stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]) -> None:
    """In the state alone, or a replacement, which says what is lost."""
    stack.up(ONE)
    assert stack.preview(ONE) == {"s": "same"}
    assert stack.preview({"s": Declared("Scratch", {"size_gb": 10, "note": "another"})}) == {"s": "update"}
    cloud.clear_requests()
    assert stack.preview(LARGER) == {"s": "replace"}
    assert "replaced because of size_gb: what is on it is lost" in capsys.readouterr().err
    assert not cloud.mutations


def test_a_secret_that_the_service_echoes_is_redacted(stack: Stack, cloud: FakeMithril) -> None:
    """It was registered before anybody was asked."""
    cloud.faults.add(method="POST", path="volumes", status=400, body={"detail": "no room for canary-note"})
    with pytest.raises(VerbError, match="no room for …"):
        stack.up(ONE)


@pytest.mark.parametrize("verb", ["refresh", "destroy"])
def test_nothing_is_touched_at_another_service(stack: Stack, cloud: FakeMithril, verb: str) -> None:
    """The state records where it lives."""
    stack.up(ONE)
    stack.state["s"].outputs[SERVICE] = "http://elsewhere"
    with pytest.raises(VerbError, match="the state records http://elsewhere"):
        getattr(stack, verb)()
    assert stack.state["s"].id in [volume["fid"] for volume in cloud.volumes]


def test_what_a_lost_create_left_is_taken_over(stack: Stack, cloud: FakeMithril) -> None:
    """By the mark in its name."""
    dark: dict[str, Any] = {"kind": "reset", "when": "before", "times": None}
    cloud.faults.add(method="POST", path="volumes", kind="reset", when="after", then=lambda _: cloud.faults.add(**dark))
    with pytest.raises(VerbError):
        stack.up(ONE)
    cloud.faults.clear()
    (left,) = cloud.volumes
    stack.up(ONE)
    assert stack.state["s"].id == left["fid"]
    assert len(cloud.volumes) == 1


def test_the_id_is_recorded_when_the_verb_fails_after_the_create(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next `up` goes on with it."""
    with monkeypatch.context() as patch:
        patch.setattr(toy_kind.Scratch, "converge", lambda *_: 1 // 0)
        with pytest.raises(VerbError, match="ZeroDivisionError"):
            stack.up(ONE)
    (made,) = cloud.volumes
    assert stack.state["s"].id == made["fid"]
    stack.up(ONE)
    assert [volume["fid"] for volume in cloud.volumes] == [made["fid"]]
    assert stack.preview(ONE) == {"s": "same"}


def test_two_kinds_do_not_know_each_other(stack: Stack) -> None:
    """An operation of the same deployment serves both."""
    stack.up({**ONE, "v": model.volume()})
    assert len(ScratchProvider.resource.list_live(operation(), base.current().clock.now())) == 2


@pytest.mark.parametrize("fault", [*FAULTS, *CRASHES])
@pytest.mark.parametrize(
    "scenario",
    [
        Scenario({}, matrix.up(ONE), ONE),
        Scenario(ONE, matrix.up(LARGER), LARGER),
        Scenario(ONE, matrix.refresh, ONE),
        Scenario(ONE, matrix.destroy, {}),
    ],
    ids=["create", "replace", "refresh", "destroy"],
)
@pytest.mark.faults
def test_its_row_of_the_fault_matrix(
    clean_environment: None, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, fault: str
) -> None:
    """One fault at every call, one recovery: no orphan, no double, no state that lies."""
    assert matrix.run_row(monkeypatch, scenario, fault, "ignore", FakeClock) == {}


@pytest.mark.parametrize("fault", ["reset after", "killed after acceptance"])
def test_a_sample_of_its_row(clean_environment: None, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """What hurts most."""
    assert matrix.run_row(monkeypatch, Scenario({}, matrix.up(ONE), ONE), fault, "ignore", FakeClock) == {}
