"""The replace matrix, row by row."""

from itertools import permutations
from typing import Any

import pytest

from flow_resources.core import cluster_fields, placement_fields, volume_fields
from flow_resources.core.diff import Diff, diff_inputs, fields_to_update
from flow_resources.core.inputs import Change, changed, check, is_recorded

CLUSTER = {
    "instance_type": "8xa100",
    "num_instances": 4,
    "max_price_per_hour": 50.0,
    "bid_policy": {"kind": "workload", "margin": 0.1, "cap": 50.0},
    "region": "us-central5-a",
    "placements": [
        {"instance_type": "8xa100", "region": "us-central5-a", "max_price_per_hour": 50.0},
        {"instance_type": "8xh100", "region": "us-east1-a", "max_price_per_hour": 60.0},
    ],
    "choose": "first",
    "max_wait_minutes": 30,
    "command": "sleep infinity",
    "image": "pytorch",
    "env": {"A": "1", "B": "2"},
    "ports": [8080, 9090],
    "volumes": [{"volume_id": "vol_a", "mount_path": "/data"}, {"volume_id": "vol_b", "mount_path": "/mnt/b"}],
    "ssh_keys": ["me"],
    "run_on": "every_boot",
    "restart": "never",
    "preemption_signal": "SIGUSR1",
    "paused": False,
    "wait_for": "running",
    "on_preemption": "keep",
    "raise_up_to_per_hour": 60.0,
    "name_prefix": "trainer",
    "adopt_task_id": "bid_1",
}
VOLUME = {
    "size_gb": 100,
    "interface": "file",
    "region": "us-central5-a",
    "volume_name": "data",
    "adopt_volume_id": "vol_1",
    "allow_replace": False,
}
FIELDS = {"cluster": cluster_fields.FIELDS, "volume": volume_fields.FIELDS}
OLDS = {"cluster": CLUSTER, "volume": VOLUME}
NOTHING, IN_PLACE, STATE, REPLACE = "nothing", "in place", "state only", "replace"
GUARDED = "replace, where the program allows it"
# One row an input, as the design's matrix has it: a value to change to, and what the change does.
MATRIX = [
    ("cluster", "max_price_per_hour", 60.0, IN_PLACE),
    ("cluster", "bid_policy", {"kind": "workload", "margin": 0.2, "cap": 50.0}, IN_PLACE),
    ("cluster", "paused", True, IN_PLACE),
    ("cluster", "wait_for", "placed", IN_PLACE),
    ("cluster", "on_preemption", "replace", STATE),
    ("cluster", "raise_up_to_per_hour", 70.0, STATE),
    ("cluster", "placements", [{"instance_type": "8xa100", "region": "us-central5-a"}], STATE),
    ("cluster", "choose", "cheapest", STATE),
    ("cluster", "max_wait_minutes", 60, STATE),
    ("cluster", "instance_type", "8xh100", REPLACE),
    ("cluster", "num_instances", 5, REPLACE),
    ("cluster", "region", "us-east1-a", REPLACE),
    ("cluster", "command", ["sleep", "infinity"], REPLACE),
    ("cluster", "image", "ubuntu", REPLACE),
    ("cluster", "env", {"A": "1"}, REPLACE),
    ("cluster", "ports", [8080], REPLACE),
    ("cluster", "volumes", [{"volume_id": "vol_a", "mount_path": "/data2"}], REPLACE),
    ("cluster", "ssh_keys", ["me", "you"], REPLACE),
    ("cluster", "run_on", "first_boot", REPLACE),
    ("cluster", "restart", "always", REPLACE),
    ("cluster", "preemption_signal", "SIGUSR2", REPLACE),
    ("cluster", "name_prefix", "other", REPLACE),
    ("cluster", "adopt_task_id", "bid_2", NOTHING),
    ("volume", "volume_name", "models", IN_PLACE),
    ("volume", "allow_replace", True, STATE),
    ("volume", "size_gb", 200, GUARDED),
    ("volume", "interface", "block", GUARDED),
    ("volume", "region", "us-east1-a", GUARDED),
    ("volume", "adopt_volume_id", "vol_2", NOTHING),
]
OPTIONAL = [row for row in MATRIX if row[1] not in ("max_price_per_hour", "instance_type", "size_gb")]
# What taking an input out of the program does, where that is not what its row says.
TAKEN_OUT = {("cluster", "on_preemption"): NOTHING, ("cluster", "paused"): NOTHING, ("cluster", "wait_for"): NOTHING}
TAKEN_OUT |= {("cluster", "command"): NOTHING, ("volume", "interface"): NOTHING, ("volume", "allow_replace"): NOTHING}
TAKEN_OUT |= {("cluster", "restart"): NOTHING, ("cluster", "raise_up_to_per_hour"): NOTHING}
TAKEN_OUT |= {("cluster", "bid_policy"): NOTHING}  # the resolved number in the state is what shows it
TAKEN_OUT |= {("volume", "volume_name"): NOTHING}
TAKEN_OUT |= {("cluster", "bid_policy"): NOTHING}  # the resolved number in the state is what shows it
TAKEN_OUT |= {("cluster", name): NOTHING for name in ("placements", "choose", "max_wait_minutes")}


