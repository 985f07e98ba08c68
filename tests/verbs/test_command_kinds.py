"""The table of kinds that `sweep` and `adopt` go over: a further kind is an entry of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pytest
from support.fake_backend import STACK, FakeStack
from support.toy_kind import ScratchProvider

from flow_resources.cli import adopt_program, adopt_read, kinds, main, sweep, sweep_find, sweep_report
from flow_resources.cli.kind import CommandKind, Draft
from flow_resources.cli.program_text import Item
from flow_resources.cli.stacks import SelectedStack
from flow_resources.core.models import StoredVolume
from flow_resources.core.naming import Mark, compose
from flow_resources.errors import FlowResourcesError, NotFoundError
from flow_resources.lifecycle.kinds import KINDS
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.ssh_key import SSH_KEY
from flow_resources.testing import FakeMithril


class ScratchKind(CommandKind[StoredVolume]):
    """The toy kind, for the commands."""

    resource = ScratchProvider.resource()
    plural = "scratches"
    ending, ended = "dropping", "dropped"
    name_output = "volume_name"
    end_advice = "drops the scratches"
    number_titles = ("GB",)
    state_title = "KIND"
    fallback_name = "scratch"

    def numbers(self, thing: StoredVolume) -> list[str]:
        return [str(thing.size_gb)]

    def state(self, thing: StoredVolume, status: str) -> str:
        return thing.interface

    def document(self, thing: StoredVolume, status: str) -> dict[str, Any]:
        return {"size_gb": thing.size_gb}

    def absence(self, op: Operation, id_: str) -> FlowResourcesError:
        return NotFoundError(f"there is no scratch {id_}", "`flow volume list` shows them")

    def drafts(
        self, op: Operation, things: Sequence[StoredVolume], live: Collection[str], begun_after: float
    ) -> Sequence[Draft]:
        return [Draft(volume, {"size_gb": volume.size_gb}) for volume in things]

    def arguments(
        self, inputs: Mapping[str, Any], fill_in: Collection[str], variables: Mapping[str, str]
    ) -> Iterator[Item]:
        yield f"size_gb={inputs['size_gb']}"


@pytest.fixture
def registered(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entry stands where that of the volumes does, whose listing it uses."""
    table = (ScratchKind(), *kinds.KINDS[1:])
    for module in (kinds, sweep_find, sweep_report, adopt_read, adopt_program):
        monkeypatch.setattr(module, "KINDS", table, raising=False)
        monkeypatch.setattr(module, "HOLDERS_FIRST", table[::-1], raising=False)
        monkeypatch.setattr(module, "SWEPT", table[::-1], raising=False)
        monkeypatch.setattr(module, "BY_NAME", {kind.resource.name: kind for kind in table}, raising=False)
    stack = FakeStack({"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url, "flow:project": cloud.project})
    monkeypatch.setattr(SelectedStack, "open", lambda *_: stack)


def test_the_commands_know_every_kind() -> None:
    """In the same order; of several that are the same thing in the service, the first: nothing is listed twice.

    SSH keys are looked up and swept, and not adopted: a key of the same content is used anyway.
    """
    assert {kind.id_prefix for kind in kinds.RECORDED} == {kind.id_prefix for kind in KINDS}
    adopted = [kind for kind in KINDS if kind is not SSH_KEY]
    by_prefix = {kind.id_prefix: kind for kind in adopted[::-1]}
    assert tuple(kind.resource for kind in kinds.KINDS) == tuple(kind for kind in adopted if kind in by_prefix.values())
    assert {kind.resource.id_prefix for kind in kinds.KINDS} == set(by_prefix)


def test_every_option_of_a_kind_is_one_of_the_command() -> None:
    """`sweep` declares them itself, so that its help imports no kind."""
    parser = argparse.ArgumentParser()
    sweep.add_arguments(parser)
    assert {kind.option for kind in kinds.KINDS if kind.option} <= set(vars(parser.parse_args([])))


@pytest.mark.usefixtures("registered")
def test_a_further_kind_is_listed_ended_and_written(cloud: FakeMithril, capsys: pytest.CaptureFixture[str]) -> None:
    """By its entry alone."""
    orphan = cloud.add_volume(compose("pad", Mark.of(STACK, "pad"), "9c01d2", 1), size_gb=10)["fid"]
    assert main(["sweep", "--min-age", "0"]) == 1
    assert "`flow-resources sweep --yes --min-age 0` drops the scratches." in capsys.readouterr().out.splitlines()
    assert main(["adopt", "--stack", "dev", orphan]) == 0
    program = 'from flow_resources import Scratch\n\n# In the service: "pad-'
    printed = capsys.readouterr().out
    assert printed.startswith(program)
    assert printed.endswith('pad = Scratch(\n    "pad",\n    size_gb=10,\n)\n')
    assert main(["sweep", "--min-age", "0", "--yes", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["size_gb"], row["outcome"]) for row in document["scratches"]] == [(orphan, 10, "dropped")]
    assert not cloud.volumes
