"""Compares training in Secateur with training in PyTorch; see scripts/check-training."""
import argparse
import json
import pathlib
import subprocess
import sys
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from safetensors.torch import load_file
from torch_networks import layers
from torch_training import BiasedNorm, Mistake, effective, initial, trained

TOLERANCE = 1e-4
SGD = {"kind": "sgd", "momentum": 0.9, "weight_decay": 5e-4}
NESTEROV = {**SGD, "nesterov": True}
ADAM = {"kind": "adam", "weight_decay": 5e-4}
ADAMW = {"kind": "adamw", "weight_decay": 0.01}

# Of `[train]`, one at a time.
OPTIONS = {
    "weight_decay_of": "weights",
    "label_smoothing": 0.1,
    "max_gradient_norm": 0.1,
    "average": {"decay": 0.5, "every_steps": 2},
}
SCHEDULES = {"step": {"every": {"epochs": 1}, "factor": 0.5}, "cosine": {}, "one-cycle": {}}

MODELS = {
    "lenet": {"kind": "lenet", "width": 5},
    "resnet-20": {"kind": "resnet", "depth": 20, "width": 16},
    "vgg-11": {"kind": "vgg", "depth": 11, "width": 64},
    "mobilenet": {"kind": "mobilenet", "width": 32},
}
BATCH = {"lenet": 128, "resnet-20": 32, "vgg-11": 32, "mobilenet": 32}
# With relu, whose gradient is a step, rounding grows with each step, in PyTorch as well; so these steps are small.
RELU_RATE = {"lenet": 1e-3, "resnet-20": 2e-5, "vgg-11": 2e-6, "mobilenet": 1e-5}


@dataclass(frozen=True)
class Case:
    """A training: of a model or its smooth twin, which is no wider than 16, with options of `[train]`, and the sparsity."""

    name: str
    what: str
    options: dict
    smooth: bool = False
    sparsity: float = 0.0
    mistakes: dict = field(default_factory=dict)
    epochs: int = 5
    validation: int = 40

    @property
    def layers(self):
        model = MODELS[self.name]
        return layers({**model, "width": min(model["width"], 16)} if self.smooth else model, self.smooth)

    @property
    def model(self):
        return {"kind": "layers", "layers": self.layers} if self.smooth else MODELS[self.name]

    @property
    def shape(self):
        return (1, 28, 28) if self.name == "lenet" else (3, 32, 32)

    @property
    def train(self):
        return {"batch_size": BATCH[self.name], **self.options}

    @property
    def images(self):
        """Three whole batches and a part of one an epoch, and those held out."""
        return 3 * BATCH[self.name] + 20 + self.validation

    def words(self):
        network = f"{self.name}{' smooth' if self.smooth else ''}"
        return [network, f"{100 * self.sparsity:.0f} % pruned" if self.sparsity else "dense", self.what]


def cases():
    """All cases."""
    nesterov = {"optimizer": {**NESTEROV, "lr": 0.01}}
    decay = {"no weight decay": Mistake(optimizer={"weight_decay": 0.0})}
    momentum = {"momentum 0.8": Mistake(optimizer={"momentum": 0.8})}
    many = {**decay, **momentum, "no Nesterov": Mistake(optimizer={"nesterov": False}), "not shuffled": Mistake(in_order=True)}
    for name, rate in RELU_RATE.items():
        rectified = {"optimizer": {**NESTEROV, "lr": rate}}
        found = {"biased variance": Mistake(norm=BiasedNorm)} if name == "vgg-11" else momentum
        yield Case(name, "Nesterov", rectified, mistakes=found)
        # Depthwise filters with one weight left give channels of next to no variance, whose normalisation magnifies rounding.
        sparsity = 0.5 if name == "mobilenet" else 0.9
        yield Case(name, "Nesterov", rectified, sparsity=sparsity)
        yield Case(name, "Nesterov", nesterov, smooth=True, mistakes=many if name == "resnet-20" else {})
        yield Case(name, "Nesterov", nesterov, smooth=True, sparsity=sparsity, mistakes={"masks not kept": Mistake(masks=False)})
    # LeNet with relu is computed by kernels of its own. Weights before a normalisation have gradients of next to nothing, which Adam
    # makes steps of a whole rate of, in whatever direction rounding points, unless its epsilon is larger than they are.
    for name, smooth, rate, epsilon in (("resnet-20", True, 2e-4, 1e-3), ("lenet", False, 1e-5, 1e-8)):
        yield Case(name, "Adam", {"optimizer": {**ADAM, "lr": rate, "epsilon": epsilon}}, smooth, mistakes=decay)
        yield Case(name, "AdamW", {"optimizer": {**ADAMW, "lr": rate, "epsilon": epsilon}}, smooth, 0.9)
    for key, own in OPTIONS.items():
        for name, smooth, sparsity, rate in (("resnet-20", True, 0.0, 1e-2), ("lenet", False, 0.9, 1e-3)):
            options = {"optimizer": {**SGD, "lr": rate, "weight_decay": 0.01}, key: own}
            yield Case(name, f"SGD {key}", options, smooth, sparsity, {"without it": Mistake(without=key)})
    for kind, own in SCHEDULES.items():
        options = {"optimizer": {**SGD, "lr": 1e-3}, "lr_schedule": {"kind": kind, **own}}
        yield Case("lenet", f"SGD {kind}", options, mistakes={"constant rate": Mistake(without="lr_schedule")})


