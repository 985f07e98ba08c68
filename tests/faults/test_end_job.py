"""end_job.py, which ends a job's bid from its machine: one thing at a time. test_job_lives.py has them all at once."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from faults.job_lives import (
    BID,
    DAY,
    FAULTS,
    HOUR,
    KEY,
    KEYS,
    NAME,
    PLACED,
    UNTOLD,
    Life,
    find_violations,
    job_file,
    mint_key,
    place_bid,
    request,
)
from faults.job_lives import live as live_on
from support.job_machine import SCRIPT, EndlessError, JobMachine

from flow_resources.core import money
from flow_resources.core.job_outcome import Outcome, told
from flow_resources.testing import Clock, FakeMithril

QUIET = replace(
    Life.of(0),
    code=0,
    on_failure="release",
    runs=(1.0,),
    limit=None,
    cuts=(),
    last_requests=50,
    fault=None,
    preempted_at=None,
    new_price=None,
    cancelled=False,
    double_hours=None,
    key_days=37.0,
    clock_error=0.0,
    renews_late=False,
    cancel_seconds=0.0,
)
"""A life in which nothing happens."""
FAILURE, KEPT = replace(QUIET, code=3), replace(QUIET, code=3, on_failure="keep")
ENDS = {"success": QUIET, "failure": FAILURE, "kept": KEPT, "deadline": replace(QUIET, runs=(2.0,), limit=1.0)}
LINES, PARTS = 450, 40
"""More lines than the script runs for the end of a job, and by how many tests they are cut."""


@pytest.fixture
def mithril():
    """A cloud whose clock waits for nobody."""
    with FakeMithril(clock=Clock(1_800_000_000.0, speed=0)) as cloud:
        yield cloud


@pytest.fixture
def install(mithril, tmp_path):
    """Return a function that places a bid and installs a job's machine."""

    def install(number=0, *, days=37.0, **changes):
        expires_at = mithril.clock.now() + days * DAY
        place_bid(mithril)
        job = {**job_file(mithril, mint_key(mithril, expires_at), expires_at), **changes}
        return JobMachine(mithril, tmp_path / f"disk-{number}", job)

    return install


def outcome(bid):
    """Return what the price of a bid tells."""
    return told(PLACED, money.from_wire(bid["limit_price"]))


def live_keys(cloud):
    """Return the keys that were not revoked."""
    return [key["fid"] for key in request(cloud, "GET", "/v2/api-keys") if not key["deactivated_at"]]


@pytest.mark.parametrize("end", ENDS)
def test_a_job_ends_as_it_was(end, mithril, tmp_path):
    """With the outcome told, the bid ended or paused, and the key revoked."""
    lived = live_on(ENDS[end], mithril, tmp_path / "disk")
    assert [*find_violations(lived)] == []
    assert lived.boots == 1
    assert lived.live_keys == []
    assert outcome(lived.row) is (Outcome.SUCCEEDED if end == "success" else Outcome.FAILED)
    assert lived.row["status"] == ("Paused" if end == "kept" else "Terminated")
    assert lived.machine.command_stops == (1 if end == "deadline" else 0)


@pytest.mark.parametrize(
    "end", ["kept", *(pytest.param(end, marks=pytest.mark.faults) for end in ("success", "failure", "deadline"))]
)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_the_end_changes_nothing(fault, end, mithril, tmp_path):
    """Of the outcome, where the service takes its price; every request that is lost is sent again."""
    lived = live_on(replace(ENDS[end], fault=fault), mithril, tmp_path / "disk")
    assert [*find_violations(lived)] == []
    assert lived.live_keys == []
    assert (outcome(lived.row) is None) is (fault == UNTOLD)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "first", [pytest.param(line, marks=[] if line == 0 else pytest.mark.faults) for line in range(PARTS)]
)
def test_the_power_can_be_cut_at_any_line(first, end, tmp_path):
    """The next boot goes on; where there is none, the bid has ended, and the key is left for the next `up`."""
    for line in range(first, LINES, PARTS):
        with FakeMithril(clock=Clock(1_800_000_000.0, speed=0)) as cloud:
            lived = live_on(replace(ENDS[end], cuts=(line,)), cloud, tmp_path / f"disk-{line}")
            assert (line, [*find_violations(lived)]) == (line, [])
            assert outcome(lived.row) is (Outcome.SUCCEEDED if end == "success" else Outcome.FAILED)
            assert lived.boots == 1 or lived.live_keys == []


