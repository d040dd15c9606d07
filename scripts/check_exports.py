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
    with torch.no_grad():
        for name in names:
            _, metadata = tensors(folder / f"{name}.safetensors")
            shape = json.loads(metadata["graph"])["input"]
            images = np.fromfile(folder / f"{name}.images", "<f4").reshape(-1, *shape)
            wanted = np.fromfile(folder / f"{name}.answers", "<f4").reshape(len(images), -1)
            is_random = name.startswith("graph-")
            if name in ("lenet", "every") and float(wanted.std(axis=0).max()) < 100 * TOLERANCE:
                sys.exit(f"{name}: no answer depends much on the image, so the comparison would say little")
            for file in (f"{name}.safetensors", f"{name}-csr.safetensors"):
                check(f"{file}, torch", graph(folder / file, torch.from_numpy(images)).flatten(1), wanted)
            for file in (f"{name}.onnx", f"{name}-b{len(images)}.onnx"):
                check(f"{file}, onnxruntime", onnx_runtime(folder / file, images).reshape(len(images), -1), wanted)
                if not is_random and has("openvino"):
                    check(f"{file}, openvino", openvino(folder / file, images).reshape(len(images), -1), wanted)
            if not is_random:
                # A symbolic batch takes any number of images.
                one = onnx_runtime(folder / f"{name}.onnx", images[:1])
                check(f"{name}.onnx, one image", one.reshape(1, -1), wanted[:1])
    print(f"{len(names)} networks")
    if failures:
        sys.exit(f"{len(failures)} of the checks failed")


main()
