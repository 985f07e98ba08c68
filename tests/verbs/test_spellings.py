"""An instance type and SSH keys are compared by what they mean, not by how the program spells them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.stack import CheckError, Declared, Stack, cluster

from flow_resources.cloud import Cloud
from flow_resources.core.answer import Answer
from flow_resources.core.market import Market, is_same_type
from flow_resources.core.models import InstanceType, Offer
from flow_resources.testing import FakeMithril

A100 = ("8xa100", "a100:8", "A100x8", "a100-80gb.sxm.8x", "it_Sg1nDx1I8NFep60J")
H100 = ("8xh100", "h100-80gb.sxm.8x", "it_5ECSoHQjLBzrp5YM")  # and another id in other regions
PAIRS = [(one, other) for names in (A100, H100) for one in names for other in names if one != other]
SMALL = InstanceType("it_a100_40gb_8", "a100-40gb.pcie.8x", 8, "A100")


def assert_unchanged(stack: Stack, cloud: FakeMithril, program: dict[str, Declared]) -> None:
    """Assert that neither a preview nor an `up` nor a refresh finds a change."""
    cloud.clear_requests()
    id_ = stack.state["trainer"].id
    for refresh in (False, True):
        assert stack.preview(program) == {"trainer": "same"}
        stack.up(program, refresh=refresh)
    assert (stack.state["trainer"].id, cloud.mutations) == (id_, [])


def warnings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if "nothing is replaced" in line]


@pytest.mark.parametrize(("recorded", "spelling"), PAIRS)
def test_another_spelling_of_the_same_machine_is_no_change(
    stack: Stack, cloud: FakeMithril, recorded: str, spelling: str
) -> None:
    """Short, whole or by id. A replacement for another reason takes the program's word for it."""
    stack.up({"trainer": cluster(instance_type=recorded)})
    assert_unchanged(stack, cloud, {"trainer": cluster(instance_type=spelling)})
    stack.up({"trainer": cluster(instance_type=spelling, num_instances=2)})
    assert_unchanged(stack, cloud, {"trainer": cluster(instance_type=recorded, num_instances=2)})


@pytest.mark.parametrize("spelling", ["4xa100", "8xh100", "it_tcjiKnwIK0jX21t3", "h200.8x"])
def test_another_machine_replaces(stack: Stack, spelling: str) -> None:
    """However it is spelled."""
    stack.up({"trainer": cluster()})
    assert stack.preview({"trainer": cluster(instance_type=spelling)}) == {"trainer": "replace"}


@pytest.mark.parametrize("spelling", ["8xa1000", "it_nowhere", "it_XqgKWbhZ5gznAYsG"])
def test_a_machine_that_cannot_be_had_is_still_a_failure(stack: Stack, spelling: str) -> None:
    """Not in the catalogue, or under an id of other regions."""
    stack.up({"trainer": cluster(instance_type="8xh100")})
    with pytest.raises(CheckError, match=rf"instance_type is not .*{spelling}"):
        stack.preview({"trainer": cluster(instance_type=spelling)})


