"""Reads a model.secateur file with numpy alone: python3 read_secateur.py FILE. The format is drawn in format.md."""
import sys, zlib
import numpy as np

KINDS = {0: "conv2d", 1: "linear", 2: "affine", 3: "relu", 4: "max_pool2d", 5: "avg_pool2d", 6: "crop", 7: "flatten"}
SHAPES = {0: 5, 1: 2, 2: 1, 3: 0, 4: 1, 5: 1, 6: 2, 7: 0}  # numbers that follow the kind
OPS = ["conv2d", "linear", "batch_norm", "activation", "max_pool2d", "avg_pool2d", "global_avg_pool2d", "add", "concat", "flatten", "reshape", "crop",
       "mul", "permute", "layer_norm", "softmax", "embedding"]
WORDS = [12, 3, 1, 1, 8, 8, 0, 0, 0, 0, 1, 2, 0, 1, 2, 1, 2]  # numbers of an operation, without what follows them
TYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("i1")}


def read(data):
    """The head as a dict, and the layers or nodes as (kind, shape, name, arrays); a node's shape ends with its inputs."""
    at = 0

    def section(length):
        nonlocal at
        start, at = at, at + (length + 3) // 4 * 4
        return data[start : start + length]

    u32 = lambda: int(np.frombuffer(section(4), "<u4")[0])
    f32 = lambda: np.frombuffer(section(4), "<f4")[0]
    f64 = lambda: float(np.frombuffer(section(8), "<f8")[0])
    text = lambda: section(u32()).decode()
    bits = lambda length: np.unpackbits(np.frombuffer(section(length), "u1"), bitorder="little")

    def tensor(rows, columns, precision):
        coding, live_rows, live_columns, stored, length = (u32() for _ in range(5))
        r, c = (np.arange(n) if live == n else np.flatnonzero(bits((n + 7) // 8)) for n, live in ((rows, live_rows), (columns, live_columns)))
        places = np.arange(stored)
        coded, bit, place = bits(length).astype(bool), 0, -1
        for own in range(stored if coding else 0):
            one = bit + int(np.argmax(coded[bit:]))  # the next bit that is set
            rest = coded[one + 1 : one + coding]
            place += 1 + (one - bit << coding - 1) + int(rest @ (1 << np.arange(coding - 1)))
            places[own], bit = place, one + coding
        row, column = np.divmod(places, max(live_columns, 1))
        scales = np.frombuffer(section(2 * live_rows if precision == 2 else 0), "<u2").astype("<u4") << 16
        values = np.frombuffer(section(stored * TYPES[precision].itemsize), TYPES[precision]).astype("f4")
        dense = np.zeros((rows, columns), "f4")
        dense[r[row], c[column]] = values * scales.view("f4")[row] if precision == 2 else values
        return dense

    def layer():
        kind = u32()
        shape, name, arrays = [u32() for _ in range(SHAPES[kind])], KINDS[kind], []
        if kind < 2:
            name, precision, (inputs, outputs, *rest) = text(), head["precision"], shape
            size = [outputs, inputs] + rest[:1] * 2  # a convolution's kernel is square
            arrays = [tensor(outputs, int(np.prod(size[1:])), precision).reshape(size), tensor(1, outputs, min(precision, 1))[0]]
        elif kind == 2:
            name, arrays = text(), [tensor(1, shape[0], 0)[0] for _ in range(2)]
        return KINDS[kind], shape, name, arrays

    def node():
        kind, name, arrays = u32(), text(), []
        inputs = [u32() for _ in range(u32())]  # 0 is the network's input, n + 1 what the n-th node gives
        shape = [u32() for _ in range(WORDS[kind])]
        if kind < 2:
            size = [shape[1], shape[0] // shape[2], *shape[3:5]] if kind == 0 else [shape[1], shape[0]]
            arrays = [tensor(size[0], int(np.prod(size[1:])), head["precision"]).reshape(size)]
            arrays += [tensor(1, size[0], 0)[0]] if shape[-1] else []  # the bias
        elif kind == 2:  # epsilon and momentum; then scale, shift, running mean and running variance
            shape, arrays = shape + [f64(), f64()], [tensor(1, shape[0], 0)[0] for _ in range(4)]
        elif kind in (10, 13):
            shape = [u32() for _ in range(shape[0])]
        elif kind == 14:  # the numbers that it scales, its sides, epsilon
            shape += [u32() for _ in range(shape[1])] + [f64()]
            arrays = [tensor(1, shape[0], 0)[0] for _ in range(2)]
        elif kind == 16:
            arrays = [tensor(shape[0], shape[1], head["precision"])]
        return OPS[kind], shape + [inputs], name, arrays

    assert section(8) == b"secateur" and (version := u32()) in (1, 2, 3, 4, 5)
    assert u32() == zlib.crc32(data[16:]) and u32() == len(data)
    head = {"precision": u32(), "scales": [(f32(), f32()) for _ in range(1 if version == 1 else u32())], "name": text()}
    head["classes"] = [text() for _ in range(u32() if version > 2 else 0)]
    head["ranges"] = {text(): (f32(), f32()) for _ in range(u32() if version > 3 else 0)}
    head["input"] = [u32() for _ in range(3 if version == 1 else u32())]
    layers = [layer() if version == 1 else node() for _ in range(u32())]
    assert at == len(data)
    return head, layers


if __name__ == "__main__":
    head, layers = read(open(sys.argv[1], "rb").read())
    print(head)
    for kind, shape, name, arrays in layers:
        print(kind, shape, name, *(f"{a.shape}, {np.count_nonzero(a)} not zero" for a in arrays), sep="  ")
