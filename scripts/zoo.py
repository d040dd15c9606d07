"""The networks of scripts/bench-zoo as ONNX files: `zoo.py FOLDER SPARSITIES BATCHES ONLY [NAME=FILE]..`. `files.json` lists them."""
import json
import logging
import pathlib
import sys
import warnings

import numpy
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional


def lenet(width):
    return nn.Sequential(nn.Conv2d(1, 6 * width, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6 * width, 16 * width, 5), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256 * width, 120 * width), nn.ReLU(),
                         nn.Linear(120 * width, 84 * width), nn.ReLU(), nn.Linear(84 * width, 10))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        own = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(own + self.shortcut(x))


def blocks(widths, count, first):
    layers, inputs = [], first
    for stage, width in enumerate(widths):
        for place in range(count):
            layers.append(Block(inputs, width, 2 if stage > 0 and place == 0 else 1))
            inputs = width
    return layers


def resnet20():
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *blocks([16, 32, 64], 3, 16),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def resnet18():
    return nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
                         *blocks([64, 128, 256, 512], 2, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def vgg16():
    layers, inputs = [], 3
    for width in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]:
        if width == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def mobilenet():
    def separable(inputs, outputs, stride):
        return [nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU6(),
                nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6()]

    widths = [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), *[(512, 512, 1)] * 5, (512, 1024, 2),
              (1024, 1024, 1)]
    layers = [own for width in widths for own in separable(*width)]
    return nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6(), *layers, nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(1024, 1000))


def mlp(widths):
    layers = [own for inputs, outputs in zip(widths, widths[1:]) for own in (nn.Linear(inputs, outputs), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


NETS = {
    "lenet k=5": (lambda: lenet(5), (1, 28, 28)),
    "lenet-300-100": (lambda: mlp([784, 300, 100, 10]), (784,)),
    "mlp 784-2048-2048-10": (lambda: mlp([784, 2048, 2048, 10]), (784,)),
    "resnet-20, 32x32": (resnet20, (3, 32, 32)),
    "vgg-16-bn, 32x32": (vgg16, (3, 32, 32)),
    "mobilenet v1, 128x128": (mobilenet, (3, 128, 128)),
    "resnet-18, 224x224": (resnet18, (3, 224, 224)),
}


def made(name, folder):
    """The dense network as ONNX."""
    torch.manual_seed(7)
    make, shape = NETS[name]
    path = folder / "dense.onnx"
    torch.onnx.export(make().eval(), (torch.randn(1, *shape),), path, opset_version=13, dynamo=False, input_names=["x"],
                      dynamic_axes={"x": {0: "batch"}}, verbose=False)
    return onnx.load(path)


def pruned(model, share, random):
    """With so many zeros among the weights of each layer."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    grouped = {node.name for node in model.graph.node for own in node.attribute if own.name == "group" and own.i > 1}
    layers = {name for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul") and node.name not in grouped
              for name in node.input[1:2]}
    # Some programs write weights as nodes of their own.
    constants = [(node.output[0], own.t) for node in model.graph.node if node.op_type == "Constant" for own in node.attribute if own.name == "value"]
    for name, own in [*((own.name, own) for own in model.graph.initializer), *constants]:
        if name in layers and numpy.prod(own.dims) >= 256:
            values = numpy_helper.to_array(own).copy()
            zeros = random.permutation(values.size)[: round(share * values.size)]
            values.reshape(-1)[zeros] = 0
            own.CopyFrom(numpy_helper.from_array(values, own.name))
    return model


def main(folder, sparsities, batches, only, *others):
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder, files = pathlib.Path(folder), []
    others = dict(own.split("=", 1) for own in others)
    names = [name for name in [*NETS, *others] if not only or any(name.startswith(own) for own in only.split(","))]
    for name in names:
        dense = onnx.load(others[name]) if name in others else made(name, folder)
        for sparsity in map(int, sparsities.split(",")):
            model = pruned(dense, sparsity / 100, numpy.random.default_rng(sparsity))
            for batch in map(int, batches.split(",")):
                path = f"{len(files)}-b{batch}.onnx"
                onnx.save(model, folder / path)
                files.append({"place": len(files), "name": name, "sparsity": sparsity, "batch": batch, "path": path})
    (folder / "files.json").write_text(json.dumps(files))


main(*sys.argv[1:])
