"""Boots of machines: the start-up script runs at the first boot of a boot disk, and at later ones what it installed."""

from __future__ import annotations

import base64
import gzip
import lzma

import pytest
from flow.utils.compressed_script import encode_script, payload_block

from flow_resources.testing import Clock, FakeMithril, RemoteMithril
from flow_resources.testing.service.startup_script import expand, installed_units

PLAIN = "#!/bin/bash\npython train.py\n"
WITH_UNIT = (
    "#!/bin/bash\ncat > /etc/systemd/system/ours.service <<'E'\n[Service]\nE\nsystemctl -q enable ours.service\n"
)


def carried(script):
    """Return a script as the Flow SDK sends a long one."""
    return f"#!/bin/bash\n{payload_block(encode_script(script))}\necho $COMPRESSED_SCRIPT | base64 -d | gunzip | bash\n"


def ran(mithril, bid):
    """Return (boot, what ran) for each boot of a bid of one machine."""
    return [(boot["number"], boot["runs"]) for boot in mithril.boots(bid["fid"])]


def on_machine(mithril, bid):
    """Return (boot, what runs) of the one machine of a bid at present, as the page shows it."""
    (row,) = [row for row in mithril._perform("overview")["bids"] if row["fid"] == bid["fid"]]
    (machine,) = row["instances"]
    return machine["boot"], machine["runs"]


@pytest.mark.parametrize("keep", [False, True], ids=["new ids", "the same ids"])
def test_a_preempted_machine_comes_back_without_its_start_up_script(cloud, keep):
    """The boot disk is that of the first boot, whatever the id of the machine is."""
    mithril = cloud(keep_instance_ids=keep)
    bid = mithril.add_bid(startup_script=PLAIN)
    assert on_machine(mithril, bid) == (1, ["start-up script"])
    mithril.preempt(bid["fid"])
    mithril.release(bid["fid"])
    assert mithril.bid(bid["fid"])["status"] == "Allocated"
    assert ran(mithril, bid) == [(1, ["start-up script"]), (2, [])]
    assert on_machine(mithril, bid) == (2, [])


def test_a_pause_and_a_relocation_keep_the_boot_disk_too(mithril):
    """Each is a later boot."""
    bid = mithril.add_bid(startup_script=PLAIN)
    mithril.update_bid(bid["fid"], paused=True)
    assert on_machine(mithril, bid) == (1, None)
    mithril.update_bid(bid["fid"], paused=False)
    mithril.relocate(bid["fid"])
    assert ran(mithril, bid) == [(1, ["start-up script"]), (2, []), (3, [])]


def test_a_later_boot_runs_the_units_that_the_script_has_installed(mithril):
    """Also where the script is sent compressed."""
    for script in (WITH_UNIT, carried(WITH_UNIT)):
        bid = mithril.add_bid(startup_script=script)
        mithril.relocate(bid["fid"])
        assert ran(mithril, bid) == [(1, ["start-up script"]), (2, ["ours.service"])]


def test_another_bid_has_another_boot_disk(mithril):
    """Also under the same name: the disk of an ended bid is gone."""
    first = mithril.add_bid("trainer", startup_script=PLAIN)
    mithril.terminate(first["fid"])
    second = mithril.add_bid("trainer", startup_script=PLAIN)
    assert ran(mithril, second) == [(1, ["start-up script"])]


def test_machines_of_one_bid_have_a_disk_each(mithril):
    """Each counts its own boots."""
    bid = mithril.add_bid("trainer", instance_quantity=2, startup_script=PLAIN)
    mithril.preempt(bid["fid"])
    mithril.release(bid["fid"])
    assert [(boot["name"], boot["number"]) for boot in mithril.boots(bid["fid"])] == [
        ("trainer-1", 1), ("trainer-2", 1), ("trainer-1", 2), ("trainer-2", 2),
    ]  # fmt: skip


def test_a_boot_that_was_cut_short_is_none(cloud):
    """The machine was taken before it ran: its next boot is the first one."""
    clock = Clock(speed=0)
    mithril = cloud(clock=clock, boot_seconds=60, preemption_notice_seconds=30)
    bid = mithril.add_bid(startup_script=PLAIN)
    clock.advance(seconds=50)
    assert on_machine(mithril, bid) == (1, ["start-up script"])
    mithril.preempt(bid["fid"])
    assert on_machine(mithril, bid) == (0, None)
    clock.advance(seconds=30)
    mithril.release(bid["fid"])
    clock.advance(seconds=60)
    assert ran(mithril, bid) == [(1, ["start-up script"])]


def test_a_machine_under_notice_still_runs_what_it_ran(cloud):
    """Until the notice is over."""
    mithril = cloud(clock=Clock(speed=0), preemption_notice_seconds=300)
    bid = mithril.add_bid(startup_script=PLAIN)
    mithril.preempt(bid["fid"])
    assert mithril.bid(bid["fid"])["status"] == "Preempting"
    assert on_machine(mithril, bid) == (1, ["start-up script"])


def test_a_boot_that_failed_ran_nothing(mithril):
    """And is none."""
    mithril.set_options(boot_failure_rate=1.0)
    bid = mithril.add_bid(startup_script=PLAIN)
    assert (ran(mithril, bid), on_machine(mithril, bid)) == ([], (0, None))


def test_an_image_that_runs_its_script_each_time_is_an_option(cloud):
    """Beside the units that the script installed."""
    mithril = cloud(startup_script_runs="every_boot")
    bid = mithril.add_bid(startup_script=WITH_UNIT)
    mithril.relocate(bid["fid"])
    assert ran(mithril, bid) == [(1, ["start-up script"]), (2, ["start-up script", "ours.service"])]
    with pytest.raises(ValueError, match="startup_script_runs"):
        mithril.set_options(startup_script_runs="sometimes")