# What putting one into a program and a state without it does, where that is not what its row says.
PUT_IN = {("cluster", "run_on"): NOTHING}


def effect(kind: str, olds: dict[str, Any], news: dict[str, Any]) -> str:
    """Put into one word what the verbs read from a diff."""
    diff, names = diff_inputs(FIELDS[kind], olds, news), fields_to_update(FIELDS[kind], olds, news)
    if diff.replaces:
        return REPLACE
    if not diff.changes:
        assert not names
        return NOTHING
    return IN_PLACE if names else STATE


def cases(does: str) -> list[tuple[dict[str, Any], str]]:
    """Return what stands in the state and in the program beside a change, and what the change then does."""
    if does != GUARDED:
        return [({}, does)]
    return [({}, NOTHING), ({"allow_replace": False}, NOTHING), ({"allow_replace": True}, REPLACE)]


def test_the_matrix_has_a_row_for_every_input() -> None:
    """A new input has to say here what its change does."""
    assert sorted(row[:2] for row in MATRIX) == sorted((kind, one.name) for kind in FIELDS for one in FIELDS[kind])


def test_a_cluster_takes_every_placement_field_in_the_order_of_failures() -> None:
    """Failures are reported, and replacing inputs named, in the order of the table."""
    assert [one.name for one in cluster_fields.FIELDS] == list(CLUSTER)
    assert [one for one in cluster_fields.FIELDS if one in placement_fields.FIELDS] == list(placement_fields.FIELDS)


ABSENT = [row for row in MATRIX if any(one.name == row[1] and is_recorded(one, {}) for one in FIELDS[row[0]])]
"""The inputs that a state can be without."""


@pytest.mark.parametrize(("kind", "name", "value", "does"), MATRIX, ids=lambda value: str(value)[:20])
def test_a_change_does_what_the_matrix_says(kind: str, name: str, value: Any, does: str) -> None:
    """Alone, it is the only input that forces a replacement or that an update carries out."""
    for beside, outcome in cases(does):
        olds, news = {**OLDS[kind], **beside}, {**OLDS[kind], **beside, name: value}
        assert effect(kind, olds, news) == outcome
        assert diff_inputs(FIELDS[kind], olds, news) == Diff(outcome != NOTHING, (name,) if outcome == REPLACE else ())
        assert fields_to_update(FIELDS[kind], olds, news) == ({name} if outcome == IN_PLACE else set())
        assert effect(kind, news, olds) == outcome


@pytest.mark.parametrize(("kind", "name", "value", "does"), ABSENT, ids=lambda value: str(value)[:20])
def test_putting_an_input_in_does_what_a_change_does(kind: str, name: str, value: Any, does: str) -> None:
    """From the default to a value is a change like any other."""
    for beside, outcome in cases(PUT_IN.get((kind, name), does)):
        olds = {key: one for key, one in {**OLDS[kind], **beside}.items() if key != name}
        assert effect(kind, olds, {**olds, name: value}) == outcome


