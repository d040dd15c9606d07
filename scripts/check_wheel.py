"""What scripts/check-wheel checks of an installed wheel, in the folder where it may write."""

import pathlib
import re
import subprocess
import sys
import threading
import time

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import secateur

random = numpy.random.default_rng(1)


def uniform(*shape):
    """Weights that keep the size of the values."""
    return (random.uniform(-1, 1, shape) * (3 / numpy.prod(shape[1:])) ** 0.5).astype("float32")


def conv_net(path):
    """A small network with a branch, as another program would write it."""
    weights = {
        "conv1.weight": uniform(8, 3, 3, 3),
        "conv1.bias": random.uniform(-0.1, 0.1, 8).astype("float32"),
        "conv2.weight": uniform(8, 8, 3, 3),
        "fc1.weight": uniform(32, 8 * 8 * 8),
        "fc2.weight": uniform(5, 32),
        "fc2.bias": random.uniform(-0.1, 0.1, 5).astype("float32"),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], name="/conv1/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="/relu1/Relu"),
        helper.make_node("Conv", ["b", "conv2.weight"], ["c"], name="/conv2/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "b"], ["d"], name="/Add"),
        helper.make_node("Relu", ["d"], ["e"], name="/relu2/Relu"),
        helper.make_node("MaxPool", ["e"], ["f"], name="/pool/MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["f"], ["g"], name="/Flatten"),
        helper.make_node("Gemm", ["g", "fc1.weight"], ["h"], name="/fc1/Gemm", transB=1),
        helper.make_node("Relu", ["h"], ["i"], name="/relu3/Relu"),
        helper.make_node("Gemm", ["i", "fc2.weight", "fc2.bias"], ["y"], name="/fc2/Gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return weights


def runtime(path, images):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": images})[0]


def answers_of(path, images):
    """By ONNX Runtime, whatever the input is called."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def close(found, expected, what):
    most = numpy.abs(found - expected).max()
    assert most < 1e-4, f"{what}: answers differ by {most}"


def refused(call, *words):
    try:
        call()
    except (ValueError, OSError, TypeError) as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"expected {missing} in: {error}"
    else:
        raise AssertionError(f"expected an error with {words}")


weights = conv_net("small.onnx")
images = random.normal(size=(2000, 3, 16, 16)).astype("float32")
images = (images + numpy.roll(images, 1, 3) + numpy.roll(images, 1, 2)) / 2
expected = runtime("small.onnx", images)

began = time.perf_counter()
model = secateur.load("small.onnx")
first = model.predict(images[:1])
print(f"opened, and first prediction, in {1e3 * (time.perf_counter() - began):.1f} ms")
close(first, expected[:1], "one image")
close(model.predict(images), expected, "a batch")
assert model.input == (3, 16, 16) and model.classes == 5, model
assert model.predict(images[0]).shape == (5,) and model.predict(images[:3]).shape == (3, 5)

# Arrays as people have them.
close(model.predict(images.astype("float64")), expected, "float64")
close(model.predict(images[::-1])[::-1], expected, "backwards")
close(model.predict(numpy.asfortranarray(images)), expected, "Fortran's order")
close(model.predict(images[:2].tolist()), expected[:2], "lists")
byte = random.integers(0, 256, (2, 3, 16, 16)).astype("uint8")
close(model.predict(byte), runtime("small.onnx", (byte / 255 - 0.5).astype("float32")), "bytes of pictures")
refused(lambda: model.predict(images[:, :2]), "[2000, 2, 16, 16]", "[3, 16, 16]")
broken = images[:2].copy()
broken[1, 0, 0, 5] = numpy.nan
refused(lambda: model.predict(broken), "value 5 of image 1 is NaN")
refused(lambda: model.predict(numpy.array(["a"])), "")

# Threads take turns at nothing: each has buffers of its own.
found = {}
threads = [threading.Thread(target=lambda own=own: found.update({own: model.predict(images[own::4])})) for own in range(4)]
[own.start() for own in threads]
[own.join() for own in threads]
for own in range(4):
    close(found[own], expected[own::4], f"thread {own}")

# Pruning.
labels = expected.argmax(1)
by_size = secateur.prune(model, sparsity=0.7, scope="layerwise", images=images, labels=labels, reconstruct=False)
fitted = secateur.prune("small.onnx", sparsity=0.7, images=images, labels=labels)
nonzero = sum(kept for _, _, kept in fitted.layers)
total = sum(numpy.prod(shape) for _, shape, _ in fitted.layers)
assert nonzero == total - round(0.7 * total), (nonzero, total)
assert fitted.score["accuracy_before"] == 1.0 and fitted.score["images"] == 1000, fitted.score
assert fitted.score["accuracy"] > by_size.score["accuracy"], (fitted.score, by_size.score)
within = secateur.prune(model, within=5.0, images=images, labels=labels)
assert within.score["accuracy"] >= 0.95 and within.parameters[0] < model.parameters[0], within.score
unlabelled = secateur.prune(model, within=5.0, images=images)
assert unlabelled.score["agreement"] >= 0.95 and unlabelled.score["accuracy"] is None, unlabelled.score
secateur.export(secateur.prune(model, within_bytes=20_000, values="int8"), "bytes.secateur", values="int8")
assert pathlib.Path("bytes.secateur").stat().st_size <= 20_000
refused(lambda: secateur.prune(model, sparsity=1.5), "1.5")
refused(lambda: secateur.prune(model), "one of sparsity")
refused(lambda: secateur.prune(model, sparsity=0.5, within=1), "one of sparsity")
refused(lambda: secateur.prune(model, within=1.0), "needs images")
refused(lambda: secateur.prune(model, sparsity=0.5, images=images, labels=labels[:5]), "5 labels for 2000 images")
refused(lambda: secateur.prune(model, sparsity=0.5, images=images, labels=labels + 0.5), "expected whole numbers")
refused(lambda: secateur.prune(model, sparsity=0.5, images=images, labels=labels + 5), "expected 0 to 4")
refused(lambda: secateur.prune(model, sparsity=0.5, images=images[:1]), "found 1 image(s)")
refused(lambda: secateur.prune(model, sparsity=0.5, values="f8"), "f8")
refused(lambda: secateur.prune(3, sparsity=0.5), "found int")
refused(lambda: secateur.prune(model, sparsity=0.5, include=["nothing*"]), "nothing*", "conv1.weight")

# Files, which other programs read.
for own in (fitted, secateur.compact(fitted)):
    found = own.predict(images)
    own.save("own.secateur")
    close(secateur.load("own.secateur").predict(images), found, "secateur")
    secateur.export(own, "own.onnx")
    close(answers_of("own.onnx", images), found, "onnx")
    close(secateur.load("own.onnx").predict(images), found, "onnx, read again")
close(secateur.compact(fitted).predict(images), fitted.predict(images), "compacted")
assert set(model.bench(16)) == {"dense", "sparse", "compacted"}

# Bare weights.
pruned = secateur.prune(weights, sparsity=0.9)
gone = sum((value == 0).sum() for name, value in pruned.items() if value.ndim > 1)
whole = sum(value.size for value in pruned.values() if value.ndim > 1)
assert gone == round(0.9 * whole) and (pruned["conv1.bias"] == weights["conv1.bias"]).all(), (gone, whole)
for name, value in pruned.items():
    kept = numpy.abs(weights[name][value != 0])
    lost = numpy.abs(weights[name][value == 0])
    assert (value[value != 0] == weights[name][value != 0]).all() and (lost.size == 0 or kept.size > 0), name

# Values in a file beside the model, and features, which stay features.
onnx.save(onnx.load("small.onnx"), "beside.onnx", save_as_external_data=True, size_threshold=0, location="beside.data")
close(secateur.load("beside.onnx").predict(images), expected, "values beside the model")
features = [helper.make_node("Gemm", ["x", "w"], ["y"], name="/fc/Gemm", transB=1)]
graph = helper.make_graph(
    features,
    "features",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 12])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    [numpy_helper.from_array(uniform(3, 12), "w")],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), "features.onnx")
rows = random.normal(size=(5, 12)).astype("float32")
secateur.load("features.onnx").save("features-out.onnx")
close(answers_of("features-out.onnx", rows), runtime("features.onnx", rows), "features")

# Faults of files.
refused(lambda: secateur.load("nothing.onnx"), "nothing.onnx")
pathlib.Path("cut.onnx").write_bytes(pathlib.Path("small.onnx").read_bytes()[:5000])
refused(lambda: secateur.load("cut.onnx"), "cut.onnx")
pathlib.Path("other.bin").write_bytes(b"")
refused(lambda: secateur.load("other.bin"), ".secateur or .onnx")
foreign = onnx.load("small.onnx")
foreign.graph.node[3].op_type = "Hardmax"
del foreign.graph.node[3].input[1:]
onnx.save(foreign, "foreign.onnx")
refused(lambda: secateur.load("foreign.onnx"), "/Add", "Hardmax")

# The console script.
numpy.savez("images.npz", x=images, y=labels)
told = subprocess.run(
    ["secateur", "prune", "small.onnx", "--within", "5", "--images", "images.npz", "--out", "told.onnx"],
    capture_output=True, text=True, check=True,
).stdout
assert "accuracy 100.00 % before" in told and pathlib.Path("told.onnx").exists(), told
failed = subprocess.run(["secateur", "info", "nothing.onnx"], capture_output=True, text=True)
assert failed.returncode == 1 and failed.stderr.startswith("error: nothing.onnx"), failed

# The example of the documentation, as it stands there.
page = pathlib.Path(sys.argv[1]).read_text()
example = "\n".join(re.findall(r"```python\n(.*?)```", page, re.S))
numpy.savez("mine.npz", x=images, y=labels)
pathlib.Path("model.onnx").write_bytes(pathlib.Path("small.onnx").read_bytes())
exec(compile(example, "docs/python.md", "exec"), {})
print("passed")
