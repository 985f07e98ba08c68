"""What one project exports and another one reads: the frozen shape, and what is said where it is something else."""

from __future__ import annotations

from typing import Any

import pytest

from flow_resources.core.exports import CLUSTER, VOLUME, ForeignError, Kind, kind_of, kinds_of, no_stack

# As the first release wrote them. Stacks hold these: they are added to, never edited.
WRITTEN: list[tuple[Kind, dict[str, Any]]] = [
    (
        CLUSTER,
        {
            "flow": "cluster/1",
            "task_id": "bid_000001",
            "region": "us-central5-a",
            "public_ips": ["198.18.0.1"],
            "volume_ids": ["vol_000001"],
        },
    ),
    (
        VOLUME,
        {
            "flow": "volume/1",
            "volume_id": "vol_000001",
            "region": "us-central5-a",
            "interface": "file",
            "size_gb": 1000,
        },
    ),
]
each_kind = pytest.mark.parametrize(("kind", "written"), WRITTEN, ids=["cluster", "volume"])


def said(kind: Kind, value: Any, there: dict[str, str] | None = None) -> str:
    with pytest.raises(ForeignError) as refused:
        kind.parts(value)
    return refused.value.message("data", "acme/infra/prod", there or {})


@each_kind
def test_what_the_first_release_wrote_is_what_is_written_and_read(kind: Kind, written: dict[str, Any]) -> None:
    parts = {key: value for key, value in written.items() if key != "flow"}
    assert kind.shape(parts) == written
    assert kind.parts(written) == parts


@each_kind
def test_what_a_later_release_adds_does_not_disturb(kind: Kind, written: dict[str, Any]) -> None:
    later = {**written, "flow": f"{kind.word}/2", "owner": "ada"}
    assert kind.parts(later) == kind.parts(written)


@each_kind
def test_a_shape_without_one_of_its_parts_is_named(kind: Kind, written: dict[str, Any]) -> None:
    for key in kind.keys:
        cut = {name: value for name, value in written.items() if name != key}
        assert f"is a {kind.word} without {key}: add" in said(kind, cut)


def test_a_number_comes_back_as_it_was_exported() -> None:
    """The engine carries it as a float."""
    size = VOLUME.parts({**WRITTEN[1][1], "size_gb": 1000.0})["size_gb"]
    assert (size, type(size)) == (1000, int)


def test_an_empty_list_is_no_missing_part() -> None:
    """A cluster that waits in the auction has no addresses."""
    waiting = {**WRITTEN[0][1], "public_ips": []}
    assert CLUSTER.parts(waiting)["public_ips"] == []


def test_a_missing_output_says_what_is_there_and_which_line_to_add() -> None:
    there = kinds_of({"note": "hi", "hub": WRITTEN[0][1]})
    assert said(VOLUME, None, there) == (
        "the output 'data' of the stack acme/infra/prod is missing; there is 'hub' (a cluster), 'note' (a string): "
        "add `export_volume('data', ...)` to that project's program and run `pulumi up` there"
    )
    assert "is missing; there is no outputs at all" not in said(VOLUME, None)
    assert "is missing; there are no outputs at all" in said(VOLUME, None)


def test_the_other_kind_says_which_class_reads_it() -> None:
    assert "is a cluster, which ClusterReference reads, not a volume as export_volume writes it" in said(
        VOLUME, WRITTEN[0][1]
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("vol_000001", "a string"),
        (7, "a number"),
        (True, "a boolean"),
        (["x"], "a list"),
        ({"volume_id": "vol_000001"}, "a mapping"),
        ({"flow": 3}, "a mapping"),
        ({"flow": "volume"}, "a mapping"),
        ({"flow": "teapot/1"}, "a mapping"),
    ],
)
def test_a_foreign_shape_is_described_and_never_shown(value: Any, what: str) -> None:
    """It may be a secret."""
    line = said(VOLUME, value)
    assert f"is {what}, not a volume as export_volume writes it" in line
    assert "vol_000001" not in line
    assert kind_of(value) == what


def test_a_stack_that_cannot_be_read_says_which_one_for_what_and_what_to_do() -> None:
    why = 'invoke of x failed: invocation of x returned an error: unknown stack "acme/infra/prod"'
    assert no_stack("acme/infra/prod", VOLUME, "data", why) == (
        "the stack acme/infra/prod, of which the output 'data' is read, cannot be read: "
        'unknown stack "acme/infra/prod": `pulumi stack ls --all` lists what is there; '
        "its program needs `export_volume('data', ...)` and an `up`"
    )