def test_a_cluster_of_an_older_version_runs_its_command_at_the_first_boot_alone() -> None:
    """A state without run_on means what its machines do, so that only the other value is a change."""
    olds = {key: one for key, one in CLUSTER.items() if key != "run_on"}
    assert effect("cluster", olds, olds) == NOTHING
    assert effect("cluster", olds, {**olds, "run_on": "first_boot"}) == NOTHING
    assert effect("cluster", olds, {**olds, "run_on": "every_boot"}) == REPLACE


@pytest.mark.parametrize(("kind", "name", "value", "does"), OPTIONAL, ids=lambda value: str(value)[:20])
def test_taking_an_input_out_goes_back_to_its_default(kind: str, name: str, value: Any, does: str) -> None:
    """Where it is the default already, or the service decides from then on, nothing happens."""
    for beside, outcome in cases(TAKEN_OUT.get((kind, name), does)):
        olds = {**OLDS[kind], **beside}
        assert effect(kind, olds, {key: one for key, one in olds.items() if key != name}) == outcome


def test_what_differs_from_its_default_and_is_taken_out_changes_back() -> None:
    """A pause, a weak wait and a permission end when the program no longer says them."""
    for kind, name, value, does in (
        ("cluster", "paused", True, IN_PLACE),
        ("cluster", "wait_for", "placed", IN_PLACE),
        ("cluster", "command", "train", REPLACE),
        ("volume", "allow_replace", True, STATE),
        ("volume", "interface", "block", GUARDED),
    ):
        for beside, outcome in cases(does):
            olds = {**OLDS[kind], **beside, name: value}
            assert effect(kind, olds, {key: one for key, one in olds.items() if key != name}) == outcome


@pytest.mark.parametrize("kind", FIELDS)
def test_an_untouched_resource_shows_no_change(kind: str) -> None:
    """The same inputs, and the same inputs as the engine carries them: with floats, hidden properties and outputs."""
    olds = OLDS[kind]
    assert diff_inputs(FIELDS[kind], olds, dict(olds)) == Diff(changes=False)
    engine = {name: float(value) if type(value) is int else value for name, value in olds.items()}
    engine |= {"ports": [8080.0, 9090.0]} if kind == "cluster" else {}
    recorded = {**engine, "__mark": "a", "task_id": "bid_9", "status": "running", "attached_to": []}
    assert effect(kind, recorded, {**olds, "__mark": "b"}) == NOTHING
    assert effect(kind, engine, olds) == effect(kind, olds, engine) == NOTHING


@pytest.mark.parametrize("kind", FIELDS)
def test_an_input_left_out_and_its_default_are_the_same(kind: str) -> None:
    """A state that holds the default and a program that does not say it do not differ, either way."""
    full = check(
        FIELDS[kind], {"instance_type": "8xa100", "max_price_per_hour": 5} if kind == "cluster" else {"size_gb": 1}
    )
    # What a state without run_on stands for is not its default.
    bare = {one.name: full.inputs[one.name] for one in FIELDS[kind] if one.required or one.name == "run_on"}
    assert len(full.inputs) > len(bare)
    assert effect(kind, full.inputs, bare) == effect(kind, bare, full.inputs) == NOTHING


def test_the_order_of_keys_is_no_change() -> None:
    """Of the inputs themselves, of env, and inside a mount."""
    news = {name: CLUSTER[name] for name in reversed(CLUSTER)}
    news["env"] = {"B": "2", "A": "1"}
    news["volumes"] = [{"mount_path": one["mount_path"], "volume_id": one["volume_id"]} for one in CLUSTER["volumes"]]
    assert effect("cluster", CLUSTER, news) == NOTHING


LISTS = {
    "ports": [9090, 8080, 10000],
    "volumes": [
        {"volume_id": "vol_b", "mount_path": "/data"},
        {"volume_id": "vol_c", "mount_path": "/mnt/c"},
        {"volume_id": "vol_a", "mount_path": "/mnt/b"},
    ],
    "ssh_keys": ["me", "you", "all"],
}


def test_the_table_says_which_lists_have_no_order() -> None:
    """These and no others: the order of a command's arguments means something."""
    assert {one.name for one in cluster_fields.FIELDS if one.unordered} == set(LISTS)
    assert not [one.name for one in volume_fields.FIELDS if one.unordered]


