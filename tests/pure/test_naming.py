"""The owner's mark: the name is the only handle, so its format is pinned."""

import hashlib
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_resources.core.naming import (
    Mark,
    MarkedName,
    compose,
    fit,
    is_key_name,
    key_name,
    key_name_of,
    logical_name,
    spec_digest,
    take_apart,
)
from flow_resources.core.volume_fields import volume_name

# flow.sdk.models.task_config.TaskConfig.name, and what the service takes for a volume.
TASK_NAME, VOLUME_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*"), re.compile(r"[a-z][a-z0-9-]{1,62}[a-z0-9]")
OWNER = "acme/training/prod"
URN = "urn:pulumi:prod::training::pulumi-python:dynamic/flow:GpuCluster::trainer"
SPEC = {"instance_type": "8xa100", "num_instances": 4, "region": "us-central5-a", "ports": None}
KEY = "fkey_secret"
quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
owners, urns = (
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "ignore").decode()),
    st.text("abc:/$ü", max_size=20),
)
logical = st.text("abzAZ019-_. é漢\n/", max_size=80)
specs = st.dictionaries(st.text("abc", max_size=3), st.integers() | st.text("xyz", max_size=3) | st.none(), max_size=3)
generations = st.integers(1, 99_999_999)


def test_the_format_is_frozen() -> None:
    """These names are in users' states and at the service: a change of the format would lose what they name."""
    mark = Mark.of(OWNER, URN)
    assert str(mark) == "619bff4daf2d57b08e86"
    digest = spec_digest(SPEC, {"env": {"TOKEN": "x"}}, KEY)
    assert compose(fit("trainer"), mark, digest, 1) == "trainer-619bff4daf2d57b08e86-4997f8-1"
    taken = take_apart("trainer-3f9a1c5d08b67be02d4d-9c01d2-1")
    assert taken == MarkedName(Mark("3f9a1c5d08b6", "7be02d4d"), "9c01d2", 1)


def test_the_format_of_a_jobs_key_is_frozen() -> None:
    """It is at the service, and on machines that renew their keys under the same name."""
    mark = Mark("3f9a1c5d08b6", "7be02d4d")
    name = key_name(mark, "9c01d2", 1, "proj_1")
    assert name == "flow-job-f8d5ee-3f9a1c5d08b67be02d4d-9c01d2-1"
    assert take_apart(name) == MarkedName(mark, "9c01d2", 1)
    assert len(key_name(mark, "9c01d2", 10**15 - 1, "proj_1")) == 59
    assert key_name_of("trainer-3f9a1c5d08b67be02d4d-9c01d2-1", "proj_1") == name
    assert key_name_of("trainer", "proj_1") is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("flow-job-f8d5ee-3f9a1c5d08b67be02d4d-9c01d2-1", True),
        ("flow-job-000000-3f9a1c5d08b67be02d4d-9c01d2-1", False),
        ("flow-job-3f9a1c5d08b67be02d4d-9c01d2-1", False),  # a bid of a cluster that is called flow-job
        ("my-flow-job-f8d5ee-3f9a1c5d08b67be02d4d-9c01d2-1", False),
        ("flow-job-f8d5ee-3f9a1c5d08b67be02d4d-9c01d2-", False),
        ("flow-job-f8d5ee-9c01d2-1", False),
        ("flow-job-f8d5ee", False),
        ("flow-task-trainer-3f9a1c5d", False),
        ("ci", False),
        ("", False),
    ],
)
def test_a_jobs_key_is_known_by_its_name(name: str, is_one: bool) -> None:
    """And by no part of it: a key of the user's own is never revoked."""
    assert is_key_name(name, "proj_1") is is_one
    assert is_key_name(name) is (is_one or name.startswith("flow-job-000000"))


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("trainer", "trainer"),
        ("My Trainer!", "my-trainer"),
        ("8xa100", "r-8xa100"),
        ("", "r"),
        ("---", "r"),
        ("漢字", "r"),
        ("a" * 40, "a" * 30),
        ("a" * 29 + "-b", "a" * 29),
        ("a__b..c", "a-b-c"),
        ("trainer\n", "trainer"),
        ("Ünïcode", "n-code"),
    ],
)
def test_any_logical_name_is_made_fit(name: str, prefix: Any) -> None:
    """Lower case, a letter first, cut at 30, never refused."""
    assert fit(name) == prefix


