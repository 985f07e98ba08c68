"""What the watch shows, and whom it tells: tables of any width, logs, a terminal, JSON, the user's command."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pulumi.automation import events
from rich.console import Console
from support.watched import AT, TYPE, FakeWatched, a_cluster

from flow_resources.cli import main, watch
from flow_resources.cli.watch import stack as watch_stack
from flow_resources.cli.watch.hook import Hook
from flow_resources.cli.watch.look import Look
from flow_resources.cli.watch.show import JsonLines, LiveTable, LogLines, line_of, lines
from flow_resources.core.costs import Spending
from flow_resources.pulumi_command import PulumiCommand
from flow_resources.redaction import Redactor

NOW = datetime(2026, 11, 30, 12, 12, 30, tzinfo=timezone.utc)
LONG = "a-cluster-whose-name-is-much-longer-than-anything-that-fits-beside-the-other-columns-of-a-terminal"
SPENT = Spending(cent_microseconds=123450 * 3_600_000_000)
ROWS = [
    ("", a_cluster("trainer", outputs={"max_price_per_hour": 1250.5}, market=None, spending=SPENT)),
    ("", a_cluster("lost", "preempted", outputs={"preemptions": 12, "last_preempted_at": AT})),
    ("", a_cluster(LONG, "preempting", outputs={"preemptions": None})),
    ("", a_cluster("unknown", problem="no answer")),
    ("", a_cluster("gone", live=None)),
]
EVENT = {
    "event": "preempted", "at": AT, "stack": "acme/training/dev", "cluster": "lost", "message": "it waits",
}  # fmt: skip


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_fits_its_width_and_cuts_nothing_but_names(width):
    """At 80 columns the long name is cut, at 200 it is whole; numbers never are."""
    drawn = lines(ROWS, NOW, width)
    assert len(drawn) == 1 + len(ROWS)
    assert max(map(len, drawn)) <= width
    assert [row.split()[1:] for row in drawn[1:3]] == [
        ["running", "1/1", "$1,250.50/h", "?", "$1,234.50", "never"],
        ["preempted", "0/1", "$50.00/h", "?", "-", "12x,", "12", "min", "ago"],
    ]
    assert drawn[3].split()[1:] == ["preempting", "0/1", "$50.00/h", "?", "-", "?"]
    assert drawn[4].split()[1:] == ["not", "known", "?/1", "$50.00/h", "?", "-", "never"]
    assert drawn[5].split()[1:3] == ["gone", "0/1"]
    assert (LONG in drawn[3]) == (width == 200)
    assert ("…" in drawn[3]) == (width == 80)


def test_a_narrow_terminal_still_gets_lines():
    """They are cut by it, and nothing fails."""
    assert len(lines(ROWS, NOW, 20)) >= 1 + len(ROWS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "119 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_how_long_ago_is_told_in_one_unit(seconds, words):
    at = datetime.fromtimestamp(NOW.timestamp() - seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    (_, row) = lines([("", a_cluster(outputs={"preemptions": 1, "last_preempted_at": at}))], NOW)
    assert row.endswith(f"1x, {words} ago")


def test_a_log_has_the_table_once_and_each_event_as_a_line(capsys):
    show = LogLines()
    show.event(EVENT)
    show.looked(ROWS, NOW, ["a/b/one"])
    show.looked(ROWS, NOW, ["a/b/one"])
    show.close()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{AT} dev/lost preempted: it waits"
    assert len(printed) == 2 + len(ROWS)
    assert not any("\x1b" in line for line in printed)


def test_json_has_an_object_a_line_and_names_each_stack(capsys):
    show = JsonLines()
    show.event(EVENT)
    show.looked(
        [("a/b/one", ROWS[0][1]), ("a/b/two", ROWS[1][1]), ("a/b/two", ROWS[3][1])], NOW, ["a/b/one", "a/b/two"]
    )
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert documents[0] == EVENT
    assert [(one["stack"], [row["cluster"] for row in one["clusters"]]) for one in documents[1:]] == [
        ("a/b/one", ["trainer"]),
        ("a/b/two", ["lost", "unknown"]),
    ]
    assert documents[2]["clusters"][1]["machines_running"] is None


def test_a_stack_without_clusters_is_told_and_one_that_was_not_looked_at_is_not(capsys):
    """A program that reads the JSON counts the rounds; a log has its table when there is something to tell."""
    json_lines, log = JsonLines(), LogLines()
    json_lines.looked([], NOW, ["a/b/one"])
    assert json.loads(capsys.readouterr().out) == {
        "event": "looked", "at": "2026-11-30T12:12:30Z", "stack": "a/b/one", "clusters": [],
    }  # fmt: skip
    for show in (json_lines, log):
        show.looked([], NOW, [])
        assert not capsys.readouterr().out
    log.looked(ROWS, NOW, ["a/b/one"])
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(ROWS)
    LogLines().looked([], NOW, ["a/b/one"])
    assert capsys.readouterr().out == "no clusters, jobs or fleets\n"


def test_a_terminal_says_at_once_that_it_looks():
    """The first look takes seconds."""
    out = io.StringIO()
    show = LiveTable(Console(file=out, force_terminal=True, width=80, color_system=None))
    assert "not looked at yet" in out.getvalue()
    show.looked([], NOW, ["a/b/one"])
    show.close()
    assert "no clusters, jobs or fleets" in out.getvalue()


def test_a_terminal_keeps_the_table_below_the_events():
    out = io.StringIO()
    show = LiveTable(Console(file=out, force_terminal=True, width=80, color_system=None))
    show.looked(ROWS[:2], NOW, ["a/b/one"])
    show.event(EVENT)
    show.close()
    printed = out.getvalue()
    assert line_of(EVENT)[:79] in printed
    assert printed.rindex("CLUSTER") > printed.index(AT), "the table is drawn again under the event"


# -- the user's command ------------------------------------------------------------------------------------------------


def test_the_command_gets_each_event_in_order_and_its_failure_stops_nothing(tmp_path):
    complaints = list[str]()
    hook = Hook(f"cat >>{tmp_path}/events; exit 7", complaints.append)
    for number in range(3):
        hook.send(json.dumps({"number": number}))
    hook.close()
    assert (tmp_path / "events").read_text() == '{"number": 0}\n{"number": 1}\n{"number": 2}\n'
    assert complaints == ["--on-event: the command ended with exit code 7"] * 3


def test_a_command_that_hangs_is_killed_with_its_children_and_the_next_runs(tmp_path):
    """Sending does not wait for it."""
    complaints = list[str]()
    hangs = f"sleep 1000 & echo $! >{tmp_path}/pid; wait"
    command = f"read line; case $line in *0*) {hangs};; *) echo $line >{tmp_path}/next;; esac"
    hook = Hook(command, complaints.append, 0.5)
    hook.send('{"number": 0}')
    hook.send('{"number": 1}')
    hook.close()
    assert complaints == ["--on-event: the command did not end within 0.5 s, and was killed"]
    assert (tmp_path / "next").read_text() == '{"number": 1}\n'
    stat = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z", "its child runs on"


def test_a_watch_that_is_interrupted_waits_for_no_command(tmp_path):
    """The second Ctrl-C ends it at once."""
    began = time.monotonic()

    def interrupted():
        with watch._telling(argparse.Namespace(on_event="sleep 1000"), LogLines(), Redactor()) as tell:
            for _ in range(3):
                tell({"event": "ended", "message": "it has ended", "at": "now", "stack": "o/p/s"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - began < 5


def test_events_beyond_the_queue_are_told_and_do_not_block(monkeypatch):
    from flow_resources.cli.watch import hook

    monkeypatch.setattr(hook, "_LONGEST_QUEUE", 1)
    complaints = list[str]()
    hook = Hook("sleep 1000", complaints.append, 0.3)
    for number in range(9):
        hook.send(str(number))
    hook.close()
    assert any("this one was left out" in complaint for complaint in complaints)


def test_a_secret_is_shown_to_nobody(tmp_path, capsys):
    """Neither in a line nor to the command."""
    redactor = Redactor()
    redactor.register("canary-secret-3f")
    arguments = argparse.Namespace(on_event=f"cat >{tmp_path}/event")
    with watch._telling(arguments, JsonLines(), redactor) as tell:
        tell({**EVENT, "message": "refused canary-secret-3f", "more": "canary-secret-3f"})
    shown = capsys.readouterr().out
    assert "canary" not in shown + (tmp_path / "event").read_text()
    assert json.loads(shown)["message"] == "refused …"


# -- signals and the command line --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_stops_the_watch_and_the_second_acts_as_ever(number):
    before = signal.getsignal(number)
    heard = threading.Event()
    signal.signal(number, lambda *_: heard.set())
    try:
        with watch._stopping() as stopped:
            clock = watch._StoppableClock(stopped)
            os.kill(os.getpid(), number)
            clock.sleep(600)
            assert stopped.is_set()
            assert not heard.is_set()
            os.kill(os.getpid(), number)
            assert heard.wait(60)
    finally:
        signal.signal(number, before)


def test_one_stack_alone_is_not_named_in_each_row_and_several_are(capsys):
    class Looked:
        def __init__(self, *names):
            self.names = names

        def looks(self):
            return ((FakeWatched(name=name), Look((a_cluster(),))) for name in self.names)

    for names, first in ((["a/b/one"], "c0"), (["a/b/one", "a/b/two"], "a/b/one/c0")):
        watch._show(Looked(*names), LogLines(), watch._StoppableClock(threading.Event()))
        assert capsys.readouterr().out.splitlines()[1].split()[0] == first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--interval", "0.5"], "must be a number from 1 to 86400"),
        (["--interval", "soon"], "must be a number from 1 to 86400"),
        (["--max-heals-per-hour", "-1"], "must be a whole number from 1"),
        (["--max-heals-per-hour", "½"], "must be a whole number from 1"),
        (["--apply-all"], "--apply-all says what --heal may do"),
        (["--cwd", "/does/not/exist"], "must be a folder"),
        (["--jsn"], "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(arguments, words, capsys):
    try:
        code = main(["watch", *arguments])
    except SystemExit as left:
        code = left.code
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert words in error


@pytest.mark.parametrize(
    ("encoding", "is_read", "code", "said"),
    [
        ("latin-1", True, 0, ""),
        ("utf-8", False, 2, "error: nobody reads what is printed any more, and it ended\n"),
    ],
)
def test_what_cannot_be_printed_ends_in_one_line_at_most(encoding, is_read, code, said):
    """A locale without a letter that a message has ends nothing; `| head` ends it, and is no internal error."""
    program = f"""
