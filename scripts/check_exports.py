#!/usr/bin/env python3
"""Loads what the example `export` of crates/sparse left in a folder, and compares the answers; see scripts/check-exports."""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors import safe_open

TOLERANCE = 1e-4
folder = pathlib.Path(sys.argv[1])
failures = []


def check(what, found, wanted):
    found = np.asarray(found)
    if found.shape != wanted.shape:
        failures.append(what)
        print(f"FAIL  {what}: shape {found.shape}, wanted {wanted.shape}")
        return
    apart = float(np.abs(found - wanted).max())
    fine = apart <= TOLERANCE * max(1.0, float(np.abs(wanted).max()))
    print(f"{'ok  ' if fine else 'FAIL'}  {what}: at most {apart:.1e} apart")
    if not fine:
        failures.append(what)


def tensors(path):
    """The tensors and the metadata of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


class Affine(torch.nn.Module):
    """`scale x + shift`, channel by channel."""

    def __init__(self, channels):
        super().__init__()
        self.scale, self.shift = (torch.nn.Parameter(torch.zeros(channels)) for _ in range(2))

    def forward(self, x):
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return x * self.scale.view(shape) + self.shift.view(shape)


class Crop(torch.nn.Module):
    def __init__(self, height, width):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x):
        return x[:, :, : self.height, : self.width]


class CsrLinear(torch.nn.Module):
    """A fully connected layer whose weight is a sparse matrix."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x):
        return (self.weight @ x.T).T + self.bias


class CsrConv(torch.nn.Module):
    """A convolution as a sparse matrix times the image's windows."""

    def __init__(self, weight, bias, layer):
        super().__init__()
        self.weight, self.bias, self.layer = weight, bias, layer

    def forward(self, x):
        kernel, stride, padding = (self.layer[key] for key in ("kernel", "stride", "padding"))
        windows = torch.nn.functional.unfold(x, kernel, padding=padding, stride=stride)
        product = torch.stack([self.weight @ own for own in windows]) + self.bias[:, None]
        side = lambda length: (length + 2 * padding - kernel) // stride + 1
        return product.view(len(x), -1, side(x.shape[2]), side(x.shape[3]))


def module(structure, sparse=None):
    """A torch module with the layers that the file's metadata tells; `sparse` makes a layer with parameters instead."""
    net, flat = torch.nn.Sequential(), False
    for place, layer in enumerate(structure["layers"]):
        kind, own = layer["kind"], None
        if kind == "linear" and not flat:
            net.add_module(f"flat{place}", torch.nn.Flatten())
        if kind == "conv2d" and flat:
            net.add_module(f"image{place}", torch.nn.Unflatten(1, (layer["inputs"], 1, 1)))
        flat = kind in ("linear", "flatten") or (flat and kind in ("relu", "affine"))
        if kind in ("linear", "conv2d") and sparse:
            own = sparse(layer)
        elif kind == "conv2d":
            args = (layer[key] for key in ("inputs", "outputs", "kernel", "stride", "padding"))
            own = torch.nn.Conv2d(*args)
        elif kind == "linear":
            own = torch.nn.Linear(layer["inputs"], layer["outputs"])
        elif kind == "affine":
            own = Affine(layer["channels"])
        elif kind == "relu":
            own = torch.nn.ReLU()
        elif kind == "max-pool2d":
            own = torch.nn.MaxPool2d(layer["size"])
        elif kind == "avg-pool2d":
            own = torch.nn.AvgPool2d(layer["size"])
        elif kind == "crop":
            own = Crop(layer["height"], layer["width"])
        elif kind == "flatten":
            own = torch.nn.Flatten()
        net.add_module(layer.get("name", f"{kind}{place}"), own)
    return net


def dense(path, images):
    state, metadata = tensors(path)
    net = module(json.loads(metadata["network"]))
    net.load_state_dict(state, strict=True)
    return net(images)


def csr(path, images):
    state, metadata = tensors(path)

    def sparse(layer):
        name = f"{layer['name']}.weight"
        parts = (state[f"{name}.{part}"] for part in ("crow_indices", "col_indices", "values"))
        weight = torch.sparse_csr_tensor(*parts, size=json.loads(metadata[f"{name}.shape"]), check_invariants=True)
        bias = state[f"{layer['name']}.bias"]
        return CsrLinear(weight, bias) if layer["kind"] == "linear" else CsrConv(weight, bias, layer)

    net = module(json.loads(metadata["network"]), sparse)
    rest = {name: value for name, value in state.items() if name in net.state_dict()}
    net.load_state_dict(rest, strict=True)
    return net(images)


ACTIVATIONS = {
    "relu": torch.nn.functional.relu,
    "relu6": torch.nn.functional.relu6,
    "gelu": torch.nn.functional.gelu,
    "gelu-tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "silu": torch.nn.functional.silu,
    "hard-swish": torch.nn.functional.hardswish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hard-sigmoid": torch.nn.functional.hardsigmoid,
}


