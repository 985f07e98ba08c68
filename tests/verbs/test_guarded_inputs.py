"""Guarded inputs compare the program with the program: what the service makes of them is an output."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import CheckError, Stack, volume

from flow_resources.testing import FakeMithril
from flow_resources.testing.service.volumes import Volumes

pytestmark = pytest.mark.both_hosts

ALLOWED = pytest.mark.parametrize("allowed", [{}, {"allow_replace": True}], ids=["refused", "allowed"])


@pytest.fixture(autouse=True)
def rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that rounds the size of a volume up to the next 256 GB."""
    create = Volumes.create

    def create_rounded(self: Volumes, user: Any, raw: Any, now: float) -> str:
        return create(self, user, {**raw, "size_gb": -(-raw["size_gb"] // 256) * 256}, now)

    monkeypatch.setattr(Volumes, "create", create_rounded)


@ALLOWED
def test_a_size_that_the_service_rounds_is_an_output_and_no_change(
    stack: Stack, cloud: FakeMithril, allowed: dict[str, Any]
) -> None:
    """The inputs keep the program's number, through every refresh, and no `up` sends anything."""
    program = {"data": volume(size_gb=1000, **allowed)}
    stack.up(program)
    id_ = stack.state["data"].id
    cloud.clear_requests()
    for _ in range(3):
        assert stack.preview(program) == {"data": "same"}
        stack.up(program, refresh=True)
        assert stack.state["data"].inputs["size_gb"] == 1000
        assert stack.state["data"].outputs["size_gb"] == 1024
    assert (stack.state["data"].id, cloud.mutations) == (id_, [])


@ALLOWED
def test_a_rounded_volume_that_is_adopted_after_its_first_up_is_no_change(
    stack: Stack, cloud: FakeMithril, allowed: dict[str, Any]
) -> None:
    """The line that adopts it has nothing to do any more, and compares nothing."""
    stack.up({"data": volume(size_gb=1000, **allowed)})
    program = {"data": volume(size_gb=1000, adopt_volume_id=stack.state["data"].id, **allowed)}
    cloud.clear_requests()
    stack.refresh()
    assert stack.preview(program) == {"data": "same"}
    stack.up(program, refresh=True)
    assert not cloud.mutations


def test_the_difference_is_one_warning(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Once when it is made, and once in a refresh; it says both numbers."""
    program = {"data": volume(size_gb=1000)}
    for operation in (lambda: stack.up(program), stack.refresh):
        operation()
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "size_gb" in line]
        assert "1024" in line
        assert "1000" in line
    stack.up(program)
    assert "size_gb" not in capsys.readouterr().err


@pytest.mark.parametrize("size", [1001, 1024, 2000])
def test_a_change_of_the_programs_number_is_guarded(stack: Stack, cloud: FakeMithril, size: int) -> None:
    """Before and after a refresh, also where it is the service's number."""
    stack.up({"data": volume(size_gb=1000)})
    cloud.clear_requests()
    for _ in range(2):
        with pytest.raises(CheckError, match=r"size_gb cannot change from 1000 .*allow_replace=True"):
            stack.preview({"data": volume(size_gb=size)})
        stack.refresh()
    assert not cloud.mutations


def test_an_allowed_change_to_the_size_that_the_volume_has_replaces_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """A new volume would be the same without the data. The state learns the number; any other one replaces."""
    stack.up({"data": volume(size_gb=1000, allow_replace=True)})
    cloud.clear_requests()
    program = {"data": volume(size_gb=1024, allow_replace=True)}
    assert stack.preview(program) == {"data": "update"}
    stack.up(program)
    stack.refresh()
    for one in (program, {"data": volume(size_gb=1024)}):
        assert stack.preview(one)["data"] != "replace"
        stack.up(one)
    assert stack.state["data"].inputs["size_gb"] == 1024
    assert not cloud.mutations
    assert stack.preview({"data": volume(size_gb=2000, allow_replace=True)}) == {"data": "replace"}


def test_a_region_that_was_resolved_stays_pinned(stack: Stack, cloud: FakeMithril) -> None:
    """Also after a refresh, whatever the default has become."""
    stack.config["flow:region"] = "us-central5-a"
    program = {"data": volume(region=None, allow_replace=True)}
    stack.up(program)
    stack.config["flow:region"] = "us-central1-a"
    stack.refresh()
    assert stack.preview(program) == {"data": "same"}