import sys
from flow_resources.cli import main, watch
from flow_resources.cli.watch import stack as watch_stack
from flow_resources.cli.watch.show import LogLines

def run(_arguments):
    for _ in range(3):
        LogLines().event({EVENT | {"message": "it waits, …"}!r})
    return 0

watch.run = run
sys.exit(main(["watch"]))
"""
    reader, writer = os.pipe()
    if not is_read:
        os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, said)
    if is_read:
        with os.fdopen(reader, encoding=encoding) as printed:
            assert printed.read().count("it waits, \\u2026\n") == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it is still running: that is wanted
def test_a_second_interrupt_leaves_the_pulumi_under_way_alone(tmp_path, monkeypatch):
    """The one that ends the watch at once: `pulumi` goes on, records what it has done, and gives its lock back."""
    script = tmp_path / "bin" / "pulumi"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n[ $1 = version ] && echo v3.259.0 && exit\n"
        "sleep 0.3\nkill -INT $PPID\nread word <go\necho $word >end\n"
    )
    script.chmod(0o755)
    go, end = tmp_path / "go", tmp_path / "end"
    os.mkfifo(go)
    os.mkfifo(end)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            PulumiCommand().run(["up"], str(tmp_path), {})
    finally:
        signal.signal(signal.SIGINT, handler)
    deadline, pipe = time.monotonic() + 10, None
    while pipe is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # until the script reads
            pipe = os.open(go, os.O_WRONLY | os.O_NONBLOCK)
    assert pipe is not None, "it is gone"
    os.write(pipe, b"finished\n")
    os.close(pipe)
    assert end.read_text() == "finished\n"


def test_a_signal_at_any_moment_of_the_pause_ends_it():
    """Raised at each line that the pause executes, in a process of its own, which would hang for ever."""
    program = """