@pytest.mark.parametrize("name", LISTS)
def test_the_order_of_a_list_that_has_none_is_no_change(name: str) -> None:
    """In any order, and with the engine's floats, it is the same list; and no list is changed by comparing it."""
    olds = {**CLUSTER, name: LISTS[name]}
    for order in permutations(LISTS[name]):
        carried = [float(one) if isinstance(one, int) else one for one in order]
        for items in (list(order), carried):
            news = {**CLUSTER, name: items}
            assert not list(changed(FIELDS["cluster"], olds, news))
            assert (
                diff_inputs(FIELDS["cluster"], olds, news)
                == diff_inputs(FIELDS["cluster"], news, olds)
                == Diff(changes=False)
            )
            assert items == list(order)


@pytest.mark.parametrize("name", LISTS)
def test_what_is_added_to_a_list_without_order_or_taken_out_is_a_change(name: str) -> None:
    """One more, one fewer, another one, one that stands twice: wherever it stands."""
    whole = LISTS[name]
    for place, one in enumerate(whole):
        fewer = [*whole[:place], *whole[place + 1 :]]
        other = {**one, "mount_path": "/opt/x"} if isinstance(one, dict) else one * 2
        for olds, news in ((fewer, whole[::-1]), (whole, [other, *fewer]), (whole, [one, *whole]), (whole, [])):
            for before, after in ((olds, news), (news, olds)):
                diff = diff_inputs(FIELDS["cluster"], {**CLUSTER, name: before}, {**CLUSTER, name: after})
                assert diff == Diff(changes=True, replaces=(name,))
    without = {key: value for key, value in CLUSTER.items() if key != name}
    assert effect("cluster", {**CLUSTER, name: whole}, without) == REPLACE


def test_the_order_of_the_keys_of_mounts_and_of_the_mounts_is_no_change() -> None:
    """Both at once: the keys of a mount come in any order, whatever the mounts are sorted by."""
    flipped = [dict(reversed(one.items())) for one in LISTS["volumes"]]
    assert effect("cluster", {**CLUSTER, "volumes": LISTS["volumes"]}, {**CLUSTER, "volumes": flipped}) == NOTHING


def test_the_order_of_arguments_is_a_change() -> None:
    """A command is no set of words."""
    olds, news = {**CLUSTER, "command": ["cp", "a", "b"]}, {**CLUSTER, "command": ["cp", "b", "a"]}
    assert diff_inputs(FIELDS["cluster"], olds, news) == Diff(changes=True, replaces=("command",))


GUARDED_CHANGES = {row[1]: row[2] for row in MATRIX if row[3] == GUARDED}


@pytest.mark.parametrize("name", GUARDED_CHANGES)
@pytest.mark.parametrize("word", [False, None, 1, "true", "True"], ids=repr)
def test_without_the_programs_word_nothing_that_loses_data_is_a_change(name: str, word: Any) -> None:
    """Nothing but True is that word, and what the state says of it does not count."""
    for olds in (VOLUME, {**VOLUME, "allow_replace": True}):
        news = {**olds, name: GUARDED_CHANGES[name], "allow_replace": word}
        assert diff_inputs(FIELDS["volume"], olds, news).replaces == ()
        assert diff_inputs(FIELDS["volume"], {**olds, "allow_replace": word}, news) == Diff(changes=False)
        del news["allow_replace"]
        assert diff_inputs(FIELDS["volume"], olds, news) == Diff(changes=olds["allow_replace"])


def test_with_the_programs_word_all_that_loses_data_replaces() -> None:
    """The word may be new itself."""
    assert list(GUARDED_CHANGES) == ["size_gb", "interface", "region"]
    for olds in (VOLUME, {**VOLUME, "allow_replace": True}):
        news = {**VOLUME, **GUARDED_CHANGES, "allow_replace": True}
        assert diff_inputs(FIELDS["volume"], olds, news) == Diff(changes=True, replaces=tuple(GUARDED_CHANGES))


