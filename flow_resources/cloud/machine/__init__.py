"""What runs on the machines: the texts that a start-up script installs there, and how they get into it.

The service runs a start-up script at a machine's first boot alone, and keeps the boot disk until the bid ends. So the
script installs a unit, `flow-command.service`, which runs the command at every boot; all that it needs lies in
`/var/lib/flow-command/`, which only root can read.

* `bootstrap.sh` unpacks a script on the machine; `first_boot.sh`, `job.sh`, `environment.sh`, `nodes.sh` and
  `install.sh` are parts of it; `command.service` and `job.service` are the units;
* `run_command.sh` runs the command on the machine, with `host.sh` or `container.sh`; `end_job.py` ends the bid of a job
  from its machine. It needs Python 3.10 and nothing else, and is never imported here;
* `texts.py`: the files as they go over the wire; `wire.py`: the form in which a script is sent;
* `sections.py`: our sections in the Flow SDK's script builder, the one module that knows how a script is made.
"""
