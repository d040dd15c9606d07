"""Reads a model.secateur file with numpy alone: python3 read_secateur.py FILE. The format is drawn in format.md."""
import sys, zlib
import numpy as np

KINDS = {0: "conv2d", 1: "linear", 2: "affine", 3: "relu", 4: "max_pool2d", 5: "avg_pool2d", 6: "crop", 7: "flatten"}
SHAPES = {0: 5, 1: 2, 2: 1, 3: 0, 4: 1, 5: 1, 6: 2, 7: 0}  # numbers that follow the kind
TYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("i1")}


def read(data):
    """The head as a dict, and the layers as (kind, shape, name, arrays)."""
    at = 0

    def section(length):
        nonlocal at
        start, at = at, at + (length + 3) // 4 * 4
        return data[start : start + length]

    u32 = lambda: int(np.frombuffer(section(4), "<u4")[0])
    f32 = lambda: np.frombuffer(section(4), "<f4")[0]
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

    assert section(8) == b"secateur" and (version := u32()) in (1, 2)
    assert u32() == zlib.crc32(data[16:]) and u32() == len(data)
    head = {"precision": u32(), "scales": [(f32(), f32()) for _ in range(u32() if version == 2 else 1)]}
    head["name"] = section(u32()).decode()
    head["input"], layers = [u32() for _ in range(3)], []
    for _ in range(u32()):
        kind = u32()
        shape, name, arrays = [u32() for _ in range(SHAPES[kind])], KINDS[kind], []
        if kind < 2:
            name, precision, (inputs, outputs, *rest) = section(u32()).decode(), head["precision"], shape
            size = [outputs, inputs] + rest[:1] * 2  # a convolution's kernel is square
            arrays = [tensor(outputs, int(np.prod(size[1:])), precision).reshape(size), tensor(1, outputs, min(precision, 1))[0]]
        elif kind == 2:
            name, arrays = section(u32()).decode(), [tensor(1, shape[0], 0)[0] for _ in range(2)]
        layers.append((KINDS[kind], shape, name, arrays))
    assert at == len(data)
    return head, layers


if __name__ == "__main__":
    head, layers = read(open(sys.argv[1], "rb").read())
    print(head)
    for kind, shape, name, arrays in layers:
        print(kind, shape, name, *(f"{a.shape}, {np.count_nonzero(a)} not zero" for a in arrays), sep="  ")
