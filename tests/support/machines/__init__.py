r"""Machines that boot, for tests: a systemd of its own in a container, with a disk that is kept.

    with machines(tmp_path) as room:
        machine = room.rent("#!/bin/bash\necho first >>/var/log/boots")
        machine.boot()
        machine.pull_the_plug()
        machine.boot()  # from the same disk, so without the script

Needs Linux, root, and Debian's packages systemd-container and mmdebstrap; `machines` says what is missing.
"""

from support.machines.base_image import CACHE, NoMachinesError, base_image, check_machine
from support.machines.follow import Follower
from support.machines.machine import Machine
from support.machines.room import Room, machines

__all__ = ["CACHE", "Follower", "Machine", "NoMachinesError", "Room", "base_image", "check_machine", "machines"]