def test_a_size_that_the_service_rounds_is_no_change() -> None:
    """The state has the service's size, the program its own; a new name beside it is still carried out in place."""
    rounded, news = {**VOLUME, "size_gb": 128.0}, {**VOLUME, "volume_name": "models"}
    assert diff_inputs(FIELDS["volume"], rounded, VOLUME) == Diff(changes=False)
    assert diff_inputs(FIELDS["volume"], rounded, news) == Diff(changes=True)
    assert fields_to_update(FIELDS["volume"], rounded, news) == {"volume_name"}


def test_check_refuses_what_diff_inputs_does_not_count() -> None:
    """A program's change that loses data is never passed over: without the word it fails, with it it replaces."""
    for name, value in GUARDED_CHANGES.items():
        for word in (False, True):
            news = {**VOLUME, name: value, "allow_replace": word}
            found = volume_fields.check_volume(news)
            volume_fields.guard_data(found, VOLUME)
            assert [one.path for one in found.failures] == ([] if word else [name])
            assert diff_inputs(FIELDS["volume"], VOLUME, found.inputs).replaces == ((name,) if word else ())


def test_all_replacing_inputs_are_named_in_the_order_of_the_table() -> None:
    """And an input that changes in place, at the same time, is not among them."""
    news = {**CLUSTER, "region": "us-east1-a", "max_price_per_hour": 1.0, "instance_type": "8xh100", "paused": True}
    assert diff_inputs(FIELDS["cluster"], CLUSTER, news) == Diff(changes=True, replaces=("instance_type", "region"))
    assert fields_to_update(FIELDS["cluster"], CLUSTER, news) == {"max_price_per_hour", "paused"}


def test_a_name_that_the_service_gave_is_no_change() -> None:
    """A volume whose name the program leaves out keeps the one it has."""
    news = {name: value for name, value in VOLUME.items() if name != "volume_name"}
    assert effect("volume", VOLUME, news) == NOTHING


def test_none_in_the_program_is_leaving_out() -> None:
    """The checked inputs hold no None, so that it cannot differ from what is absent."""
    said = {"instance_type": "8xa100", "max_price_per_hour": 5.0, "image": None, "command": None, "paused": None}
    found = check(FIELDS["cluster"], said)
    assert None not in found.inputs.values()
    assert found.inputs["command"] == "sleep infinity"


def test_the_digest_of_a_name_covers_what_only_a_replacement_changes() -> None:
    """Except the start of the name itself, which stands beside the digest."""
    assert {one.name for one in cluster_fields.SPEC} == {
        row[1] for row in MATRIX if row[0] == "cluster" and row[3] == REPLACE
    } - {"name_prefix"}
    assert {one.name for one in volume_fields.SPEC} == {"size_gb", "interface", "region"}
    assert [one.name for one in cluster_fields.FIELDS if one.sensitive] == ["command", "env"]
    assert not [one.name for one in volume_fields.FIELDS if one.sensitive]


def test_changed_yields_the_fields_of_the_table() -> None:
    """Each once, in the table's order."""
    news = {**VOLUME, "region": "x", "size_gb": 1}
    assert [one.name for one in changed(FIELDS["volume"], VOLUME, news)] == ["size_gb", "region"]
    assert all(one.change is Change.GUARDED for one in changed(FIELDS["volume"], VOLUME, news))


@pytest.mark.parametrize("missing", [None, "", 0])
@pytest.mark.parametrize(("kind", "name"), [("cluster", "region"), ("volume", "region"), ("volume", "size_gb")])
def test_what_the_state_does_not_record_replaces_nothing(kind: str, name: str, missing: Any) -> None:
    """Each state has these: where one is missing, whether the program has changed it is not known."""
    olds = {**OLDS[kind], name: missing}
    news = {**OLDS[kind], **({"allow_replace": True} if kind == "volume" else {})}
    assert diff_inputs(FIELDS[kind], olds, news) == Diff(changes=True, not_recorded=(name,))


def test_a_volume_whose_state_has_no_size_is_no_failure() -> None:
    """A check without `allow_replace` compares the same."""
    found = check(volume_fields.FIELDS, VOLUME)
    volume_fields.guard_data(found, {"interface": "file", "region": "us-central5-a"})
    assert not found.failures