def test_all_lines_of_an_end_are_cut(mithril, tmp_path):
    """So that the test above misses none: the longest of them runs to its end."""
    lived = live_on(replace(ENDS["deadline"], cuts=(LINES,)), mithril, tmp_path / "disk")
    assert lived.is_complete


def test_a_paused_bid_that_somebody_resumes_is_left_alone(mithril, install):
    """They look at its disk; what is left of the key is revoked."""
    machine = install(on_failure="keep")
    mithril.faults.add(method="DELETE", path=KEY, status=503, times=None)
    machine.last_requests = 5
    assert not machine.command_ends(3)
    (bid,) = mithril.bids
    assert (bid["status"], live_keys(mithril)) == ("Paused", ["apikey_000001"])
    mithril.faults.clear()
    mithril.update_bid(bid["fid"], paused=False)
    assert machine.boot()
    assert mithril.bid(bid["fid"])["status"] == "Allocated"
    assert live_keys(mithril) == []


def test_of_two_live_bids_none_is_touched_until_one_is_left(mithril, install):
    """The machine cannot know which one is its own; the log says so."""
    machine = install()
    double = place_bid(mithril)
    until = mithril.clock.now() + 2 * HOUR
    mithril.clock.listeners.append(lambda: mithril.clock.now() < until or mithril.terminate(double))
    assert machine.command_ends(0)
    assert any("several live bids" in line for line in machine.log)
    assert [bid["status"] for bid in mithril.bids] == ["Terminated", "Terminated"]
    assert [told(PLACED, money.from_wire(bid["limit_price"])) for bid in mithril.bids] == [Outcome.SUCCEEDED, None]


def test_what_only_begins_with_the_name_is_another_job_s(mithril, install):
    """A service can take a name for a prefix."""
    machine = install()
    mithril.set_options(name_filter="prefix")
    other = mithril.add_bid(f"{NAME}0")
    assert machine.command_ends(0)
    assert mithril.bid(other["fid"]) == other
    assert mithril.bids[0]["status"] == "Terminated"


def test_other_keys_of_the_account_are_left_alone(mithril, install):
    """By the renewal and by the end."""
    machine = install(days=2)
    body = {"name": "ci", "expires_at": "2027-03-01T00:00:00Z"}
    other = request(mithril, "POST", "/v2/api-keys", body)["fid"]
    assert machine.run("renew")
    assert machine.command_ends(0)
    assert live_keys(mithril) == [other]


def test_another_machine_that_tells_something_else_leaves_no_outcome(mithril, install):
    """After a preemption another machine can be the first one, and its command can end otherwise."""
    first, second = install(), install(1)
    mithril.terminate(mithril.bids[1]["fid"])
    mithril.faults.add(method="DELETE", path=BID, status=503, times=None)
    first.cut_at = second.cut_at = mithril.clock.now() + HOUR
    assert not first.command_ends(0)
    assert outcome(mithril.bids[0]) is Outcome.SUCCEEDED
    mithril.faults.clear()
    second.cut_at = None
    assert second.command_ends(1)
    assert outcome(mithril.bids[0]) is None
    assert mithril.bids[0]["status"] == "Terminated"


def test_a_key_of_the_user_is_neither_listed_nor_revoked(mithril, install):
    """Only a key with an id is the job's own."""
    machine = install(key=mithril.key, key_id=None, key_name=None, key_expires_at=None)
    assert machine.command_ends(0)
    assert mithril.bids[0]["status"] == "Terminated"
    assert len(live_keys(mithril)) == 1
    assert not [line for line in machine.log if "api-keys" in line]


def test_a_key_that_is_revoked_is_revoked(mithril, install):
    """Where the answer to the revocation was lost, the service takes the key no more: that is the answer."""
    machine = install()
    mithril.faults.add(method="DELETE", path=KEY, kind="reset", when="after")
    assert machine.command_ends(0)
    assert [line for line in machine.log if line.endswith("401")] == [
        "GET /v2/api-keys 401",
        "DELETE /v2/api-keys/apikey_000001 401",
    ]


