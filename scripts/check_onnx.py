"""Exports networks as ONNX (`make FOLDER`), and compares ONNX Runtime's answers with ours (`compare FOLDER`); see
scripts/check-onnx."""
import logging
import pathlib
import sys
import warnings

import numpy
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

verb, folder = sys.argv[1], pathlib.Path(sys.argv[2])
IMAGES = 5


class Block(nn.Module):
    """A residual block whose shortcut is a projection where the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        own = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(own + self.shortcut(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(3, 8, 1), Block(8, 16, 2), Block(16, 16, 1))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc(functional.adaptive_avg_pool2d(self.blocks(x), 1).view(x.size(0), -1))


class Normalised(nn.Module):
    """Normalises its images, pads one side more than the other, and ends with a softmax."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.3, 0.4]).view(1, 3, 1, 1))
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, dilation=2, groups=2)
        self.fc1, self.fc2 = nn.Linear(8 * 4 * 4, 16), nn.Linear(16, 10, bias=False)

    def forward(self, x):
        x = functional.pad((x - self.mean) / self.std, (0, 1, 0, 1))
        x = self.conv2(functional.relu(self.conv1(x)))
        return functional.log_softmax(self.fc2(functional.relu(self.fc1(x.flatten(1)))), 1)


class Dense(nn.Module):
    """Layers that read all before them, and both kinds of pooling."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(12, 8, 1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.silu(self.conv1(x)), 3, 2, 1)
        x = functional.avg_pool2d(torch.cat([x, functional.gelu(self.conv2(x))], 1), 2)
        return self.fc(functional.hardswish(self.conv3(x)).mean((2, 3)))


def mobile():
    def separable(inputs, outputs, stride, act):
        return [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), act(),
                nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), act()]
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), *separable(8, 16, 1, nn.ReLU6), *separable(16, 24, 2, nn.Hardswish),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(24, 10))


def perceptron():
    return nn.Sequential(nn.Linear(20, 32), nn.GELU(), nn.Linear(32, 32, bias=False), nn.SiLU(), nn.Linear(32, 10))


def vgg():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1),
                         nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 16, 32), nn.ReLU(), nn.Linear(32, 10))


def sequence():
    return nn.Sequential(nn.Conv1d(6, 8, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
                         nn.Conv1d(8, 16, 3, padding=2, dilation=2, groups=2), nn.GELU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                         nn.Linear(16, 10))


class Excited(nn.Module):
    """Squeeze and excitation, by both kinds of gates, and a product of two values."""

    def __init__(self):
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.next, self.gate, self.fc = nn.Conv2d(8, 12, 3, 2, 1), nn.Linear(12, 12), nn.Linear(12, 10)

    def forward(self, x):
        x = functional.hardswish(self.conv(x))
        x = x * functional.hardsigmoid(self.up(functional.relu(self.down(functional.adaptive_avg_pool2d(x, 1)))))
        x = self.next(x)
        x = x * torch.sigmoid(self.gate(x.mean((2, 3)))).view(-1, 12, 1, 1) + torch.tanh(x) * x
        return self.fc(x.amax((2, 3)))


class Mixer(nn.Module):
    """Patches as tokens, mixed along both axes, with layer normalisation (MLP-Mixer)."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(12), nn.LayerNorm(12), nn.LayerNorm(12)
        self.tokens = nn.Sequential(nn.Linear(16, 20), nn.GELU(), nn.Linear(20, 16))
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.GELU(approximate="tanh"), nn.Linear(24, 12))
        self.fc = nn.Linear(12, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm2(x))
        return self.fc(self.norm3(x).transpose(1, 2).mean(2))


