"""train.py CHECKPOINT [STEPS]: learn which points lie in a circle; save on SIGUSR1; go on from the checkpoint."""

import json
import math
import os
import random
import signal
import sys
from pathlib import Path

RATE, EVERY = 0.5, 500
must_save = False


def notice(*_):
    global must_save  # noqa: PLW0603
    must_save = True  # saved between two steps, where the weights are whole


def save(checkpoint, step, weights):
    # Atomically: whatever happens, the old checkpoint or the new one is there, whole.
    draft = checkpoint.with_suffix(".new")
    with draft.open("w") as file:
        json.dump([step, weights], file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(checkpoint)
    print("saved step", step, flush=True)


def example(number):
    # A point and its answer follow from the number alone: after an interruption none is seen twice or left out.
    x, y = (random.Random(f"{number} {axis}").uniform(-1, 1) for axis in "xy")
    return (1, x, y, x * x, x * y, y * y), x * x + y * y < 0.5


def guess(weights, point):
    return 1 / (1 + math.exp(-sum(map(float.__mul__, weights, map(float, point)))))


def main(checkpoint, steps="20000"):
    global must_save  # noqa: PLW0603
    signal.signal(signal.SIGUSR1, notice)
    checkpoint, steps, step, weights = Path(checkpoint), int(steps), 0, [0.0] * 6
    if checkpoint.exists():
        step, weights = json.loads(checkpoint.read_text())
    print("goes on after step", step, flush=True)
    while step < steps:
        step += 1
        point, answer = example(step)
        error = guess(weights, point) - answer
        weights = [weight - RATE * error * value for weight, value in zip(weights, point, strict=True)]
        if must_save or step % EVERY == 0 or step == steps:
            must_save = False
            save(checkpoint, step, weights)
    right = sum((guess(weights, point) > 0.5) == answer for point, answer in map(example, range(-1000, 0)))
    print(f"{right / 10}% of 1000 other points are right after {step} steps", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