def test_the_log_never_has_the_key(mithril, install):
    """Not even one that no header can carry."""
    secret = "fkey_secret\nof two lines"
    machine = install(key=secret)
    machine.cut_at = mithril.clock.now() + 60
    assert not machine.command_ends(0)
    assert any("tried again" in line for line in machine.log)
    assert not any("secret" in line for line in machine.log)


def test_a_redirect_does_not_get_the_key(mithril, install):
    """Whoever answers there."""
    with FakeMithril(key="other") as other:
        machine = install()
        mithril.faults.add(
            method="GET", path="/v2/spot/bids", status=302, headers={"Location": f"{other.url}/v2/spot/bids"}
        )
        assert machine.command_ends(0)
        assert [sent.key for sent in other.requests] == [None]


@pytest.mark.parametrize("on_failure", ["release", "keep"])
def test_a_service_that_refuses_a_price_below_its_minimum_is_told_nothing(on_failure, mithril, install):
    """The bid ends all the same: how the job ended is not known then."""
    machine = install(on_failure=on_failure)
    mithril.set_price("8xa100", mithril.region, 50.0)
    mithril.set_options(refuse_below_minimum=True)
    assert machine.command_ends(3)
    (bid,) = mithril.bids
    assert (bid["limit_price"], bid["status"]) == ("$50.00", "Paused" if on_failure == "keep" else "Terminated")
    assert [line for line in machine.log if line.endswith("400")] == [f"PATCH /v2/spot/bids/{bid['fid']} 400"]


def test_a_price_that_loses_the_auction_still_ends_the_bid(mithril, install):
    """The machine goes on within the notice."""
    machine = install()
    mithril.set_price("8xa100", mithril.region, 50.0)
    mithril.set_options(preemption_notice_seconds=300)
    assert machine.command_ends(0)
    (bid,) = mithril.bids
    events = request(mithril, "GET", f"/v2/spot/bids/{bid['fid']}/history")["events"]
    assert [event["event_type"] for event in events][-3:] == ["Limit Price Changed", "Preempted", "Terminated"]
    assert outcome(bid) is Outcome.SUCCEEDED


# The time limit


def test_the_time_limit_counts_from_the_first_start_by_the_service_s_clock(mithril, install):
    """Waiting counts, and a machine's clock that is set does not."""
    machine = install(max_run_seconds=10 * 3600)
    machine.clock_error = 5 * HOUR
    machine.cut_at = mithril.clock.now() + HOUR
    assert not machine.run("deadline")
    mithril.clock.advance(hours=6)
    machine.clock_error = 0.0
    machine.cut_at = mithril.clock.now() + 2 * HOUR
    assert not machine.run("deadline")
    assert machine.read("job-exit") is None
    machine.cut_at = None
    start = mithril.clock.now()
    assert machine.run("deadline")
    assert mithril.clock.now() - start == pytest.approx(HOUR, abs=2)
    assert (machine.read("job-exit")["code"], machine.command_stops) == (None, 1)
    assert outcome(mithril.bids[0]) is Outcome.FAILED


def test_the_first_word_counts(mithril, install):
    """A command that ended before the limit is not failed by it, and a failed one does not succeed after it."""
    machine = install(max_run_seconds=60)
    machine.write("job-exit", {"code": 0, "at": 0})
    assert machine.run("deadline")
    assert (machine.command_stops, mithril.bids[0]["status"]) == (0, "Allocated")
    machine.write("job-exit", {"code": None, "at": 0})
    assert machine.command_ends(0)
    assert outcome(mithril.bids[0]) is Outcome.FAILED


def test_the_limit_that_was_killed_goes_on(mithril, install):
    """It is started again after a kill: the bid must not wait for the next boot."""
    machine = install(max_run_seconds=60)
    machine.write("job-exit", {"code": None, "at": 0})
    assert machine.run("deadline")
    assert mithril.bids[0]["status"] == "Terminated"


