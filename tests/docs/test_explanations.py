"""What docs/compatibility.md, docs/explanation/ and docs/how-to/ claim of names, versions, words and bids is so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from docs.pages import ROOT, blocks, section, tables, ticked

from flow_resources.cloud.settings import Settings
from flow_resources.core import boots, cluster_fields, job_outcome, naming, placement_fields, takeover
from flow_resources.core.job_outcome import Outcome
from flow_resources.core.models import Bid, Instance
from flow_resources.core.status import STATUSES, ClusterSnapshot
from flow_resources.lifecycle import operation, waiting
from flow_resources.testing import FakeMithril
from flow_resources.testing.service.auction import Bidder, clear

DOCS = ROOT / "docs"
COMPATIBILITY = DOCS / "compatibility.md"
AUCTION, SAFETY = DOCS / "explanation" / "auction.md", DOCS / "explanation" / "safety.md"
PREEMPTION, JOBS = DOCS / "explanation" / "preemption.md", DOCS / "explanation" / "jobs.md"
FROZEN = json.loads((ROOT / "tests" / "frozen.json").read_text())
REGION = "us-central5-a"


# -- compatibility -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("type tokens", FROZEN["type tokens"].values()),
        (
            "of the plugin",
            [*FROZEN["type tokens in the plugin"].values(), *FROZEN["functions in the plugin"], "Provider"],
        ),
        ("paths of the provider classes", FROZEN["provider classes"].values()),
        ("config keys", FROZEN["config keys"]),
        ("environment variables", [name for name in FROZEN["environment variables"] if name.startswith("FLOW_RES")]),
        ("public names", FROZEN["public names"]),
    ],
)
def test_what_never_changes_is_what_is_frozen(row: str, names: list[str]) -> None:
    """Every name of tests/frozen.json, and no other."""
    (table, *_) = tables(section(COMPATIBILITY, "What never changes"))
    (cell,) = [cells[0] for cells in table if cells[0].startswith(row)]
    assert set(ticked(cell)) == set(names)


def test_the_versions_are_those_of_the_package() -> None:
    """Each line that is a requirement is one of pyproject.toml."""
    (table,) = tables(section(COMPATIBILITY, "Versions of other software"))
    project = (ROOT / "pyproject.toml").read_text()
    told = {row[0]: row[1] for row in table[1:]}
    assert told["Python"] == f"{re.search(r'requires-python = .>=([0-9.]+)', project)[1]} or newer"
    for what in ("Pulumi's Python SDK", "Flow SDK"):
        assert f'"{ticked(told[what])[0]}"' in project
    assert told["Pulumi CLI"].split()[0] in (ROOT / "CONTRIBUTING.md").read_text()


def test_a_word_that_the_service_adds_is_unknown() -> None:
    """With the word in the sentence."""
    seen = ClusterSnapshot(a_bid("Hibernating"), ())
    assert seen.status == "unknown"
    assert "Hibernating" in seen.message


# -- names -------------------------------------------------------------------------------------------------------------


def test_the_name_on_the_page_is_taken_apart_as_the_page_says() -> None:
    """Each row of its table, in the order of the name."""
    name = blocks(SAFETY, "text")[0].splitlines()[0]
    (parts, *_) = tables(section(SAFETY, "Names carry the mark"))
    cut = re.fullmatch(r"(\w+)-(\w{12})(\w{8})-(\w{6})-(\d)", name)
    assert cut
    assert [ticked(row[0])[0] for row in parts[1:]] == list(cut.groups())
    taken = naming.take_apart(name)
    assert taken
    assert (taken.mark.owner, taken.mark.urn, taken.spec, str(taken.generation)) == tuple(
        ticked(row[0])[0] for row in parts[2:]
    )


def test_the_ages_are_those_of_the_code() -> None:
    """A day for what is taken over, an hour for what is ended."""
    page = " ".join(SAFETY.read_text().split())
    assert "a bid older than a day is not taken over, and one older than an hour is not ended by itself" in page
    assert (timedelta(hours=24), timedelta(hours=1)) == (takeover.TAKE_OVER_WITHIN, takeover.CANCEL_WITHIN)


# -- preemption and jobs -----------------------------------------------------------------------------------------------


def test_the_rows_of_a_refresh_are_those_of_the_page() -> None:
    """Lost, back with the command, back without it, and both between two refreshes."""
    bid = replace(a_bid("Allocated"), instances=("inst_1", "inst_2"), quantity=2)
    machines = [Instance(id_, bid.id, "running", "203.0.113.1", 22, "10.0.0.1") for id_ in bid.instances]
    up = ClusterSnapshot(bid, tuple(machines))
    lost = ClusterSnapshot(replace(bid, status="Open"), tuple(replace(one, status="preempted") for one in machines))
    before = {"command": "python train.py", "run_on": "every_boot", "preemptions": 0}
    back = replace(up, known_preemptions=1)

    def change_of(recorded: dict[str, Any], seen: ClusterSnapshot) -> str:
        return boots.describe_change(recorded, seen, boots.what_runs_again(recorded))

    assert blocks(PREEMPTION, "text")[0].splitlines() == [
        change_of({**before, "status": "running"}, lost),
        change_of({**before, "status": "preempted"}, up),
        change_of({**before, "status": "preempted", "run_on": "first_boot"}, up),
        change_of({**before, "status": "running"}, back),
    ]


def test_the_defaults_of_what_runs_again_are_those_of_the_page() -> None:
    """The rows of its table: each an input of a cluster with a word that it takes."""
    (table,) = tables(section(PREEMPTION, "What runs when a machine is back"))
    fields = {field.name: field for field in cluster_fields.FIELDS}
    for row in table[1:]:
        for name, value in re.findall(r'(\w+)="(\w+)"', row[0]):
            assert fields[name].rule(value) == value
        for name in re.findall(r"`(\w+)=[^`]*`, the default", row[0]):
            assert f'`{name}="{fields[name].default}"`' in row[0]
    assert 'the default is `"never"`' in table[3][1]
    assert fields["restart"].default == "never"


def test_the_marks_are_those_of_the_page() -> None:
    """One cent less for success, two for failure."""
    page = " ".join(JOBS.read_text().split())
    assert "less one cent for success and less two cents for failure" in page
    placed = Decimal("13.00")
    marks = {outcome: job_outcome.mark(placed, outcome) for outcome in Outcome}
    assert marks == {Outcome.SUCCEEDED: Decimal("12.99"), Outcome.FAILED: Decimal("12.98")}


# -- the auction -------------------------------------------------------------------------------------------------------


def test_every_state_of_a_bid_is_called_as_the_page_says() -> None:
    """Open by whether it had machines before, Allocated by its machines; all words of `status` but two."""
    (table,) = tables(section(AUCTION, "The states of a bid"))
    told = {row[0]: ticked(row[1]) for row in table[1:]}
    for service, words in told.items():
        seen = {ClusterSnapshot(a_bid(service), (), history).status for history in (None, ("Allocated", "Preempted"))}
        assert seen <= set(words), service
        assert service in ("Open", "Allocated") or len(words) == 1
    assert ClusterSnapshot(a_bid("Open"), (), ("Allocated", "Preempted")).status == told["Open"][1]
    assert {word for words in told.values() for word in words} == set(STATUSES) - {"failed", "unknown"}


def a_bid(status: str) -> Bid:
    """A bid of one machine that it does not have yet."""
    with FakeMithril() as mithril:
        row = mithril.add_bid("trainer")
    return Bid.read({**row, "status": status, "instances": []})


def test_a_higher_limit_wins_and_all_machines_or_none() -> None:
    """In the order of limits; equal ones in the order of submission; the price paid is the market's."""
    with FakeMithril(speed=0) as mithril:
        mithril.set_capacity("8xa100", REGION, 8)
        low = mithril.add_bid("low", limit_price="$25.00", instance_quantity=4)["fid"]
        first = mithril.add_bid("first", limit_price="$30.00", instance_quantity=4)["fid"]
        second = mithril.add_bid("second", limit_price="$30.00", instance_quantity=4)["fid"]
        high = mithril.add_bid("high", limit_price="$40.00", instance_quantity=2)["fid"]
        held = {one: len(mithril.bid(one)["instances"]) for one in (low, first, second, high)}
        status = {one: mithril.bid(one)["status"] for one in held}
        assert [status[one] for one in (high, first, second)] == ["Allocated", "Allocated", "Open"]
        assert status[low] in ("Open", "Preempting")
        mithril.clock.advance(hours=1)
        paid = mithril.spend_by_bid
        assert paid[high] / 2 == pytest.approx(paid[first] / 4)
        assert paid[high] < 2 * 40


