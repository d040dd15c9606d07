"""Trains with PyTorch what a config describes: over the batches that come of the streams of crates/trainer/src/seed.rs, with the
options of `[train]`; see scripts/check-training."""
import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, prune
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel
from torch_networks import Net

PRUNABLE = (nn.Conv2d, nn.Linear)


class BiasedNorm(nn.BatchNorm2d):
    """Takes the variance of the batch itself as the running one: a mistake to be found."""

    def forward(self, x):
        y = super().forward(x)
        if self.training:
            share = self.momentum * x.shape[1] / x.numel()
            self.running_var = self.running_var - share * x.detach().var((0, 2, 3))
        return y


def initial(layers, shape, sparsity):
    """The module to start from, drawn by PyTorch; normalisations scale and shift, and of the weights some are pruned at random, but
    one of each unit's inputs and outputs at least is not."""
    torch.manual_seed(1)
    net = Net(layers, shape)
    for own in list(net.modules()):
        if isinstance(own, nn.BatchNorm2d):
            nn.init.uniform_(own.weight, 0.5, 1.5)
            nn.init.uniform_(own.bias, -0.5, 0.5)
        elif sparsity > 0 and isinstance(own, PRUNABLE):
            keeps = torch.rand(own.weight.shape) >= sparsity
            rows, columns = keeps.shape[:2]
            for unit in range(max(rows, columns)):
                keeps.view(rows, columns, -1)[unit % rows, unit % columns, 0] = True
            prune.custom_from_mask(own, "weight", keeps)
    return net


def stream(seed, purpose, index):
    """The 64-bit numbers of a stream: ChaCha8 under the SHA-256 of its name."""
    name = seed.to_bytes(8, "little") + index.to_bytes(8, "little") + purpose.encode()
    words = np.frombuffer(b"expand 32-byte k" + hashlib.sha256(name).digest() + bytes(16), "<u4")
    rounds = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    first, many = 0, 1024
    while True:
        start = np.repeat(words[:, None], many, axis=1)
        start[12] = np.arange(first, first + many)
        x = start.copy()
        for a, b, c, d in 4 * rounds:
            for (sum_, added, other, by) in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[sum_] += x[added]
                x[other] ^= x[sum_]
                x[other] = x[other] << np.uint32(by) | x[other] >> np.uint32(32 - by)
        yield from map(int, np.ascontiguousarray((x + start).T).view("<u8").ravel())
        first += many


def shuffled(count, seed, purpose, index):
    """`0..count` in the order of a stream: Fisher-Yates, with Lemire's numbers below a bound."""
    items, numbers = list(range(count)), stream(seed, purpose, index)
    for last in range(count - 1, 0, -1):
        bound = last + 1
        floor = 2**64 % bound
        wide = next(wide for wide in (number * bound for number in numbers) if wide % 2**64 >= floor)
        other = wide >> 64
        items[last], items[other] = items[other], items[last]
    return items


def seen(images):
    """What a network sees of bytes `[n, rows, columns, channels]`: `[n, channels, rows, columns]`, centred."""
    values = images.astype(np.float32) / np.float32(255) - np.float32(0.5)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


@dataclass
class Mistake:
    """What a training does otherwise on purpose; by default nothing."""

    optimizer: dict = field(default_factory=dict)
    without: str = ""
    norm: type = nn.BatchNorm2d
    in_order: bool = False
    masks: bool = True


def optimizer_of(net, train):
    """PyTorch's optimizer for `train.optimizer` and `train.weight_decay_of`."""
    options = dict(train["optimizer"])
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.pop("kind")]
    if "epsilon" in options:
        options["eps"] = options.pop("epsilon")
    parameters = list(net.parameters())
    if train.get("weight_decay_of") == "weights":
        plain = [own for own in parameters if own.dim() == 1]
        parameters = [{"params": [own for own in parameters if own.dim() > 1]}, {"params": plain, "weight_decay": 0.0}]
    return kind(parameters, **options)


