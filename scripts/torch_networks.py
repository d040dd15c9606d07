"""The networks that scripts/check-training compares, as lists of layers in the words of a config, and such a list as a PyTorch module."""
import itertools

import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    """A list of layers as a module, whose parameters have the names that Secateur gives them."""

    def __init__(self, layers, shape, norm=nn.BatchNorm2d):
        super().__init__()
        self.layers, self.norm = layers, norm
        # Each layer is made when it sees its input.
        with torch.no_grad():
            self.eval()(torch.zeros(1, *shape))

    def forward(self, x):
        values, last = {"input": x}, "input"
        for layer in self.layers:
            inputs = [values[name] for name in layer.get("inputs", [last])]
            last = layer["name"]
            values[last] = self.computed(layer, *inputs)
        return values[last]

    def computed(self, layer, x, *others):
        op, window = layer["op"], layer.get("size")
        if op in ("conv2d", "linear", "batch-norm"):
            return self.parameters_of(layer, x.shape[1])(x)
        return {
            "relu": lambda: x.relu(),
            "silu": lambda: functional.silu(x),
            "max-pool": lambda: functional.max_pool2d(x, window),
            "average-pool": lambda: functional.avg_pool2d(x, window),
            "global-average-pool": lambda: x.mean((2, 3), keepdim=True),
            "flatten": lambda: x.flatten(1),
            "add": lambda: x + others[0],
        }[op]()

    def parameters_of(self, layer, inputs):
        parent = self
        *path, name = layer["name"].split(".")
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        if not hasattr(parent, name):
            keys = {key: own for key, own in layer.items() if key not in ("op", "name", "inputs", "outputs", "kernel")}
            parent.add_module(name, {
                "conv2d": lambda: nn.Conv2d(inputs, layer["outputs"], layer["kernel"], **keys),
                "linear": lambda: nn.Linear(inputs, layer["outputs"]),
                "batch-norm": lambda: self.norm(inputs),
            }[layer["op"]]())
        return getattr(parent, name)


class Layers:
    """A list of layers as a config has it, that grows layer by layer; each reads the one before it unless it says otherwise."""

    def __init__(self, activation, pool):
        self.activation, self.pool, self.list = activation, pool, []

    def add(self, op, name, **keys):
        self.list.append({"op": op, "name": name, **keys})
        return name

    def conv(self, name, outputs, kernel=3, **keys):
        return self.add("conv2d", name, outputs=outputs, kernel=kernel, padding=kernel // 2, bias=False, **keys)

    def norm(self, name):
        return self.add("batch-norm", name)

    def rectified(self, name):
        return self.add(self.activation, name)

    def classify(self):
        self.add("global-average-pool", "avgpool")
        self.add("flatten", "flatten")
        self.add("linear", "fc", outputs=10)


def lenet(net, width):
    for place, outputs in enumerate((6, 16), 1):
        net.add("conv2d", f"conv{place}", outputs=outputs * width, kernel=3)
        net.rectified(f"relu{place}")
        net.add(net.pool, f"pool{place}", size=2)
    net.add("flatten", "flatten")
    for place, outputs in enumerate((120, 84), 1):
        net.add("linear", f"fc{place}", outputs=outputs * width)
        net.rectified(f"relu{place + 2}")
    net.add("linear", "fc3", outputs=10)


def resnet(net, depth, width):
    net.conv("conv1", width)
    net.norm("bn1")
    last, channels = net.rectified("relu"), width
    for stage in range(3):
        for block in range((depth - 2) // 6):
            name, outputs, stride = f"layer{stage + 1}.{block}", width << stage, 2 if stage > 0 and block == 0 else 1
            net.conv(f"{name}.conv1", outputs, stride=stride)
            net.norm(f"{name}.bn1")
            net.rectified(f"{name}.relu1")
            net.conv(f"{name}.conv2", outputs)
            branch = net.norm(f"{name}.bn2")
            if stride > 1 or channels != outputs:
                net.conv(f"{name}.downsample.0", outputs, 1, stride=stride, inputs=[last])
                last = net.norm(f"{name}.downsample.1")
            net.add("add", f"{name}.add", inputs=[branch, last])
            last, channels = net.rectified(f"{name}.relu2"), outputs
    net.classify()


def vgg11(net, width):
    place = itertools.count()
    for count, factor in zip([1, 1, 2, 2, 2], [1, 2, 4, 8, 8]):
        for _ in range(count):
            net.conv(f"features.{next(place)}", factor * width)
            net.norm(f"features.{next(place)}")
            net.rectified(f"features.{next(place)}")
        net.add(net.pool, f"features.{next(place)}", size=2)
    net.add("flatten", "flatten")
    net.add("linear", "classifier", outputs=10)


def mobilenet(net, width):
    net.conv("conv1", width)
    net.norm("bn1")
    net.rectified("relu1")
    channels = width
    for block, (factor, stride) in enumerate([(2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1)]):
        name = f"blocks.{block}"
        net.conv(f"{name}.depthwise", channels, stride=stride, groups=channels)
        net.norm(f"{name}.bn1")
        net.rectified(f"{name}.relu1")
        channels = factor * width
        net.conv(f"{name}.pointwise", channels, 1)
        net.norm(f"{name}.bn2")
        net.rectified(f"{name}.relu2")
    net.classify()


def layers(model, smooth):
    """The layers of a model that a config names, in its words; `smooth` has no relu and no max-pool."""
    net = Layers("silu", "average-pool") if smooth else Layers("relu", "max-pool")
    options = {key: value for key, value in model.items() if key not in ("kind", "depth")}
    if model["kind"] == "resnet":
        options["depth"] = model["depth"]
    {"lenet": lenet, "resnet": resnet, "vgg": vgg11, "mobilenet": mobilenet}[model["kind"]](net, **options)
    return net.list
