"""Ends the bid of the job that runs on this machine, and says how the job ended. Needs Python 3.10 and nothing else.

    end_job.py exited CODE   the job's command ended with this exit code: note it, then report
    end_job.py report        it ended before (an earlier boot, a killed report): tell, end the bid, revoke the key
    end_job.py deadline      wait for the job's time limit, then stop its command and report a failure
    end_job.py renew         make a new key before the job's key expires

Each can be killed at any line and started again. They read `job.json` in FLOW_COMMAND_DIR, which the installation
writes: api_url, project, task_name, placed_cents, on_failure ("release" or "keep"), max_run_seconds, key, key_id (null
for a key that is not the job's own), key_name, key_expires_at, and machines, the number of machines of the bid; and
`rank`, the number of this machine, 0 without the file. They write `job-exit`, how the job ended, which never changes;
`started-at`; `job-paused`; and after a renewal `job.json`. `room` is what they empty where the disk can be full.

The outcome is told by the bid's limit price, which stays on an ended bid (core/job_outcome.py): the placed price less a
cent is success, less two cents is failure. The price is never raised. After each change the bid is read again, so a
lost answer needs no case of its own; what the service does not say is waited for.

The file travels in the start-up script, where room is short: what only people read is stripped on the way.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

DAY = 86400


def log(*words: object) -> None:
    """Write a line to the journal."""
    print(*words, flush=True)


def retry(step: Callable[[], Any]) -> Any:
    """Call `step` until it returns something true, soon at first and later every five minutes; return that."""
    seconds = 0.1
    while True:
        try:
            if result := step():
                return result
        except Exception as error:
            log("tried again after", type(error).__name__)  # its text can hold the key
        time.sleep(seconds)
        seconds = min(seconds * 2, 300)


def load(name: str) -> Any:
    """Return the value in a file; None without the file."""
    if os.path.exists(name):
        with open(name) as file:
            return json.load(file)
    return None


def store(name: str, value: Any) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    new = f"{name}.{os.getpid()}"
    with open(new, "w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file)
    os.replace(new, name)
    os.fsync(os.open(".", 0))


def note(name: str, value: Any) -> None:
    """Write a file where that can be; a command can have filled the disk. `room` was set aside for that."""
    try:
        open("room", "w").close()
        store(name, value)
    except OSError as error:
        log(name, error)  # the bid ends all the same; a next boot would not know of the end


def note_end(code: int | None) -> Any:
    """Note how the job ended, unless that is noted: of the command and the time limit, the first one counts.

    Return its exit code.
    """
    if not load("job-exit"):
        note("job-exit", {"code": code, "at": time.time()})
    return (load("job-exit") or {"code": code})["code"]


def call(method: str, target: str, body: Any = None) -> tuple[int, Any, float]:
    """Send a request; return the status, the JSON and the service's time: the clock of a machine can be wrong."""
    job = load("job.json")
    headers = {"Content-Type": "application/json", "User-Agent": "flow"}
    request = Request(job["api_url"] + target, body and json.dumps(body).encode(), headers, method=method)
    request.add_unredirected_header("Authorization", "Bearer " + job["key"])
    try:
        answer = urlopen(request, timeout=30)
    except HTTPError as error:
        answer = error
    with answer:
        status, text = answer.status, answer.read()
    date = answer.headers["Date"]
    log(method, target, status)
    return status, json.loads(text or "0"), parsedate_to_datetime(date).timestamp() if date else time.time()


def service_time() -> Any:
    """Return the service's time, as soon as it can be had."""
    return retry(lambda: call("GET", "/v2/me")[2])


def read_keys(job: dict[str, Any]) -> tuple[list[str], float]:
    """Return the live keys of the job but the present one, as far as the service lists them, and its time."""
    status, keys, now = call("GET", "/v2/api-keys")
    if status in (401, 403):  # another error is one here, too: its answer is no list
        keys = []
    mine = [key["fid"] for key in keys if key["name"] == job["key_name"] and not key["deactivated_at"]]
    return [key for key in mine if key != job["key_id"]], now


