"""Everything that a state can hold of jobs: one that runs, one with a key of the user's own, one that has ended."""

from pathlib import Path

from flow_resources import Bid, GpuCluster, Job

PLACE = {"instance_type": "8xa100", "max_price_per_hour": 20.0, "region": "us-central5-a"}

script = Path("train.py")
script.write_text("print('no-live-secret')\n")

GpuCluster("beside", **PLACE)
Job("plain", **PLACE, command="python train.py")
Job.get("theirs", "bid_000001")
Job(
    "full",
    **PLACE,
    script=script,
    args=["--epochs", "3"],
    num_instances=2,
    image="python:3.12",
    env={"TOKEN": "no-live-secret"},
    ssh_keys=["team"],
    max_run_time_hours=5,
    on_failure="keep",
    wait_for="running",
    triggers={"dataset": 3, "names": ["a"]},
    name_prefix="big",
    preemption_signal="SIGUSR1",
    machine_api_key="no-live-secret",
)
Job("by-policy", **{**PLACE, "max_price_per_hour": Bid.per_gpu(2.5)}, command="python train.py")
Job("done", **PLACE, command=["python", "train.py"], triggers=["first"])
