"""Files of this machine as inputs of Magika's model: `x_train` and `x_test`, [files, 2048], for configs/magika.toml.

    python scripts/magika_inputs.py OUT.npz [--train 24000] [--test 20000] [FOLDER ...]

Of each file the model reads the first and the last 1,024 bytes, as Magika 1.0 takes them: white space at the ends is left out,
and what is not there is 256. Files that Magika answers by rules (below 8 bytes, and links) are left out, and so are those whose
bytes were seen before. No ending has more than a fourteenth of the files. Which file is for training and which for the test is told
by the SHA-256 of what the model sees of it. Needs NumPy.
"""

import argparse
import hashlib
import os

import numpy as np

BYTES, BLOCK, NONE = 1024, 4096, 256


def features(path):
    """What the model sees of a file: numbers from 0 to 256, [2048]."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        block = min(BLOCK, size)
        begin = file.read(block)
        file.seek(size - block)
        end = file.read(block)
    begin = (begin.strip() if size <= BLOCK else begin.lstrip())[:BYTES]
    end = (end.strip() if size <= BLOCK else end.rstrip())[-BYTES:]
    row = np.full(2 * BYTES, NONE, np.int16)
    row[: len(begin)] = np.frombuffer(begin, np.uint8)
    row[2 * BYTES - len(end) :] = np.frombuffer(end, np.uint8)
    return row


def files(folders):
    """Regular files below some folders, in an order that is the same wherever they have the same names."""
    for top in folders:
        for folder, inner, names in os.walk(top):
            inner.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not os.path.islink(path) and os.path.isfile(path):
                    yield path, os.path.splitext(name)[1].lower()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("folders", nargs="*", default=["/usr", os.path.expanduser("~/.cargo/registry")])
    parser.add_argument("--train", type=int, default=24000)
    parser.add_argument("--test", type=int, default=20000)
    own = parser.parse_intermixed_args()
    most = (own.train + own.test) // 14
    rows, kinds = {}, {}
    for path, kind in files(own.folders):
        if kinds.get(kind, 0) >= most:
            continue
        try:
            row = features(path)
        except OSError:
            continue
        key = hashlib.sha256(row.tobytes()).digest()
        if row[7] != NONE and key not in rows:
            rows[key] = row
            kinds[kind] = kinds.get(kind, 0) + 1
    order = sorted(rows)
    if len(order) < own.train + own.test:
        raise SystemExit(f"found {len(order)} files, expected {own.train + own.test}: name more folders, or ask for fewer")
    test, train = order[: own.test], order[own.test : own.test + own.train]
    np.savez(own.out, x_train=np.stack([rows[key] for key in train]), x_test=np.stack([rows[key] for key in test]))
    print(f"{own.out}: {own.train} files to train on, {own.test} to test on, of {len(order)}")
    print(", ".join(f"{count} {kind or '(none)'}" for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1])[:30]))


main()
