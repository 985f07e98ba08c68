from pathlib import Path

import pulumi

from flow_resources import GpuCluster, Volume, VolumeMount

MACHINES, GPUS = 4, 8

# Runs at every boot. The boot disk is kept, so that PyTorch is installed once. Then each machine waits for the code on
# the volume, and finds the others in start.py: after a preemption their addresses and ranks are others.
COMMAND = f"""#!/bin/bash
set -e
if [ ! -f torch/installed ]; then
  rm -rf torch
  uv venv --python 3.12 torch
  uv pip install --python torch/bin/python torch==2.6.0 numpy
  touch torch/installed
fi
. torch/bin/activate
until [ -f /data/train.py ]; do sleep 5; done
cat >start.py <<'END'
{(Path(__file__).parent / "start.py").read_text()}END
exec python start.py /data/start {MACHINES} --nproc-per-node {GPUS} /data/train.py
"""

data = Volume("training-data", size_gb=1000, region="us-central5-a")
trainer = GpuCluster(
    "trainer",
    instance_type=f"{GPUS}xa100",
    num_instances=MACHINES,
    max_price_per_hour=20.0,  # the bid: USD per machine and hour
    region="us-central5-a",
    command=COMMAND,  # no image: a container of the Flow SDK has its own network, which NCCL cannot use
    env={"CHECKPOINT": "/data/checkpoint.pt"},
    preemption_signal="SIGUSR1",  # train.py saves on it
    volumes=[VolumeMount(data, "/data")],
)
pulumi.export("ssh", trainer.ssh_commands)