def test_only_the_first_machine_ends_a_job_at_its_limit(mithril, install):
    """The others note their start and wait: one of them can be the first one later, from their start on."""
    machine = install(max_run_seconds=3600)
    machine.write("rank", 1)
    machine.cut_at = mithril.clock.now() + 1.5 * HOUR
    assert not machine.run("deadline")
    assert (machine.read("job-exit"), machine.command_stops, mithril.bids[0]["status"]) == (None, 0, "Allocated")
    machine.write("rank", 0)
    machine.cut_at = None
    start = mithril.clock.now()
    assert machine.run("deadline")
    assert mithril.clock.now() - start < 60
    assert (machine.command_stops, mithril.bids[0]["status"]) == (1, "Terminated")


# The renewal


def test_a_key_is_renewed_a_week_before_it_expires(mithril, install):
    """Under its name, for thirty days, and the old one is revoked; the job can end with the new one."""
    machine = install(days=7.5)
    assert machine.run("renew")
    assert live_keys(mithril) == ["apikey_000001"]
    mithril.clock.advance(hours=24)
    assert machine.run("renew")
    assert live_keys(mithril) == ["apikey_000002"]
    assert machine.read("job.json")["key_expires_at"] == pytest.approx(mithril.clock.now() + 30 * DAY, abs=2)
    names = {key["name"] for key in request(mithril, "GET", "/v2/api-keys")}
    assert len(names) == 1
    assert (machine.disk / "job.json").stat().st_mode & 0o777 == 0o600
    mithril.clock.advance(hours=24 * 20)
    assert machine.command_ends(0)
    assert live_keys(mithril) == []


def test_a_new_key_whose_answer_was_lost_is_revoked(mithril, install):
    """By the next one, and by the end of the job where there is none."""
    machine = install(days=2)
    mithril.faults.add(method="POST", path=KEYS, kind="reset", when="after")
    assert machine.run("renew")
    assert live_keys(mithril) == ["apikey_000003"]
    mithril.clock.advance(hours=24 * 28)
    mithril.faults.add(method="POST", path=KEYS, kind="reset", when="after")
    machine.cut_at = mithril.clock.now()
    assert not machine.run("renew")
    assert live_keys(mithril) == ["apikey_000003", "apikey_000004"]
    assert machine.command_ends(0)
    assert live_keys(mithril) == []


def test_the_key_of_several_machines_is_not_revoked_by_one_of_them(mithril, install):
    """They were installed with the same key: it expires, or goes with the job."""
    machine = install(days=2, machines=2)
    assert machine.run("renew")
    assert live_keys(mithril) == ["apikey_000001", "apikey_000002"]
    assert machine.command_ends(0)
    assert live_keys(mithril) == []


def test_a_renewal_survives_an_api_that_is_away(mithril, install):
    """And a day later it is done."""
    machine = install(days=2)
    mithril.faults.outage(minutes=600)
    assert machine.run("renew")
    assert live_keys(mithril) == ["apikey_000002"]


def test_nothing_is_renewed_for_a_job_that_has_ended(mithril, install):
    """Its keys are being revoked."""
    machine = install(days=2)
    machine.write("job-exit", {"code": 0, "at": 0})
    assert machine.run("renew")
    assert live_keys(mithril) == ["apikey_000001"]


# Both sides


@pytest.mark.parametrize(
    ("placed", "offset"),
    [(placed, offset) for placed in (1, 2, 120_000) for offset in range(-4, 2) if placed + offset > 0],
)
@pytest.mark.parametrize("code", [0, 1])
def test_the_machine_and_the_provider_read_the_price_alike(placed, offset, code, mithril, install):
    """Whatever the price is meanwhile: what is told is true, and it is told where no price has to be raised for it."""
    live = placed + offset
    machine = install(placed_cents=placed)
    mithril.update_bid(mithril.bids[0]["fid"], limit_price=f"${live / 100:.2f}")
    assert machine.command_ends(code)
    truth, mark = (Outcome.SUCCEEDED, placed - 1) if code == 0 else (Outcome.FAILED, placed - 2)
    price = money.from_wire(mithril.bids[0]["limit_price"])
    assert price * 100 <= live
    is_other_mark = live in (placed - 1, placed - 2) and live != mark
    if is_other_mark and placed < 4:
        return  # what would take it back is no price
    assert told(money.price(placed / 100), price) is (truth if live >= mark > 0 and not is_other_mark else None)


