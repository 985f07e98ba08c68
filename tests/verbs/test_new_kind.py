"""A kind of resource that declares only its inputs gets all duties of the verbs: see `support.toy_kind`."""

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

BASE = {"s": Declared("Scratch", {"size_gb": 10, "note": "canary-note"}, create_first=True)}
LARGER = {"s": Declared("Scratch", {"size_gb": 20, "note": "canary-note"}, create_first=True)}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the kind with the model of the engine and with the matrix."""
    monkeypatch.setitem(model.PROVIDERS, "Scratch", ScratchProvider)
    monkeypatch.setitem(matrix.LIVE_IDS, "Scratch", matrix.LIVE_IDS["Volume"])
    monkeypatch.delitem(matrix.LIVE_IDS, "Volume")


def test_the_kind_has_fewer_than_eighty_lines() -> None:
    """With its imports and its table of fields."""
    assert len(inspect.getsource(toy_kind).splitlines()) < 80


def test_check_reports_every_bad_input_with_its_path_and_no_secret(stack: Stack) -> None:
    """From the table of fields alone."""
    bad = {"s": Declared("Scratch", {"size_gb": 1000, "note": 7, "colour": "red"})}
    with pytest.raises(CheckError) as failed:
        stack.preview(bad)
    # A host prints the value at the path of a failure, so a failure of a sensitive input has no path.
    assert set(failed.value.failures) == {"size_gb", "", "colour"}


def test_diff_follows_the_table_of_fields(stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]) -> None:
    """An update of the state alone, or a replacement, which reports what is lost."""
    stack.up(BASE)
    assert stack.preview(BASE) == {"s": "same"}
    assert stack.preview({"s": Declared("Scratch", {"size_gb": 10, "note": "another"})}) == {"s": "update"}
    cloud.clear_requests()
    assert stack.preview(LARGER) == {"s": "replace"}
    assert "replaced because of size_gb: what is on it is lost" in capsys.readouterr().err
    assert not cloud.mutations


def test_a_secret_that_the_service_echoes_is_redacted(stack: Stack, cloud: FakeMithril) -> None:
    """It is registered before the first request."""
    cloud.faults.add(method="POST", path="volumes", status=400, body={"detail": "no room for canary-note"})
    with pytest.raises(VerbError, match="no room for …"):
        stack.up(BASE)


@pytest.mark.parametrize("verb", ["refresh", "destroy"])
def test_nothing_is_changed_at_another_service(stack: Stack, cloud: FakeMithril, verb: str) -> None:
    """The state records the service."""
    stack.up(BASE)
    stack.state["s"].outputs[SERVICE] = "http://elsewhere"
    with pytest.raises(VerbError, match="the state records http://elsewhere"):
        getattr(stack, verb)()
    assert stack.state["s"].id in [volume["fid"] for volume in cloud.volumes]


def test_the_orphan_of_a_lost_create_is_taken_over(stack: Stack, cloud: FakeMithril) -> None:
    """By the mark in its name."""
    reset_all: dict[str, Any] = {"kind": "reset", "when": "before", "times": None}
    cloud.faults.add(
        method="POST", path="volumes", kind="reset", when="after", then=lambda _: cloud.faults.add(**reset_all)
    )
    with pytest.raises(VerbError):
        stack.up(BASE)
    cloud.faults.clear()
    (orphan,) = cloud.volumes
    stack.up(BASE)
    assert stack.state["s"].id == orphan["fid"]
    assert len(cloud.volumes) == 1


def test_the_id_is_recorded_when_the_verb_fails_after_the_create(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next `up` continues with it."""
    with monkeypatch.context() as patch:
        patch.setattr(toy_kind.Scratch, "converge", lambda *_: 1 // 0)
        with pytest.raises(VerbError, match="ZeroDivisionError"):
            stack.up(BASE)
    (created,) = cloud.volumes
    assert stack.state["s"].id == created["fid"]
    stack.up(BASE)
    assert [volume["fid"] for volume in cloud.volumes] == [created["fid"]]
    assert stack.preview(BASE) == {"s": "same"}


def test_two_kinds_are_independent(stack: Stack) -> None:
    """An operation of one deployment serves both."""
    stack.up({**BASE, "v": model.volume()})
    assert len(ScratchProvider.resource().list_live(operation(), base.current().clock.now())) == 2


@pytest.mark.parametrize("fault", [*FAULTS, *CRASHES])
@pytest.mark.parametrize(
    "scenario",
    [
        Scenario({}, matrix.up(BASE), BASE),
        Scenario(BASE, matrix.up(LARGER), LARGER),
        Scenario(BASE, matrix.refresh, BASE),
        Scenario(BASE, matrix.destroy, {}),
    ],
    ids=["create", "replace", "refresh", "destroy"],
)
@pytest.mark.faults
def test_its_row_of_the_fault_matrix(
    clean_environment: None, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, fault: str
) -> None:
    """One fault at every request and one recovery: no orphan, no duplicate, and a correct state."""
    assert matrix.run_row(monkeypatch, scenario, fault, "ignore", FakeClock) == {}


@pytest.mark.parametrize("fault", ["reset after", "killed after acceptance"])
def test_a_sample_of_its_row(clean_environment: None, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The most harmful faults."""
    assert matrix.run_row(monkeypatch, Scenario({}, matrix.up(BASE), BASE), fault, "ignore", FakeClock) == {}