def toml(value):
    """A value as TOML has it within a line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(own)}" for key, own in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


def data(folder, case):
    """A case's images: noisy pictures of ten classes, as bytes, in a file for `npz`."""
    path, (channels, side, _) = folder / f"{case.name}.npz", case.shape
    if not path.exists():
        numbers = np.random.default_rng(1)
        classes = numbers.normal(size=(10, 4, 4, channels)).repeat(side // 4, 1).repeat(side // 4, 2)
        arrays = {}
        for part, count in (("train", case.images), ("test", 64)):
            labels = numbers.integers(0, 10, count).astype(np.uint8)
            noise = numbers.normal(size=(count, side, side, channels))
            arrays[f"x_{part}"] = np.clip(128 + 40 * classes[labels] + 40 * noise, 0, 255).astype(np.uint8)
            arrays[f"y_{part}"] = labels
        np.savez(path, **arrays)
    return path


def run(given, case, device, paths, images, start):
    """What a run of Secateur's makes of a case."""
    text = f"""
name = "check"
device = "{device}"
start = {toml(str(start))}
model = {toml(case.model)}
measure = {{ enabled = false }}
data = {{ source = "npz", dir = {toml(str(images))}, validation = {case.validation} }}
train = {toml({**case.train, "length": {"epochs": case.epochs}, "keep": "last", "paths": paths})}
prune = {{ enabled = false, schedule = {{ kind = "one-shot", sparsity = 0.99 }}, every = {{ steps = 0 }} }}
"""
    config, out = given.folder / "config.toml", given.folder / "runs" / str(len(list(given.folder.glob("runs/*"))))
    config.write_text(text)
    done = subprocess.run([given.program, "run", config, "--out", out], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{done.stderr}\n{text}")
    (own,) = out.iterdir()
    events = [json.loads(line) for line in (own / "log.jsonl").read_text().splitlines()]
    epochs = [event for event in events if event["event"] == "epoch_ended"]
    state = {name: value.double().numpy() for name, value in load_file(own / "model.safetensors").items()}
    return [epoch["train"]["loss"] for epoch in epochs], [epoch["validation"]["loss"] for epoch in epochs], state


def apart(found, wanted):
    """How far two trainings are apart: loss, validation loss, weights and statistics, and the tensor that is furthest."""
    deviations = [max(abs(a / b - 1) for a, b in zip(found[part], wanted[part], strict=True)) for part in (0, 1)]
    found, wanted = found[2], wanted[2]
    assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
    tensors = {name: float(np.abs(found[name] - wanted[name]).max() / np.abs(wanted[name]).max()) for name in wanted}
    statistics = {name: own for name, own in tensors.items() if ".running_" in name}
    weights = {name: own for name, own in tensors.items() if name not in statistics}
    deviations += [max(weights.values()), max(statistics.values(), default=None)]
    return deviations, max(tensors, key=tensors.get)


def largest(deviations):
    return max(own for own in deviations if own is not None)


class Table:
    """Prints rows as they come, and counts those that are not as expected."""

    WIDTHS = [16, 11, 21, 15, 7, 10, 7, 10]

    def __init__(self):
        self.rows, self.failed = 0, 0
        self.line(["network", "weights", "optimizer", "side", "loss", "validation", "weights", "statistics", ""])

    def line(self, cells):
        print("  ".join(str(cell).ljust(width) for cell, width in zip(cells, [*self.WIDTHS, 0])).rstrip(), flush=True)

    def row(self, case, side, deviations, fine=None, tensor="", good="ok", bad="TOO FAR"):
        """A row of four deviations, any of which may be none; one that says whether it is `fine` counts."""
        said = ""
        if fine is not None:
            self.rows, self.failed = self.rows + 1, self.failed + (not fine)
            said = good if fine else f"{bad}, most in {tensor}"
        numbers = ["-" if own is None else f"{own:.1e}" for own in deviations]
        self.line([*case.words(), side, *numbers, said])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--only", action="append", default=[])
    given = arguments.parse_args()
    # PyTorch warns of a library that a switch of its own names.
    warnings.filterwarnings("ignore", message="TF32 acceleration on top of oneDNN")
    table = Table()
    for case in cases():
        # On the device `cpu` what the masks keep has kernels of its own.
        sides = {"cpu": ("cpu", "dense"), "flex": ("flex", "auto")}
        if case.sparsity > 0:
            sides["cpu sparse"] = ("cpu", "sparse")
        fits = lambda side: all(f" {word} " in f" {' '.join([*case.words(), side])} " for word in given.only)
        sides = {side: own for side, own in sides.items() if fits(side)}
        if sides:
            compare(given, case, sides, table)
    if not table.rows:
        sys.exit("no case has these words")
    if table.failed:
        sys.exit(f"{table.failed} of {table.rows} comparisons are not as expected; the tolerance is {TOLERANCE:.0e}")
    print(f"{table.rows} comparisons as expected; the tolerance is {TOLERANCE:.0e}")


def compare(given, case, sides, table):
    """Prints a case's rows."""
    net, start = initial(case.layers, case.shape, case.sparsity), given.folder / "start.pt"
    torch.save(net.state_dict(), start)
    path = data(given.folder, case)
    images = dict(np.load(path))
    wanted = trained(case, images, start)
    with torch.backends.mkldnn.flags(enabled=False):
        again = trained(case, images, start)
    moved, _ = apart(([1], [1], effective(net)), ([1], [1], wanted[2]))
    table.row(case, "moved", [None, None, *moved[2:]])
    table.row(case, "plain PyTorch", apart(again, wanted)[0])
    for side, (device, paths) in sides.items():
        found = run(given, case, device, paths, path, start)
        deviations, tensor = apart(found, wanted)
        table.row(case, side, deviations, largest(deviations) <= TOLERANCE, tensor)
    for name, mistake in case.mistakes.items():
        deviations, tensor = apart(found, trained(case, images, start, mistake))
        table.row(case, name, deviations, largest(deviations) > TOLERANCE, tensor, "found", "NOT FOUND")


main()