import signal, sys
from flow_resources.cli import watch

def is_reached(place):
    count = 0

    def trace(_frame, _event, _argument):
        nonlocal count
        count += 1
        if count == place:
            signal.raise_signal(signal.SIGTERM)
        return trace

    with watch._stopping() as stopped:
        sys.settrace(trace)
        stopped.wait(0.001)
        sys.settrace(None)
        assert stopped.is_set() == (count >= place)
    return count >= place

places = 1
while is_reached(places):
    places += 1
print(places)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 3


def test_what_waits_for_its_deletion_is_not_taken_for_what_has_replaced_it():
    """Both have one URN where a replacement was cut off, and the old bid is gone."""
    urn = a_cluster().urn

    def refreshed(task_id, status, *, delete):
        state = {
            "type": TYPE, "urn": urn, "id": task_id, "delete": delete, "parent": "", "provider": "", "inputs": {},
            "outputs": {"task_id": task_id, "status": status},
        }  # fmt: skip
        metadata = {"op": "refresh", "urn": urn, "type": TYPE, "old": state, "new": None if delete else state}
        return events.EngineEvent.from_json({"resOutputsEvent": {"metadata": {"provider": "", **metadata}}})

    told = watch_stack._Told()
    told.hear(refreshed("bid_2", "running", delete=False))
    told.hear(refreshed("bid_1", "running", delete=True))
    (cluster,) = told.look("").clusters
    assert (cluster.task_id, cluster.status, cluster.is_recorded) == ("bid_2", "running", True)


