"""start.py FOLDER NODES ARGUMENT...: find the other machines through a shared folder, then run torchrun."""

import errno
import json
import os
import socket
import sys
import time
import uuid
from pathlib import Path


def main(folder, nodes, *arguments):
    rank = int(os.environ.get("NODE_RANK", "0"))
    if rank >= int(nodes):
        sys.exit(f"machine {rank} is not one of {nodes}")
    head = meet(Path(folder), rank, range(1, int(nodes)) if rank == 0 else [0])
    command = ["torchrun", "--nnodes", nodes, "--node-rank", str(rank), "--master-addr", head, *arguments]
    print(*command, flush=True)
    os.execvp(command[0], command)


def meet(folder, rank, others):
    """Return the address of machine 0. A file is valid if it repeats this start's own word."""
    address = os.environ.get("START_ADDRESS") or own_address()
    every = float(os.environ.get("START_EVERY", "2"))
    until = time.monotonic() + float(os.environ.get("START_TIMEOUT", "3600"))
    word, heard, late = uuid.uuid4().hex, None, None
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        notes = {str(other): read(folder / f"{other}.json") for other in others}
        words = {other: note["word"] for other, note in notes.items() if note}
        if words != heard:
            draft = folder / word
            draft.write_text(json.dumps({"word": word, "address": address, "heard": words}))
            draft.replace(folder / f"{rank}.json")  # atomically, so that no reader sees half of it
            heard = words
        missing = [int(other) for other, note in notes.items() if not note or note["heard"].get(str(rank)) != word]
        if not missing:
            return address if rank == 0 else notes["0"]["address"]
        if time.monotonic() > until:
            sys.exit(f"machine {rank} has waited too long for {missing}")
        if missing != late:
            print(f"machine {rank} at {address} waits for {missing}", flush=True)
            late = missing
        time.sleep(every)


def read(path):
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError:  # truncated by a crash
        return None
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):  # ESTALE: replaced while it was read, over NFS
            raise
        return None


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.255.255.255", 9))  # sends nothing: the kernel picks a route
        return probe.getsockname()[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