class Modern(nn.Module):
    """A block of ConvNeXt: normalised and multiplied along the channels, which come last."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 8, 2, 2), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.wide, self.back = nn.LayerNorm(8, eps=1e-6), nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale, self.last, self.fc = nn.Parameter(torch.rand(8)), nn.LayerNorm(8), nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        own = self.norm(self.conv(x).permute(0, 2, 3, 1))
        own = self.scale * self.back(functional.gelu(self.wide(own)))
        return self.fc(self.last((x + own.permute(0, 3, 1, 2)).mean((2, 3))))


class Text(nn.Module):
    """Whole numbers, a table of rows, a convolution of the sequence, and a softmax inside."""

    def __init__(self):
        super().__init__()
        self.rows, self.conv, self.norm = nn.Embedding(30, 8), nn.Conv1d(8, 16, 3, padding=1), nn.LayerNorm(16)
        self.inner, self.fc = nn.Linear(16, 6), nn.Linear(6, 10)

    def forward(self, x):
        x = functional.relu(self.conv(self.rows(x).transpose(1, 2)))
        return self.fc(torch.softmax(self.inner(self.norm(x.amax(2))), 1))


NETS = {"residual": (Residual, (3, 16, 16)), "normalised": (Normalised, (3, 16, 16)), "dense": (Dense, (3, 16, 16)),
        "mobile": (mobile, (3, 16, 16)), "perceptron": (perceptron, (20,)), "vgg": (vgg, (3, 16, 16)),
        "sequence": (sequence, (6, 40)), "excited": (Excited, (3, 16, 16)), "mixer": (Mixer, (3, 16, 16)),
        "modern": (Modern, (3, 16, 16)), "text": (Text, (24,))}


def made(name):
    """A network with statistics of its own and some zeros, and images for it."""
    make, shape = NETS[name]
    torch.manual_seed(7)
    net = make().eval()
    with torch.no_grad():
        for own in net.modules():
            if isinstance(own, (nn.BatchNorm1d, nn.BatchNorm2d)):
                own.running_mean.normal_(0, 0.3), own.running_var.uniform_(0.5, 2)
                own.weight.uniform_(0.5, 1.5), own.bias.normal_(0, 0.3)
            if isinstance(own, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                own.weight.mul_((torch.rand_like(own.weight) < 0.4).float())
                own.weight[0].zero_()
    if name == "text":
        return net, torch.randint(0, 30, (IMAGES, *shape))
    return net, torch.randn(IMAGES, *shape)


if verb == "make":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for name in NETS:
        net, images = made(name)
        batch = torch.export.Dim("batch", min=1, max=64)
        for case, more in {
            "13": {"opset_version": 13, "dynamo": False, "dynamic_axes": {"x": {0: "batch"}}},
            "17-fixed": {"opset_version": 17, "dynamo": False},
            "20-new": {"opset_version": 20, "dynamo": True, "dynamic_shapes": ({0: batch},), "external_data": False},
        }.items():
            path = folder / f"{name}-{case}.onnx"
            names = {} if more["dynamo"] else {"input_names": ["x"]}
            torch.onnx.export(net, (images,), path, verbose=False, **names, **more)
            images.numpy().astype(numpy.float32).tofile(path.with_suffix(".images"))
else:
    worst = 0.0
    for path in sorted(folder.glob("*.onnx")):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        own = session.get_inputs()[0]
        images = numpy.fromfile(path.with_suffix(".images"), numpy.float32).reshape(IMAGES, *own.shape[1:])
        kind = numpy.int64 if own.type == "tensor(int64)" else numpy.float32
        expected = session.run(None, {own.name: images.astype(kind)})[0]
        for end in ("answers", "compacted"):
            found = numpy.fromfile(path.with_suffix(f".{end}"), numpy.float32).reshape(expected.shape)
            if path.name.startswith("normalised"):
                # Ours are logits.
                found = torch.log_softmax(torch.from_numpy(found), 1).numpy()
            delta = float(abs(found - expected).max() / max(1.0, abs(expected).max()))
            worst = max(worst, delta)
            assert delta <= 1e-4, f"{path.name}, {end}: an answer differs by {delta}"
        print(f"ok    {path.stem}")
    print(f"largest difference of an answer, of the largest answer: {worst:.1e}")