def test_a_machine_without_a_script_runs_nothing(mithril):
    """At any boot."""
    bid = mithril.add_bid()
    mithril.relocate(bid["fid"])
    assert ran(mithril, bid) == [(1, []), (2, [])]


def test_boots_survive_a_restart_of_the_cloud(tmp_path):
    """They are part of the state."""
    with FakeMithril(state=tmp_path / "s.db") as first:
        bid = first.add_bid(startup_script=PLAIN)
        first.relocate(bid["fid"])
    with FakeMithril(state=tmp_path / "s.db") as second:
        assert ran(second, bid) == [(1, ["start-up script"]), (2, [])]


def test_boots_are_read_and_machines_relocated_from_another_process(mithril):
    """By the control API; only an Allocated bid has machines to move."""
    remote = RemoteMithril(mithril.url)
    bid = remote.add_bid(startup_script=PLAIN)
    remote.relocate(bid["fid"])
    assert ran(remote, bid) == [(1, ["start-up script"]), (2, [])]
    remote.terminate(bid["fid"])
    with pytest.raises(ValueError, match="only an Allocated bid has machines to relocate"):
        remote.relocate(bid["fid"])
    with pytest.raises(KeyError, match="bid_999999"):
        remote.boots("bid_999999")


def test_the_status_history_has_a_relocation(client, mithril):
    """As the API has a word for it."""
    bid = client.bid()
    mithril.relocate(bid["fid"])
    query = {"project": mithril.project_id, "bid_fid": bid["fid"]}
    (machine,) = client.get("/v2/instances/status/history", params=query).json()["instances"]
    statuses = [event["status"] for event in machine["events"]]
    assert statuses == ["STATUS_RUNNING", "STATUS_RELOCATING", "STATUS_RUNNING"]


# --- reading the script ----------------------------------------------------------------------------------------------


def wrapped(script):
    """Return the payload as the Flow SDK wrote it before 3.27: 76 characters a line."""
    lines = base64.encodebytes(gzip.compress(script.encode())).decode()
    return f"COMPRESSED_SCRIPT=$(cat << 'EOF_COMPRESSED_SCRIPT'\n{lines.strip()}\nEOF_COMPRESSED_SCRIPT\n)"


def packed(script):
    """Return a bootstrap with another compression."""
    payload = base64.b85encode(lzma.compress(script.encode())).decode()
    return f"#!/bin/bash\npython3 -c 'import lzma' >script <<'E'\n{payload}\nE\nexec bash script\n"


def numbered(script):
    """Return a bootstrap whose payload is a number of printable characters."""
    number, digits = int.from_bytes(lzma.compress(script.encode(), lzma.FORMAT_ALONE), "big"), ""
    while number:
        number, digit = divmod(number, 94)
        digits = chr(33 + digit) + digits
    return f"#!/bin/bash\nunpack >script <<'E'\n{digits}\nE\nexec bash script\n"


@pytest.mark.parametrize("write", [carried, wrapped, packed, numbered, lambda script: carried(packed(script))])
def test_a_compressed_script_is_read_as_it_was_written(write):
    """By the Flow SDK, on one line or wrapped; by others; and within another one."""
    script = f"echo {'ü' * 300}\n{WITH_UNIT}"
    assert script in expand(write(script))


def encoded(content):
    """Return base64."""
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "payload", ["", "two words", "AAAA", "A", encoded(b"no gzip"), encoded(gzip.compress(b"\xff", mtime=0))]
)
def test_a_payload_that_is_none_stays_text(payload):
    """A bid may carry any text."""
    script = f"COMPRESSED_SCRIPT=$(cat << 'EOF_COMPRESSED_SCRIPT'\n{payload}\nEOF_COMPRESSED_SCRIPT\n)"
    assert expand(script) == script
    assert installed_units(script) == ()


def test_a_payload_is_not_expanded_without_limit():
    """A gzip of a few kilobytes may hold gigabytes."""
    for write in (carried, packed):
        assert len(expand(write("a" * 20_000_000))) < 1_200_000


SETUP = """cat >/etc/systemd/system/setup.service <<EOF
[Unit]
ConditionPathExists=!/etc/systemd/system/a.service
EOF
systemctl enable setup.service
"""


@pytest.mark.parametrize(
    ("script", "units"),
    [
        ("systemctl enable --now a.service b.timer", ["a.service", "b.timer"]),
        ("systemctl --quiet enable a.service || true", ["a.service"]),
        ("cat > /etc/systemd/system/a.service\nsystemctl enable a", ["a.service"]),
        ("systemctl enable docker", []),
        ("ln -sf ../a.service /etc/systemd/system/multi-user.target.wants/", ["a.service"]),
        ("ln -s /etc/systemd/system/b.path ../a.timer /etc/systemd/system/x.target.wants", ["b.path", "a.timer"]),
        ("ln -sf a.service /etc/systemd/system/b.service", []),
        (SETUP + "ln -sf ../a.service /etc/systemd/system/multi-user.target.wants/", ["a.service"]),
        (SETUP, ["setup.service"]),
        ("# systemctl enable a.service", []),
        ("systemctl disable a.service", []),
        ("systemctl daemon-reload; systemctl enable a.service; systemctl enable a.service", ["a.service"]),
        ('for u in a b; do systemctl enable "$u.service"; done', []),
    ],
)
def test_the_units_of_a_script_are_those_that_it_enables(script, units):
    """A unit of the image that it only names is not its own."""
    assert list(installed_units(script)) == units