def schedule_of(optimizer, train, epoch_steps, steps):
    """PyTorch's scheduler for `train.lr_schedule`, which is asked at every step."""
    own = train.get("lr_schedule", {"kind": "constant"})
    return {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1.0),
        "step": lambda: lr_scheduler.StepLR(optimizer, own["every"]["epochs"] * epoch_steps, own["factor"]),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "one-cycle": lambda: lr_scheduler.OneCycleLR(optimizer, optimizer.defaults["lr"], steps, cycle_momentum=False),
    }[own["kind"]]()


def effective(net):
    """The parameters and statistics that a network computes with, by name; pruned weights are zero."""
    state = net.state_dict()
    for name in [name.removesuffix("_orig") for name in state if name.endswith("_orig")]:
        state[name] = state.pop(f"{name}_orig") * state.pop(f"{name}_mask")
    return {name: value.double().numpy() for name, value in state.items() if not name.endswith("num_batches_tracked")}


def trained(case, data, start, mistake=Mistake()):
    """The mean loss of each epoch in training and on the validation images, and the parameters and statistics after it."""
    net = Net(case.layers, case.shape, mistake.norm)
    pruned = [own for own in net.modules() if isinstance(own, PRUNABLE)] if case.sparsity > 0 else []
    for own in pruned:
        prune.identity(own, "weight")
    net.load_state_dict(torch.load(start))
    if not mistake.masks:
        for own in pruned:
            prune.remove(own, "weight")
    train = {**case.train, "optimizer": {**case.train["optimizer"], **mistake.optimizer}}
    train.pop(mistake.without, None)
    optimizer, size, most = optimizer_of(net, train), train["batch_size"], train.get("max_gradient_norm")
    average = Average(net, **train["average"]) if "average" in train else None

    images, labels = seen(data["x_train"]), torch.from_numpy(data["y_train"]).long()
    split = shuffled(len(images), 1, "split", 0)
    kept, held_out = sorted(split[: -case.validation]), sorted(split[-case.validation :])
    epoch_steps = -(-len(kept) // size)
    schedule = schedule_of(optimizer, train, epoch_steps, case.epochs * epoch_steps)
    losses, validation = [], []
    for epoch in range(case.epochs):
        order, total = shuffled(len(kept), 1, "order", epoch), 0.0
        order = sorted(order) if mistake.in_order else order
        net.train()
        for batch in ([kept[place] for place in order[first : first + size]] for first in range(0, len(order), size)):
            logits = net(images[batch])
            total += loss(logits, labels[batch]) * len(batch)
            optimizer.zero_grad()
            functional.cross_entropy(logits, labels[batch], label_smoothing=train.get("label_smoothing", 0.0)).backward()
            if most is not None:
                clip_grad_norm_(net.parameters(), most)
            optimizer.step()
            schedule.step()
            if average:
                average.step(net)
        losses.append(total / len(kept))
        answers = (average.net if average else net).eval()
        validation.append(loss(answers(images[held_out]), labels[held_out]))
    return losses, validation, effective(answers)


class Average:
    """PyTorch's moving average of a network, its statistics included, which begins as docs/training.md says."""

    def __init__(self, net, decay, every_steps=1):
        for own in net.modules():
            if isinstance(own, PRUNABLE) and prune.is_pruned(own):
                # A product cannot be copied; it is made again whenever the network answers.
                own.weight = own.weight.detach()

        def mixed(average, value, times):
            own = min(decay, (1 + int(times)) / (10 + int(times)))
            return own * average + (1 - own) * value

        self.model = AveragedModel(net, avg_fn=mixed, use_buffers=True)
        self.net, self.every, self.steps = self.model.module, every_steps, 0

    def step(self, net):
        self.steps += 1
        if self.steps % self.every == 0:
            self.model.update_parameters(net)


def loss(logits, labels):
    """The mean cross-entropy."""
    return float(functional.cross_entropy(logits.detach().double(), labels))
