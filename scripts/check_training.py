"""Compares training in Secateur with training in PyTorch; see scripts/check-training."""
import argparse
import json
import pathlib
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import torch
from safetensors.torch import load_file
from torch_training import BiasedNorm, Mistake, effective, initial, trained

TOLERANCE = 1e-4
SGD = {"kind": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
NESTEROV = {**SGD, "nesterov": True}
ADAM = {"kind": "adam", "lr": 1e-3, "weight_decay": 5e-4}
ADAMW = {"kind": "adamw", "lr": 1e-3, "weight_decay": 0.01}

MODELS = {
    "lenet": {"kind": "lenet", "width": 5},
    "resnet-20": {"kind": "resnet", "depth": 20, "width": 16},
    "vgg-11": {"kind": "vgg", "depth": 11, "width": 64},
    "mobilenet": {"kind": "mobilenet", "width": 32},
}


@dataclass(frozen=True)
class Case:
    """A training: a model, how many of its weights are pruned, and options of `[train]`."""

    name: str
    what: str
    options: dict
    sparsity: float = 0.0
    # Three whole batches and a half one an epoch.
    images: int = 448
    validation: int = 64
    epochs: int = 5
    paths: tuple = ("auto",)
    mistakes: dict = field(default_factory=dict)

    @property
    def model(self):
        return MODELS[self.name]

    @property
    def train(self):
        return {"batch_size": 128, **self.options}

    @property
    def weights(self):
        return f"{100 * self.sparsity:.0f} % pruned" if self.sparsity else "dense"


def mistakes():
    return {
        "momentum 0.89": Mistake(optimizer={"momentum": 0.89}),
        "no weight decay": Mistake(optimizer={"weight_decay": 0.0}),
        "no Nesterov": Mistake(optimizer={"nesterov": False}),
        "images in order": Mistake(order=sorted),
    }


def cases(options):
    sgd, nesterov = ("SGD", {"optimizer": SGD}), ("SGD Nesterov", {"optimizer": NESTEROV})
    found = []
    for name in MODELS:
        found.append(Case(name, *nesterov, mistakes=mistakes() if name == "resnet-20" else {}))
        found.append(Case(name, *nesterov, sparsity=0.9, paths=("dense", "sparse")))
    yield from found
    pruned = {"masks not kept": Mistake(masks=False)}
    yield Case("lenet", *sgd, sparsity=0.9, mistakes=pruned)
    yield Case("vgg-11", *sgd, mistakes={"biased variance": Mistake(norm=BiasedNorm)})
    for name in ("lenet", "resnet-20"):
        yield Case(name, "Adam", {"optimizer": ADAM}, mistakes={"no weight decay": Mistake(optimizer={"weight_decay": 0.0})})
        yield Case(name, "AdamW", {"optimizer": ADAMW}, sparsity=0.9)
    if options:
        for what, own in {
            "decay of weights": {"weight_decay_of": "weights"},
            "label smoothing": {"label_smoothing": 0.1},
            "gradient norm": {"max_gradient_norm": 0.5},
            "average": {"average": {"decay": 0.9, "every_steps": 1}},
        }.items():
            for name, sparsity in (("resnet-20", 0.0), ("lenet", 0.9)):
                yield Case(name, f"SGD, {what}", {"optimizer": SGD, **own}, sparsity=sparsity)
        yield Case("lenet", "Adam, gradient norm", {"optimizer": ADAM, "max_gradient_norm": 0.5})


def toml(value):
    """A value as TOML has it within a line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(own)}" for key, own in value.items()) + " }"
    return json.dumps(value)


def data(folder, channels, images):
    """Noisy pictures of ten classes, as bytes, in a file for `npz`."""
    path = folder / f"{channels}-{images}.npz"
    if not path.exists():
        numbers, side = np.random.default_rng(1), 28 if channels == 1 else 32
        classes = numbers.normal(size=(10, 4, 4, channels)).repeat(side // 4, 1).repeat(side // 4, 2)
        arrays = {}
        for part, count in (("train", images), ("test", 64)):
            labels = numbers.integers(0, 10, count).astype(np.uint8)
            noise = numbers.normal(size=(count, side, side, channels))
            arrays[f"x_{part}"] = np.clip(128 + 40 * classes[labels] + 40 * noise, 0, 255).astype(np.uint8)
            arrays[f"y_{part}"] = labels
        np.savez(path, **arrays)
    return path


def run(program, folder, case, device, paths, images, start):
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
    (folder / "config.toml").write_text(text)
    out = folder / "runs" / str(len(list(folder.glob("runs/*"))))
    done = subprocess.run([program, "run", folder / "config.toml", "--out", out], capture_output=True, text=True)
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

    WIDTHS = [9, 11, 22, 15, 8, 10, 8, 10]

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
        self.line([case.name, case.weights, case.what, side, *numbers, said])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--options", action="store_true")
    arguments.add_argument("--only", action="append", default=[])
    given = arguments.parse_args()
    table = Table()
    for case in cases(given.options):
        sides = [(device, paths) for device in ("cpu", "flex") for paths in (case.paths if device == "cpu" else ["auto"])]
        chosen = [(f"{device} {paths}" if paths != "auto" else device, device, paths) for device, paths in sides]
        chosen = [own for own in chosen if all(word in f"{case.name} {case.weights} {case.what} {own[0]}" for word in given.only)]
        if chosen:
            compare(given, case, chosen, table)
    if not table.rows:
        sys.exit("no case has these words")
    if table.failed:
        sys.exit(f"{table.failed} of {table.rows} rows are not as expected; the tolerance is {TOLERANCE:.0e}")
    print(f"{table.rows} rows as expected; the tolerance is {TOLERANCE:.0e}")


def compare(given, case, sides, table):
    """Prints a case's rows."""
    net = initial(case.model, case.sparsity)
    start = given.folder / "start.pt"
    torch.save(net.state_dict(), start)
    path = data(given.folder, 1 if case.name == "lenet" else 3, case.images + case.validation)
    images = dict(np.load(path))
    wanted = trained(case, images, start)
    exact = trained(case, images, start, torch.float64)
    moved, _ = apart(([1], [1], effective(net)), ([1], [1], wanted[2]))
    table.row(case, "moved", [None, None, *moved[2:]])
    table.row(case, "rounding", apart(wanted, exact)[0])
    for side, device, paths in sides:
        found = run(given.program, given.folder, case, device, paths, path, start)
        deviations, tensor = apart(found, wanted)
        table.row(case, side, deviations, largest(deviations) <= TOLERANCE, tensor)
    for name, mistake in case.mistakes.items():
        deviations, tensor = apart(found, trained(case, images, start, mistake=mistake))
        table.row(case, name, deviations, largest(deviations) > TOLERANCE, tensor, "found", "NOT FOUND")


main()