def test_the_example_of_an_auction_comes_out_as_the_page_says() -> None:
    """By the rule of the fake: two win, the third sets the price for both."""
    head, *lines = blocks(AUCTION, "text")[0].splitlines()
    bids = [re.match(r"\$(\d+) +(\d+) +(wins|waits)", line) for line in lines]
    bidders = [Bidder(str(place), place, int(bid[1]) * 100, int(bid[2])) for place, bid in enumerate(bids) if bid]
    outcome = clear(bidders, 1200, int(head.split()[-1]))
    assert outcome.winners == {str(place) for place, bid in enumerate(bids) if bid and bid[3] == "wins"} == {"0", "1"}
    assert f"both winners pay ${outcome.price_cents / 100:.0f}" in lines[2]


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_the_waits_are_those_of_the_code() -> None:
    """Thirty minutes, five minutes of silence, and the words of wait_for."""
    page = (DOCS / "how-to" / "time-limits.md").read_text()
    assert f"The limit is {waiting.DEFAULT_SECONDS / 60:.0f} minutes" in page
    assert operation._WAIT_TIMES * Settings("k", "u").retry_seconds == 5 * 60
    assert "up to five minutes does not end a wait" in " ".join(page.split())
    (table,) = tables(page)
    assert [ticked(row[0])[0].strip('"') for row in table[1:]] == list(cluster_fields.WAIT_FOR)


def test_every_place_to_mount_is_named_and_works() -> None:
    """On the page, in the reference, and in the rule."""
    page = (DOCS / "how-to" / "mount-volumes.md").read_text()
    for text in (page, (DOCS / "reference" / "gpu-cluster.md").read_text()):
        assert "`/volumes/`, `/mnt/`, `/data`, `/dataN`, `/opt/` or `/var/`" in text
    for path in ("/volumes/a", "/mnt/a", "/data", "/data7", "/opt/a", "/var/a"):
        assert placement_fields.volumes([{"volume_id": "vol_1", "mount_path": path}])


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    """Config keys of this package, by name; or a type or function, as programs in YAML may spell it."""
    tokens = [*FROZEN["type tokens in the plugin"].values(), *FROZEN["functions in the plugin"]]
    known = {*FROZEN["config keys"], "flow:index", *(token.replace("flow:index:", "flow:") for token in tokens)}
    assert set(re.findall(r"\bflow:[a-zA-Z]+\b", page.read_text())) <= known