def test_a_process_that_was_killed_is_started_again(tmp_path):
    """As systemd does it, with the interpreter and the signals of a machine."""
    with FakeMithril() as cloud:
        expires_at = cloud.clock.now() + 37 * DAY
        place_bid(cloud)
        (tmp_path / "job.json").write_text(json.dumps(job_file(cloud, mint_key(cloud, expires_at), expires_at)))
        environment = {**os.environ, "FLOW_COMMAND_DIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}

        def start(*arguments):
            command = [sys.executable, "-I", str(SCRIPT), *arguments]
            return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

        for method in ("PATCH", "DELETE"):
            killed = []
            cloud.faults.add(method=method, path=BID, then=lambda _, killed=killed: killed[0].kill())
            killed.append(start(*(("exited", "3") if method == "PATCH" else ("report",))))
            assert killed[0].wait(60) == -9
            killed[0].stdout.close()
        assert (cloud.bids[0]["status"], outcome(cloud.bids[0])) == ("Terminated", Outcome.FAILED)
        last = start("report")
        log, _ = last.communicate(timeout=60)
        assert (last.returncode, live_keys(cloud)) == (0, [])
        assert NAME in log


class FullDisk:
    """A disk on which nothing can be written, once it is full."""

    def __init__(self, machine):
        self.machine, self.fsync = machine, os.fsync

    def __enter__(self):
        def full(_file):
            raise OSError(errno.ENOSPC, "No space left on device")

        os.fsync = full

    def __exit__(self, *_):
        os.fsync = self.fsync


@pytest.mark.parametrize(("code", "on_failure"), [(0, "release"), (3, "release"), (3, "keep")])
def test_a_job_that_has_filled_its_disk_ends_all_the_same(code, on_failure, mithril, install):
    """Nothing can be noted, and the bid would be paid for until somebody looks."""
    machine = install(on_failure=on_failure)
    with FullDisk(machine):
        assert machine.command_ends(code)
    [bid] = machine.bids
    assert bid["status"] == ("Paused" if on_failure == "keep" else "Terminated")
    assert outcome(bid) is (Outcome.FAILED if code else Outcome.SUCCEEDED)
    assert live_keys(mithril) == []


def test_a_time_limit_ends_a_job_that_has_filled_its_disk(mithril, install):
    """The same of the other that notes an end."""
    machine = install(max_run_seconds=3600)
    machine.write("started-at", mithril.clock.now())
    with FullDisk(machine):
        assert machine.run("deadline")
    [bid] = machine.bids
    assert (bid["status"], outcome(bid)) == ("Terminated", Outcome.FAILED)
    assert machine.command_stops == 1
    assert live_keys(mithril) == []


def test_room_for_the_note_of_an_end_is_set_aside(install):
    """And used when there is no other: a later boot must know of the end."""
    machine = install()
    (machine.disk / "room").write_bytes(b"0" * 100)
    assert machine.command_ends(3)
    assert (machine.disk / "room").stat().st_size == 0
    assert machine.read("job-exit")["code"] == 3


def test_no_key_is_made_that_cannot_be_stored(mithril, install):
    """Each try would make one, and on several machines they stay until they expire."""
    machine = install(days=3.0, machines=2)
    before = live_keys(mithril)
    with FullDisk(machine), pytest.raises(EndlessError):
        machine.run("renew")
    assert live_keys(mithril) == before


@pytest.mark.parametrize("status", [500, 429])
def test_other_keys_of_a_job_are_not_left_because_a_list_failed(status, mithril, install):
    """After its own key nothing can be revoked: those of other machines would live for weeks."""
    machine = install(machines=2)
    mint_key(mithril, mithril.clock.now() + 30 * DAY)
    mithril.faults.add(method="GET", path=KEYS, status=status, times=2)
    assert machine.command_ends(0)
    assert live_keys(mithril) == []
