"""Trains with PyTorch what a config describes: the networks under Secateur's names, its batches from the streams of
crates/trainer/src/seed.rs, and the options of `[train]`; see scripts/check-training."""
import hashlib
import math

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, prune
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class BiasedNorm(nn.BatchNorm2d):
    """Takes the variance of the batch itself as the running one: a mistake to be found."""

    def forward(self, x):
        y = super().forward(x)
        if self.training:
            with torch.no_grad():
                share = self.momentum * x.shape[1] / x.numel()
                self.running_var -= share * x.var((0, 2, 3))
        return y


def conv3(inputs, outputs, stride=1, groups=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False)


class LeNet(nn.Module):
    def __init__(self, norm, width):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6 * width, 3), nn.Conv2d(6 * width, 16 * width, 3)
        self.fc1, self.fc2 = nn.Linear(400 * width, 120 * width), nn.Linear(120 * width, 84 * width)
        self.fc3 = nn.Linear(84 * width, 10)

    def forward(self, x):
        for conv in (self.conv1, self.conv2):
            x = nn.functional.max_pool2d(conv(x).relu(), 2)
        return self.fc3(self.fc2(self.fc1(x.flatten(1)).relu()).relu())


class Residual(nn.Module):
    def __init__(self, norm, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = conv3(inputs, outputs, stride), norm(outputs)
        self.conv2, self.bn2 = conv3(outputs, outputs), norm(outputs)
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class ResNet(nn.Module):
    def __init__(self, norm, depth, width):
        super().__init__()
        self.conv1, self.bn1 = conv3(3, width), norm(width)
        channels = width
        for stage in range(3):
            blocks = []
            for block in range((depth - 2) // 6):
                outputs = width << stage
                blocks.append(Residual(norm, channels, outputs, 2 if stage > 0 and block == 0 else 1))
                channels = outputs
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
        return self.fc(x.mean((2, 3)))


class Vgg11(nn.Module):
    def __init__(self, norm, width):
        super().__init__()
        layers, channels = [], 3
        for count, factor in zip([1, 1, 2, 2, 2], [1, 2, 4, 8, 8]):
            for _ in range(count):
                layers += [conv3(channels, factor * width), norm(factor * width), nn.ReLU()]
                channels = factor * width
            layers.append(nn.MaxPool2d(2))
        self.features, self.classifier = nn.Sequential(*layers), nn.Linear(channels, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Separable(nn.Module):
    def __init__(self, norm, inputs, outputs, stride):
        super().__init__()
        self.depthwise, self.bn1 = conv3(inputs, inputs, stride, groups=inputs), norm(inputs)
        self.pointwise, self.bn2 = nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs)

    def forward(self, x):
        return self.bn2(self.pointwise(self.bn1(self.depthwise(x)).relu())).relu()


class MobileNet(nn.Module):
    def __init__(self, norm, width):
        super().__init__()
        self.conv1, self.bn1 = conv3(3, width), norm(width)
        blocks, channels = [], width
        for factor, stride in [(2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1)]:
            blocks.append(Separable(norm, channels, factor * width, stride))
            channels = factor * width
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(channels, 10)

    def forward(self, x):
        return self.fc(self.blocks(self.bn1(self.conv1(x)).relu()).mean((2, 3)))


def network(model, norm=nn.BatchNorm2d):
    """The module that a config's `model` names."""
    kind = model["kind"]
    if kind == "resnet":
        return ResNet(norm, model["depth"], model["width"])
    return {"lenet": LeNet, "vgg": Vgg11, "mobilenet": MobileNet}[kind](norm, model["width"])


def initial(model, sparsity):
    """The module to start from, drawn by PyTorch; some of its weights pruned at random, so that no unit is cut off."""
    torch.manual_seed(1)
    net = network(model)
    for layer in net.modules():
        if sparsity > 0 and isinstance(layer, (nn.Conv2d, nn.Linear)):
            keeps = torch.rand(layer.weight.shape) >= sparsity
            matrix, units = keeps.view(*keeps.shape[:2], -1), range(max(keeps.shape[:2]))
            for unit in units:
                matrix[unit % keeps.shape[0], unit % keeps.shape[1], 0] = True
            prune.custom_from_mask(layer, "weight", keeps)
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


class Mistake:
    """What a reference does otherwise on purpose; by default nothing."""

    def __init__(self, optimizer=None, norm=nn.BatchNorm2d, order=None, masks=True):
        self.optimizer, self.norm, self.order, self.masks = optimizer or {}, norm, order, masks


def optimizer_of(net, train):
    """PyTorch's optimizer for `train.optimizer` and `train.weight_decay_of`."""
    options = dict(train["optimizer"])
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.pop("kind")]
    parameters = list(net.parameters())
    if train.get("weight_decay_of") == "weights":
        plain = [own for own in parameters if own.dim() == 1]
        parameters = [{"params": [own for own in parameters if own.dim() > 1]}, {"params": plain, "weight_decay": 0.0}]
    return kind(parameters, **options)


def effective(net):
    """The parameters and statistics that a network computes with, by name; pruned weights are zero."""
    state = net.state_dict()
    for name in [name.removesuffix("_orig") for name in state if name.endswith("_orig")]:
        state[name] = state.pop(f"{name}_orig") * state.pop(f"{name}_mask")
    return {name: value.double().numpy() for name, value in state.items() if not name.endswith("num_batches_tracked")}


def trained(case, data, start, number=torch.float32, mistake=Mistake()):
    """The mean loss of each epoch in training and on the validation images, and the parameters and statistics after it."""
    torch.manual_seed(1)
    net = network(case.model, mistake.norm)
    if case.sparsity > 0:
        for layer in net.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                prune.identity(layer, "weight")
    net.load_state_dict(torch.load(start))
    if not mistake.masks:
        for layer in net.modules():
            if prune.is_pruned(layer) and hasattr(layer, "weight_orig"):
                prune.remove(layer, "weight")
    net.to(number)
    train = {**case.train, "optimizer": {**case.train["optimizer"], **mistake.optimizer}}
    optimizer, size = optimizer_of(net, train), train["batch_size"]
    smoothing, most = train.get("label_smoothing", 0.0), train.get("max_gradient_norm")
    average = train.get("average")
    mean = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(average["decay"]), use_buffers=True) if average else None

    images, labels = seen(data["x_train"]).to(number), torch.from_numpy(data["y_train"]).long()
    split = shuffled(len(images), 1, "split", 0)
    kept, held_out = sorted(split[: -case.validation]), sorted(split[-case.validation :])
    steps, losses, validation = 0, [], []
    for epoch in range(case.epochs):
        order, sum_ = shuffled(len(kept), 1, "order", epoch), 0.0
        batches = [kept[place] for place in (order if mistake.order is None else mistake.order(order))]
        net.train()
        for batch in (batches[first : first + size] for first in range(0, len(batches), size)):
            logits = net(images[batch])
            sum_ += float(nn.functional.cross_entropy(logits.double(), labels[batch], reduction="sum"))
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, labels[batch], label_smoothing=smoothing).backward()
            if most is not None:
                clip_grad_norm_(net.parameters(), most)
            optimizer.step()
            steps += 1
            if average and steps % average.get("every_steps", 1) == 0:
                mean.update_parameters(net)
        losses.append(sum_ / len(batches))
        answers = mean.module if average else net
        answers.eval()
        with torch.no_grad():
            logits = answers(images[held_out]).double()
        validation.append(float(nn.functional.cross_entropy(logits, labels[held_out])))
    assert steps == case.epochs * math.ceil(len(kept) / size)
    return losses, validation, effective(answers)