def end(failed: bool, tries: list[int]) -> Any:
    """Tell the outcome, then end the bid or pause it; return whether it has ended or is paused."""
    for _ in 1, 2:  # the second time only looks, as a rule; at once, because the machine has not long to live
        job = load("job.json")
        target = f"/v2/spot/bids?project={job['project']}&name={job['task_name']}"
        bids = [bid for bid in call("GET", target)[1]["data"] if bid["name"] == job["task_name"]]
        live = [bid for bid in bids if bid["status"] != "Terminated"]
        if not live:
            return bids  # a bid that no list shows has not ended
        if len(live) > 1:
            log("several live bids have the job's name")
            return False
        bid = live[0]
        target = "/v2/spot/bids/" + bid["fid"]
        if tries:
            tries.pop()
            placed = job["placed_cents"]
            cents = round(float(bid["limit_price"].strip("$").replace(",", "")) * 100)
            mark = placed - 1 - failed
            # The other mark (another machine told it, or somebody chose this price) leaves none: it is taken back.
            price = placed - 3 if cents == 2 * placed - 3 - mark else mark
            status = call("PATCH", target, {"limit_price": f"${price / 100:.2f}"})[0] if cents > price else 200
            if status in (400, 422):
                tries.clear()  # the service refuses this price: the outcome stays untold
            elif status != 200:
                return False
        if not failed or job["on_failure"] == "release":
            call("DELETE", target)
        elif bid["status"] == "Paused" or call("PATCH", target, {"paused": True})[0] == 200:
            note("job-paused", True)
            if bid["status"] == "Paused":
                return True
    return False


def revoke() -> bool:
    """Revoke the job's keys, the present one last; return whether that one is."""
    job = load("job.json")
    status = 0
    for key in [*read_keys(job)[0], job["key_id"]]:
        status = call("DELETE", "/v2/api-keys/" + key)[0]
    return status in (204, 401, 404)


def finish(code: int | None) -> None:
    """Tell the outcome, end or pause the bid, revoke the key: each only after the one before."""
    # Whoever resumes a paused bid looks at its disk: it is not paused again.
    if not load("job-paused"):
        tries = [0] * 8
        retry(lambda: end(code != 0, tries))
    if load("job.json")["key_id"]:
        retry(revoke)


def report() -> None:
    """Report the end that is noted."""
    finish(load("job-exit")["code"])


def exited(code: str) -> None:
    """Note the exit code before any request; report."""
    finish(note_end(int(code)))


def deadline() -> None:
    """Wait for the time limit, which counts from the first start; note a failure, stop the command, report.

    Of several machines the first one does that. Another one waits: a boot can make it the first.
    """
    if not load("started-at"):
        store("started-at", service_time())
    while (left := load("started-at") + load("job.json")["max_run_seconds"] - service_time()) > 0 or load("rank"):
        time.sleep(min(left, 3600) if left > 0 else 60)
    if note_end(None) is None:
        os.system("timeout 150 systemctl stop flow-command")
        finish(None)


def renew_key() -> bool:
    """Replace the key a week before it expires; return whether nothing is left to do.

    A key that was replaced is revoked where no other machine uses it; else it expires.
    """
    if load("job-exit"):
        sys.exit()
    job = load("job.json")
    others, now = read_keys(job)
    for key in others:
        if job.get("machines") == 1:
            call("DELETE", "/v2/api-keys/" + key)
    if now < job["key_expires_at"] - 7 * DAY:
        return True
    store("job.json", job)  # a full disk could not keep the new key, and each try would make one
    expires = int(now) + 30 * DAY
    text = time.strftime("%FT%TZ", time.gmtime(expires))
    key = call("POST", "/v2/api-keys", {"name": job["key_name"], "expires_at": text})[1]
    store("job.json", {**job, "key": key["secret"], "key_id": key["fid"], "key_expires_at": expires})
    return False  # again, with the new key: the old one is among the others


def renew() -> None:
    """Look after the key four times a day."""
    while retry(renew_key):
        time.sleep(DAY / 4)


if __name__ == "__main__":
    os.umask(0o077)
    os.chdir(os.environ.get("FLOW_COMMAND_DIR", "/var/lib/flow-command"))
    commands: dict[str, Callable[..., None]] = {
        "exited": exited,
        "report": report,
        "deadline": deadline,
        "renew": renew,
    }
    commands[sys.argv[1]](*sys.argv[2:])
