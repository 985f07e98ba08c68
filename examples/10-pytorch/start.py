"""Run by every machine of the cluster: meet the others in a folder that all of them see, then become torchrun.

    python start.py --folder /data/start --nodes 4 -- --nproc-per-node 8 train.py

The folder outlives the machines. After a preemption they come back with other addresses, in any order, and find what
they wrote in their earlier life. So no file is believed for its age, and no clocks are compared: at each start a
machine invents a word that nobody can know in advance, and believes a file only when that word is in it: whoever wrote
it has read what was written since this start.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Any


def main() -> None:
    """Meet, and become torchrun."""
    options = arguments()
    others = [rank for rank in range(options.nodes) if rank != options.rank]
    print(f"machine {options.rank} of {options.nodes} is at {options.address}", flush=True)
    head = meet(options.folder, options.rank, others, options.address, options.every, options.patience)
    command = [
        *("torchrun", "--nnodes", str(options.nodes), "--node-rank", str(options.rank)),
        *("--master-addr", head, "--master-port", str(options.port), *options.torchrun),
    ]
    print(" ".join(command), flush=True)
    os.execvp(command[0], command)


def meet(folder: Path, rank: int, others: list[int], address: str, every: float, patience: float) -> str:
    """Return the address of machine 0, when all machines are there. Ends the program when they are not in time.

    Machine 0 talks with all others, and they with it alone. A machine that leaves has read its own word in the file of
    each one that it talks with, and has written theirs: so they leave, too.
    """
    partners = others if rank == 0 else [0]
    word, heard, late, until = uuid.uuid4().hex, None, None, time.monotonic() + patience
    while True:
        notes = {one: read(note_of(folder, one)) for one in partners}
        words = {str(one): note["word"] for one, note in notes.items() if note}
        if words != heard:
            write(note_of(folder, rank), {"word": word, "address": address, "heard": words})
            heard = words
        missing = [one for one, note in notes.items() if not note or note["heard"].get(str(rank)) != word]
        if not missing:
            return address if rank == 0 else str(notes[0]["address"])
        if time.monotonic() > until:
            sys.exit(f"machine {rank} has waited {patience:g} s for {missing}, in vain")
        if missing != late:
            print(f"machine {rank} waits for {missing}", flush=True)
            late = missing
        time.sleep(every)


def note_of(folder: Path, rank: int) -> Path:
    return folder / f"machine-{rank}.json"


def read(path: Path) -> dict[str, Any] | None:
    """Return what a machine wrote last; None where there is nothing, or what a crash left half written."""
    try:
        note: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError:
        return None
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):  # the second: replaced while it was read, over NFS
            raise
        return None
    return note


def write(path: Path, note: dict[str, Any]) -> None:
    """Replace a file in one step: nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{note['word']}")
    draft.write_text(json.dumps(note))
    draft.replace(path)


def own_address() -> str:
    """Return the address of the network that this machine is in. Nothing is sent: the kernel only picks a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.255.255.255", 9))
        return str(probe.getsockname()[0])


def arguments() -> argparse.Namespace:
    """Read the command line. The rank comes from the Flow SDK, which exports NODE_RANK where there are several."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="a folder on a volume that all machines mount")
    parser.add_argument("--nodes", type=int, required=True, help="how many machines there are")
    rank = os.environ.get("NODE_RANK", "0")
    parser.add_argument("--rank", type=int, default=rank, help="which one this is; default: $NODE_RANK, else 0")
    parser.add_argument("--address", help="where the others reach this machine; default: found out")
    parser.add_argument("--port", type=int, default=29500, help="where machine 0 listens")
    parser.add_argument("--every", type=float, default=2.0, help="seconds from one look to the next")
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds to wait for the others")
    parser.add_argument("torchrun", nargs="+", help="after --: what else torchrun is given")
    options = parser.parse_args()
    if not 0 <= options.rank < options.nodes:
        parser.error(f"rank {options.rank} is none of {options.nodes} machines")
    options.address = options.address or own_address()
    return options


if __name__ == "__main__":
    main()
