"""A minimal training: the GPUs count to 1000 together, and resume from the checkpoint of an earlier run."""

import os
from pathlib import Path

import torch
import torch.distributed as dist

CHECKPOINT = Path(os.environ["CHECKPOINT"])

gpus = torch.cuda.is_available()
dist.init_process_group("nccl" if gpus else "gloo")
device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpus else torch.device("cpu")

done = torch.load(CHECKPOINT)["step"] if CHECKPOINT.exists() else 0
if dist.get_rank() == 0:
    print(f"{dist.get_world_size()} GPUs resume after step {done}", flush=True)
for step in range(done + 1, 1001):
    total = torch.full((1,), float(step), device=device)
    dist.all_reduce(total)
    assert total.item() == step * dist.get_world_size()
    if step % 100 == 0 and dist.get_rank() == 0:
        draft = CHECKPOINT.with_suffix(".new")
        torch.save({"step": step}, draft)
        draft.replace(CHECKPOINT)  # atomically: a preemption leaves the old one or the new one
        print(f"step {step}", flush=True)
dist.destroy_process_group()