def test_the_history_is_read_as_far_back_as_it_is_asked_for():
    """A page that is full of other operations hides no heal; what is older is not read."""
    hour = timedelta(hours=1)
    times = [NOW - hour * number / 150 for number in range(450)]
    stack = object.__new__(watch_stack.PulumiStack)
    pages = list[int]()

    def history(*, page_size, page, show_secrets):
        assert not show_secrets
        pages.append(page)
        return [
            argparse.Namespace(message=str(at), start_time=at, kind="update")
            for at in times[page_size * (page - 1) : page_size * page]
        ]

    stack._stack = argparse.Namespace(history=history)
    assert len([at for _, at in stack.updates(NOW - hour) if at >= NOW - hour]) == 151
    assert pages == [1, 2]
    assert len(stack.updates(NOW - 10 * hour)) == 450
    assert pages[2:] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("summary event never found"), "`pulumi` could not be run: summary event never found"),
        (ValueError("no JSON"), "`pulumi` printed what cannot be read: ValueError: no JSON"),
        (KeyError("op"), "`pulumi` printed what cannot be read: KeyError: 'op'"),
    ],
)
def test_whatever_a_pulumi_does_wrong_is_a_stack_that_cannot_be_reached(error, said):
    """It ends no watch, which has other stacks."""

    def preview(**_):
        raise error

    stack = object.__new__(watch_stack.PulumiStack)
    stack._stack = argparse.Namespace(preview=preview)
    with pytest.raises(watch_stack.StackUnreachableError, match=f"^{re.escape(said)}$"):
        stack.look()