@quick
@given(name=logical, owner=owners, urn=urns, spec=specs, generation=generations)
def test_a_name_comes_apart_into_its_parts_and_fits_the_service(
    name: str, owner: Any, urn: Any, spec: Any, generation: Any
) -> None:
    """For any logical name: at most 63 characters, of both services' patterns, and nothing is lost."""
    mark, digest = Mark.of(owner, urn), spec_digest(spec, {}, KEY)
    whole = compose(fit(name), mark, digest, generation)
    assert take_apart(whole) == MarkedName(mark, digest, generation)
    assert len(whole) <= 63
    assert TASK_NAME.fullmatch(whole)
    assert VOLUME_NAME.fullmatch(whole)
    assert volume_name(whole) == whole


@quick
@given(name=logical)
def test_fit_is_stable(name: str) -> None:
    """What is fit stays as it is."""
    assert fit(fit(name)) == fit(name)


@quick
@given(owner=owners, urn=urns)
def test_a_mark_is_read_back_from_the_state(owner: Any, urn: Any) -> None:
    """As text and back."""
    mark = Mark.of(owner, urn)
    assert Mark.parse(str(mark)) == mark
    assert re.fullmatch("[0-9a-f]{20}", str(mark))


@pytest.mark.parametrize("parents", ["", "flow:index:ResilientCluster$", "team:index:Lab$flow:index:ResilientCluster$"])
def test_a_resource_has_one_mark_in_both_hosts(parents: str) -> None:
    """What a crash left in one host is found in the other one; a child of a volume, and a name like a type, too."""
    hosts = ("pulumi-python:dynamic/flow", "flow:index")
    for types in ("{0}:GpuCluster", "{0}:Volume", "{0}:Volume${0}:Volume${0}:GpuCluster"):
        urns_ = [f"urn:pulumi:dev::p::{parents}{types.format(host)}::flow:index:Job::it" for host in hosts]
        assert Mark.of(OWNER, urns_[0]) == Mark.of(OWNER, urns_[1])
        assert Mark.of(OWNER, urns_[0]).urn == hashlib.sha256(urns_[0].encode()).hexdigest()[:8]


def test_no_two_owners_or_resources_share_a_mark() -> None:
    """In a sample of stacks with the same logical names; all resources of one stack share the owner's half."""
    owners_ = [f"{org}/{project}/{stack}" for org in "ab" for project in ("one", "two") for stack in ("dev", "prod")]
    urns_ = [f"urn:pulumi:dev::p::t::trainer-{number}" for number in range(250)]
    marks = {(owner, urn): Mark.of(owner, urn) for owner in owners_ for urn in urns_}
    assert len({str(mark) for mark in marks.values()}) == len(marks)
    assert len({mark.owner for mark in marks.values()}) == len(owners_)
    assert len({mark.urn for mark in marks.values()}) == len(urns_)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "trainer",
        "trainer-1",
        "3f9a1c5d08b67be02d4d-9c01d2-1",
        "-3f9a1c5d08b67be02d4d-9c01d2-1",
        "trainer-3f9a1c5d08b67be02d4d-9c01d2",
        "trainer-3f9a1c5d08b67be02d4d-9c01d2-",
        "trainer-3f9a1c5d08b67be02d4d-9c01d2-x",
        "trainer-3f9a1c5d08b67be02d4-9c01d2-1",
        "trainer-3F9A1C5D08B67BE02D4D-9c01d2-1",
        "trainer-3f9a1c5d08b67be02d4d-9c01d2-1-1",
        "trainer-3f9a1c5d08b67be02d4d-9c01d2-1\n",
        "trainer-3f9a1c5d08b67be02d4d-9c01d2-\u0661",
        "trainer-3f9a1c5d08b67be02d4d-9c01d2-1-b",
    ],
    ids=repr,
)
def test_a_name_without_our_mark_is_a_strangers(name: str) -> None:
    """Nothing that merely looks like one."""
    if name.startswith("-3f"):
        assert take_apart(name[1:]) is None
    else:
        assert take_apart(name) is None