def test_without_the_catalogue_nothing_is_replaced(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is one warning, which says what to type; and once the catalogue can be read, a change is a change."""
    stack.up({"trainer": cluster()})
    program = {"trainer": cluster(instance_type="4xa100")}
    cloud.faults.add(path="/v2/instance-types", status=503, times=None)
    capsys.readouterr()
    assert stack.preview(program) == {"trainer": "same"}
    (line,) = warnings(capsys)
    assert "'4xa100'" in line
    assert "'8xa100'" in line
    assert "pulumi up --target-replace" in line
    assert stack.preview({"trainer": cluster()}) == {"trainer": "same"}
    assert not warnings(capsys)
    cloud.faults.clear()
    assert stack.preview(program) == {"trainer": "replace"}


@pytest.fixture
def two_kinds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A catalogue in which `8xa100` means two types, of which the cheaper one is what the fake has."""
    read = Cloud.market

    def with_another(self: Cloud, **options: Any) -> Market:
        market = read(self, **options)
        offer = next(one for one in market.offers if one.instance_type == A100[-1] and one.region == "us-central5-a")
        another = replace(offer, instance_type=SMALL.id, price=offer.price and offer.price + 1)
        return replace(market, types=[*market.types, SMALL], offers=[*market.offers, another])

    monkeypatch.setattr(Cloud, "market", with_another)
    return


def test_a_spelling_of_several_machines_is_settled_by_what_runs(
    stack: Stack, cloud: FakeMithril, two_kinds: None
) -> None:
    """The bid tells which of them it has."""
    stack.up({"trainer": cluster()})
    assert_unchanged(stack, cloud, {"trainer": cluster(instance_type="a100-80gb.sxm.8x")})
    assert stack.preview({"trainer": cluster(instance_type=SMALL.name)}) == {"trainer": "replace"}
    stack.up({"trainer": cluster(instance_type="a100-80gb.sxm.8x", num_instances=2)})
    assert_unchanged(stack, cloud, {"trainer": cluster(num_instances=2)})


def test_where_the_bid_cannot_be_read_a_spelling_of_several_machines_replaces_nothing(
    stack: Stack, cloud: FakeMithril, two_kinds: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the one that runs nor the other one."""
    stack.up({"trainer": cluster()})
    cloud.faults.add(path="/v2/spot/bids", status=503, times=None)
    for spelling in ("a100-80gb.sxm.8x", SMALL.name):
        capsys.readouterr()
        assert stack.preview({"trainer": cluster(instance_type=spelling)}) == {"trainer": "same"}
        assert len(warnings(capsys)) == 1


TYPES = [InstanceType(id_, name, 8, gpu) for id_, name, gpu in (
    ("it_here", "a100.8x", "A100"), ("it_there", "a100.8x", "A100"), ("it_small", "a100-40gb.8x", "A100"),
    ("it_h", "h100.8x", "H100"),
)]  # fmt: skip
OFFERS = [
    Offer(type_, region, None) for type_, region in (("it_here", "here"), ("it_there", "there"), ("it_h", "here"))
]


@pytest.mark.parametrize(
    ("recorded", "spelling", "region", "answer"),
    [
        ("it_here", "8xa100", "here", Answer.YES),  # what runs is one of those that the program names
        ("8xa100", "it_here", "here", Answer.YES),  # the only one on offer there
        ("8xa100", "it_here", "sold out", Answer.NOT_KNOWN),
        ("8xa100", "a100.8x", "sold out", Answer.NOT_KNOWN),
        ("a100-40gb.8x", "8xa100", "sold out", Answer.YES),
        ("it_here", "it_there", "here", Answer.NO),
        ("8xa100", "8xh100", "here", Answer.NO),
        ("it_gone", "8xa100", "here", Answer.NOT_KNOWN),  # an id does not say what it was
        ("8xv100", "8xa100", "here", Answer.NO),
        ("8xa100", "it_gone", "here", Answer.NO),  # check refuses it
    ],
)
def test_whether_two_spellings_are_the_same_machine(recorded: str, spelling: str, region: str, answer: Answer) -> None:
    """Yes, no or not known."""
    assert is_same_type(recorded, spelling, region, Market(TYPES, OFFERS, (), {})) is answer


@pytest.fixture
def keys(cloud: FakeMithril) -> dict[str, str]:
    """Return the ids of three platform keys, by name."""
    return {name: cloud.add_ssh_key(name)["fid"] for name in ("laptop", "desk", "ci")}


def spelled(words: str, keys: dict[str, str]) -> list[str]:
    """Return keys as a program spells them; `#laptop` is the id of that key."""
    return [keys[word[1:]] if word.startswith("#") else word for word in words.split()]


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ("laptop", "#laptop"),
        ("#laptop", "laptop"),
        ("laptop desk", "#desk laptop"),
        ("laptop desk", "#desk #laptop"),
        ("laptop", "laptop #laptop"),
        ("laptop #laptop desk", "desk laptop"),
    ],
)
def test_the_same_keys_are_no_change(
    stack: Stack, cloud: FakeMithril, keys: dict[str, str], recorded: str, said: str
) -> None:
    """By name or id, in any order, also where one stands twice; a launch gets each once."""
    stack.up({"trainer": cluster(ssh_keys=spelled(recorded, keys))})
    launched = cloud.live_bids[0]["launch_specification"]["ssh_keys"]
    assert len(launched) == len(set(launched))
    assert_unchanged(stack, cloud, {"trainer": cluster(ssh_keys=spelled(said, keys))})


@pytest.mark.parametrize("said", ["#desk", "laptop desk", "#laptop ci", "ci"])
def test_other_keys_replace(stack: Stack, keys: dict[str, str], said: str) -> None:
    """One more, or another one."""
    stack.up({"trainer": cluster(ssh_keys=["laptop"])})
    assert stack.preview({"trainer": cluster(ssh_keys=spelled(said, keys))}) == {"trainer": "replace"}


def test_a_key_that_was_renamed_is_no_change_and_another_one_is(
    stack: Stack, cloud: FakeMithril, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorded name means nothing any more, and the bid tells the id. Without the bid nothing is replaced."""
    stack.up({"trainer": cluster(ssh_keys=["laptop"])})
    list_keys = Cloud.ssh_keys
    monkeypatch.setattr(
        Cloud, "ssh_keys", lambda self: {"old" if key == "laptop" else key: id_ for key, id_ in list_keys(self).items()}
    )
    programs = {name: {"trainer": cluster(ssh_keys=[name])} for name in ("old", "desk")}
    assert stack.preview(programs["old"]) == {"trainer": "same"}
    assert stack.preview(programs["desk"]) == {"trainer": "replace"}
    cloud.faults.add(path="/v2/spot/bids", status=503, times=None)
    assert [stack.preview(program) for program in programs.values()] == [{"trainer": "same"}] * 2


def test_where_the_keys_cannot_be_listed_nothing_is_replaced(
    stack: Stack, cloud: FakeMithril, keys: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One warning."""
    stack.up({"trainer": cluster(ssh_keys=["laptop"])})
    cloud.faults.add(path="/v2/ssh-keys", status=503, times=None)
    capsys.readouterr()
    assert stack.preview({"trainer": cluster(ssh_keys=["desk"])}) == {"trainer": "same"}
    assert len(warnings(capsys)) == 1


def test_the_same_spelling_asks_for_nothing(stack: Stack, cloud: FakeMithril, keys: dict[str, str]) -> None:
    """Neither keys nor bids are listed for what the program spells as ever."""
    program = {"trainer": cluster(ssh_keys=["laptop", "desk"])}
    stack.up(program)
    cloud.clear_requests()
    stack.preview({"trainer": cluster(ssh_keys=["desk", "laptop"])})
    assert not [request.path for request in cloud.requests if "ssh-keys" in request.path or "bids" in request.path]
