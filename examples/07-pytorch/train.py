"""A minimal training: the GPUs count to 1000 together, save on SIGUSR1, and resume from an earlier checkpoint.

The notice of a preemption reaches the processes at different steps. Each adds to the sum whether it has it, so that all
know it after the same step.
"""

import os
import signal
from pathlib import Path

import torch
import torch.distributed as dist

CHECKPOINT = Path(os.environ["CHECKPOINT"])

noticed = False


def notice(*_):
    global noticed  # noqa: PLW0603
    noticed = True


signal.signal(signal.SIGUSR1, notice)
gpus = torch.cuda.is_available()
dist.init_process_group("nccl" if gpus else "gloo")
device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpus else torch.device("cpu")

done = torch.load(CHECKPOINT)["step"] if CHECKPOINT.exists() else 0
if dist.get_rank() == 0:
    print(f"{dist.get_world_size()} GPUs resume after step {done}", flush=True)
for step in range(done + 1, 1001):
    asks = noticed
    total = torch.tensor([float(step), float(asks)], device=device)
    dist.all_reduce(total)
    noticed = noticed and not asks
    assert total[0].item() == step * dist.get_world_size()
    if (step % 100 == 0 or total[1].item() > 0) and dist.get_rank() == 0:
        draft = CHECKPOINT.with_suffix(".new")
        torch.save({"step": step}, draft)
        draft.replace(CHECKPOINT)  # atomically: a preemption leaves the old one or the new one
        print(f"step {step}", flush=True)
dist.destroy_process_group()