def test_the_last_mark_of_a_name_counts() -> None:
    """A prefix may look like a mark itself: the prefix of the logical name is the user's."""
    inner = "trainer-3f9a1c5d08b67be02d4d-9c01d2-7"
    taken = take_apart(f"{inner}-aaaaaaaaaaaabbbbbbbb-cccccc-12")
    assert taken == MarkedName(Mark("aaaaaaaaaaaa", "bbbbbbbb"), "cccccc", 12)


@pytest.mark.parametrize(
    ("urn", "name"),
    [(URN, "trainer"), ("urn:pulumi:s::p::a$b::my:name", "my:name"), ("trainer", "trainer"), ("", "")],
)
def test_the_logical_name_is_the_last_part_of_a_urn(urn: Any, name: str) -> None:
    """Whatever comes before it."""
    assert logical_name(urn) == name


@pytest.mark.parametrize("change", [{"num_instances": 5}, {"region": "x"}, {"ports": [8080]}, {"new": 1}], ids=repr)
def test_another_specification_has_another_digest(change: Any) -> None:
    """Everything that only a replacement can change."""
    assert spec_digest({**SPEC, **change}, {}, KEY) != spec_digest(SPEC, {}, KEY)


def test_the_digest_does_not_depend_on_how_values_travelled() -> None:
    """The order of keys, and whole numbers as the floats that Pulumi makes of them, are no difference."""
    spec = {"a": 4, "b": {"x": 1, "y": [8080, 1.5]}, "flag": True}
    carried = {"flag": True, "b": {"y": [8080.0, 1.5], "x": 1.0}, "a": 4.0}
    assert spec_digest(spec, {"env": {"A": "1", "B": "2"}}, KEY) == spec_digest(
        carried, {"env": {"B": "2", "A": "1"}}, KEY
    )


def test_a_changed_secret_is_told_apart_but_only_with_the_key() -> None:
    """Whoever reads a name cannot try values against it: without the API key the digest is another one."""
    digests = {spec_digest(SPEC, {"env": {"T": value}}, key) for value in ("a", "b") for key in (KEY, "fkey_other")}
    assert len(digests) == 4
    assert spec_digest(SPEC, {"env": {"T": "a"}}, KEY) == spec_digest(SPEC, {"env": {"T": "a"}}, KEY)


def test_a_rotated_key_changes_no_name_that_has_no_secrets() -> None:
    """The key seals secrets, and nothing where there are none: what is named stays found after a rotation."""
    assert spec_digest(SPEC, {}, KEY) == spec_digest(SPEC, {}, "fkey_rotated") == spec_digest(SPEC, {}, "") == "37deae"
    for secrets in ({"env": {"T": "a"}}, {"env": {}}, {"command": "train"}):
        digests = [spec_digest(SPEC, secrets, key) for key in (KEY, "fkey_rotated")]
        assert len({*digests, spec_digest(SPEC, {}, KEY)}) == 3


@quick
@given(spec=specs, key=st.text("abc", max_size=4), other=st.text("xyz", max_size=4))
def test_without_secrets_no_key_enters_a_name(spec: Any, key: str, other: str) -> None:
    """Whatever is specified."""
    assert spec_digest(spec, {}, key) == spec_digest(spec, {}, other)


@quick
@given(secret=st.text("ghijklmnop", min_size=4, max_size=12))
def test_no_secret_stands_in_a_name(secret: Any) -> None:
    """Neither the value nor the API key; and the digest is six digits, whatever goes in."""
    digest = spec_digest(SPEC, {"env": {"TOKEN": secret}}, secret)
    assert re.fullmatch("[0-9a-f]{6}", digest)
    assert secret not in compose("trainer", Mark.of(OWNER, URN), digest, 1).removeprefix("trainer")
