from pathlib import Path

import pulumi

from flow_resources import GpuCluster, Volume, VolumeMount

MACHINES, GPUS = 4, 8


def here(name: str) -> str:
    """Return shell lines that write a file of this folder where the machine works."""
    return f"cat >{name} <<'END-OF-FILE'\n{(Path(__file__).parent / name).read_text()}END-OF-FILE\n"


# Installing comes before start.py: the machines meet when all of them are ready.
COMMAND = f"""#!/bin/bash
set -e
uv venv --python 3.12 torch
. torch/bin/activate
uv pip install torch==2.6.0 numpy
{here("start.py")}{here("train.py")}
exec python start.py --folder /data/start --nodes {MACHINES} -- --nproc-per-node {GPUS} train.py
"""

data = Volume("training-data", size_gb=1000, region="us-central5-a")
trainer = GpuCluster(
    "trainer",
    instance_type=f"{GPUS}xa100",
    num_instances=MACHINES,
    max_price_per_hour=20.0,  # the bid: USD per machine and hour
    region="us-central5-a",
    command=COMMAND,  # no image: a container of the Flow SDK has a network of its own, which NCCL cannot leave
    env={"CHECKPOINT": "/data/checkpoint.pt"},
    volumes=[VolumeMount(data, "/data")],
)
pulumi.export("ssh", trainer.ssh_commands)