def graph(path, images):
    """What torch's functions make of the nodes that a graph's metadata tells, with dense or sparse weights."""
    state, metadata = tensors(path)
    for name in [name.removesuffix(".crow_indices") for name in state if name.endswith(".crow_indices")]:
        parts = (state[f"{name}.{part}"] for part in ("crow_indices", "col_indices", "values"))
        matrix = torch.sparse_csr_tensor(*parts, size=json.loads(metadata[f"{name}.shape"]), check_invariants=True)
        state[name] = matrix.to_dense()
    values, f = {"input": images}, torch.nn.functional
    y = images
    for node in json.loads(metadata["graph"])["nodes"]:
        x, *others = (values[name] for name in node["inputs"])
        of = lambda field: state.get(f"{node['name']}.{field}")
        kind = node["kind"]
        window = {key: node[key] for key in ("stride", "padding", "dilation") if key in node}
        if kind == "conv2d":
            weight = of("weight").reshape(node["outputs"], node["inputs_per_group"], *node["kernel"])
            y = f.conv2d(x, weight, of("bias"), groups=node["groups"], **window)
        elif kind == "linear":
            y = f.linear(x, of("weight"), of("bias"))
        elif kind == "batch-norm":
            fields = (of(field) for field in ("running_mean", "running_var", "weight", "bias"))
            y = f.batch_norm(x, *fields, eps=node["epsilon"])
        elif kind == "max-pool2d":
            y = f.max_pool2d(x, node["kernel"], **window)
        elif kind == "avg-pool2d":
            # torch has no dilated one.
            rows, columns = node["kernel"]
            weight = torch.full((x.shape[1], 1, rows, columns), 1 / (rows * columns))
            y = f.conv2d(x, weight, groups=x.shape[1], **window)
        elif kind == "global-avg-pool2d":
            y = x.mean((2, 3), keepdim=True)
        elif kind == "add":
            y = x + others[0]
        elif kind == "concat":
            y = torch.cat([x, *others], 1)
        elif kind == "flatten":
            y = x.flatten(1)
        elif kind == "reshape":
            y = x.reshape(len(x), *node["shape"])
        elif kind == "crop":
            y = x[:, :, : node["height"], : node["width"]]
        elif kind == "mul":
            y = x * others[0]
        elif kind == "permute":
            y = x.permute(0, *(side + 1 for side in node["order"]))
        elif kind == "layer-norm":
            sides = [side + 1 for side in node["axes"]]
            # A scale for each place along these sides, whichever they are.
            along = [x.shape[side] if side in sides else 1 for side in range(1, x.dim())]
            centred = x - x.mean(sides, keepdim=True)
            y = centred / (centred.square().mean(sides, keepdim=True) + node["epsilon"]).sqrt()
            y = y * of("weight").reshape(along) + of("bias").reshape(along)
        elif kind == "softmax":
            y = f.softmax(x, node["axis"] + 1)
        elif kind == "embedding":
            y = f.embedding(x.long(), of("weight"))
        else:
            y = ACTIVATIONS[kind](x)
        values[node["name"]] = y
    return y


def onnx_runtime(path, images):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": images})[0]


def openvino(path, images):
    import openvino

    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(path), "CPU", exact)({"x": images})["y"]


def has(name):
    try:
        __import__(name)
        return True
    except ImportError:
        return False


def main():
    names = sorted(path.stem for path in folder.glob("*.answers"))
    if not names:
        sys.exit(f"{folder}: no *.answers")
    graphs = 0
    with torch.no_grad():
        for name in names:
            _, metadata = tensors(folder / f"{name}.safetensors")
            shape = json.loads(metadata["network" if "network" in metadata else "graph"])["input"]
            images = np.fromfile(folder / f"{name}.images", "<f4").reshape(-1, *shape)
            wanted = np.fromfile(folder / f"{name}.answers", "<f4").reshape(len(images), -1)
            if "graph" in metadata:
                graphs += "network" not in metadata
                for file in (f"{name}.safetensors", f"{name}-csr.safetensors"):
                    check(f"{file}, torch", graph(folder / file, torch.from_numpy(images)).flatten(1), wanted)
                for file in (f"{name}.onnx", f"{name}-b{len(images)}.onnx"):
                    found = onnx_runtime(folder / file, images)
                    check(f"{file}, onnxruntime", found.reshape(len(images), -1), wanted)
            # A Sequential takes no names with dots, such as VGG's.
            layers = json.loads(metadata.get("network", '{"layers": []}'))["layers"]
            if not layers or any("." in layer.get("name", "") for layer in layers):
                continue
            if float(wanted.std(axis=0).max()) < 100 * TOLERANCE:
                sys.exit(f"{name}: some answer hardly depends on the image, so the comparison would say little")
            torch_images = torch.from_numpy(images)
            check(f"{name}, dense, torch", dense(folder / f"{name}.safetensors", torch_images), wanted)
            check(f"{name}, csr, torch", csr(folder / f"{name}-csr.safetensors", torch_images), wanted)
            for file in (f"{name}.onnx", f"{name}-b{len(images)}.onnx"):
                check(f"{file}, onnxruntime", onnx_runtime(folder / file, images), wanted)
                if has("openvino"):
                    check(f"{file}, openvino", openvino(folder / file, images), wanted)
            # A symbolic batch takes any number of images.
            check(f"{name}.onnx, one image", onnx_runtime(folder / f"{name}.onnx", images[:1]), wanted[:1])
    print(f"{len(names) - graphs} chains and {graphs} graphs")
    if failures:
        sys.exit(f"{len(failures)} of the checks failed")


main()
