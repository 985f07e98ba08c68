"""train.py --checkpoint FILE [--steps N]: learn which points lie in a circle; go on from the checkpoint.

A small network in plain Python stands for a training. It saves every 500 steps, and at once on SIGUSR1, the notice of a
preemption. A run that was interrupted at any step ends with the same weights as one that was not.
"""

import argparse
import json
import math
import os
import random
import signal
from pathlib import Path

HIDDEN, RATE, EVERY = 12, 0.2, 500


class Training:
    def __init__(self, checkpoint):
        self.checkpoint = checkpoint
        self.random = random.Random(7)
        self.step = 0
        self.rows = [[self.random.uniform(-2, 2) for _ in range(4)] for _ in range(HIDDEN)]  # of x, y, 1; to the output
        self.bias = 0.0
        self.must_save = False

    def resume(self):
        """Take up a checkpoint. The state of the random numbers is part of it: no example is seen twice or left out."""
        if self.checkpoint.exists():
            saved = json.loads(self.checkpoint.read_text())
            self.step, self.rows, self.bias = saved["step"], saved["rows"], saved["bias"]
            version, numbers, gauss = saved["random"]
            self.random.setstate((version, tuple(numbers), gauss))
        print(f"goes on after step {self.step}", flush=True)

    def save(self):
        """Replace the checkpoint atomically: whatever happens, the old one or the new one is there, whole."""
        self.must_save = False
        draft = self.checkpoint.with_suffix(".new")
        state = {"step": self.step, "rows": self.rows, "bias": self.bias, "random": self.random.getstate()}
        with draft.open("w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.checkpoint)
        print(f"saved step {self.step}", flush=True)

    def predict(self, x, y):
        hidden = [math.tanh(a * x + b * y + c) for a, b, c, _ in self.rows]
        total = self.bias + sum(out * h for (*_, out), h in zip(self.rows, hidden, strict=True))
        return hidden, 1 / (1 + math.exp(-total))

    def learn(self):
        """Take one step: one point, one update."""
        x, y = self.random.uniform(-1, 1), self.random.uniform(-1, 1)
        hidden, guess = self.predict(x, y)
        error = guess - (x * x + y * y < 0.5)
        self.bias -= RATE * error
        for row, h in zip(self.rows, hidden, strict=True):
            back = error * row[3] * (1 - h * h)
            for place, value in enumerate((back * x, back * y, back, error * h)):
                row[place] -= RATE * value
        self.step += 1

    def accuracy(self, points=2000):
        test = random.Random(1)
        pairs = [(test.uniform(-1, 1), test.uniform(-1, 1)) for _ in range(points)]
        return sum((self.predict(x, y)[1] > 0.5) == (x * x + y * y < 0.5) for x, y in pairs) / points


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=50_000)
    options = parser.parse_args()

    training = Training(options.checkpoint)

    def notice(*_):
        training.must_save = True  # saved between two steps: the weights are whole there

    signal.signal(signal.SIGUSR1, notice)
    training.resume()
    while training.step < options.steps:
        training.learn()
        if training.must_save or training.step % EVERY == 0 or training.step == options.steps:
            training.save()
    print(f"{training.accuracy():.1%} of the points are right after {training.step} steps", flush=True)


if __name__ == "__main__":
    main()
