"""What scripts/check-faults tries: runs, mutations of bytes and of configs, and requests."""
import io, re, socket, struct, zipfile, zlib

# A network with branches and batch normalisation on colour images.
GRAPH = ['model={ kind = "resnet", depth = 8, width = 4 }', "data.synthetic_shape=[3, 12, 12]", "data.synthetic_train=600"]

# Changes of configs/smoke.toml, each a way of pruning whose state differs.
RUNS = [
    [],
    ['prune.granularity={ kind = "filter" }', 'prune.exclude=["fc3.*"]', 'prune.schedule={ kind = "list", sparsities = [0.3, 0.5] }'],
    ['prune.regrow={ kind = "rigl", share = 0.3, every = { steps = 8 } }'],
    ['retrain={ kind = "rewind-weights", rewind_to = { steps = 20 } }'],
    ["prune.until={ within = 5.0 }"],
    ["train.lr_schedule={ kind = \"cosine\", restart = \"cycle\" }", "prune.every={ steps = 7 }"],
    ["device=flex", 'prune.regrow={ kind = "surgery", every = { steps = 5 }, until = 0.5 }'],
    ["device=flex", "prune.gsm={ steps = 20 }", 'train.optimizer={ kind = "sgd", lr = 0.03, momentum = 0.9, weight_decay = 5e-4 }'],
    ["device=flex", "prune.criterion=movement"],
    GRAPH,
    GRAPH + ["train.average={ decay = 0.9 }", "prune.recalibrate=2", "data.augment={ crop = 1, flip = true }"],
    GRAPH + ['prune.regrow={ kind = "rigl", share = 0.3, every = { steps = 3 } }'],
]

# What reads a finished run, by name.
READERS = {
    "test": lambda run: ["test", run],
    "list": lambda run: ["list", run.parent],
    "export": lambda run: ["export", run, "--format", "safetensors", "--out", run.parent / "exported.safetensors"],
    "report": lambda run: ["report", run, "--no-models", "--out", run.parent / "report"],
    "compare": lambda run: ["compare", run, run],
    "bench": lambda run: ["bench", run, "--batch", 1, "--seconds", 0.01],
    "predict": lambda run: ["predict", run, "datasets/mnist/t10k-images-idx3-ubyte.gz", "--index", 0],
    "sensitivity": lambda run: ["sensitivity", run, "--sparsities", 0.5, "--images", 50, "--out", run.parent / "sensitivity"],
    "start": lambda run: ["plan", "configs/smoke.toml", "--set", f"start={run / 'model.safetensors'}"],
}

# Keys whose value is a word or a path.
KEYS = ["name", "device", "instruction_set", "start", "prune.scores", "prune.scope", "prune.criterion", "model", "model.kind", "train.optimizer",
        "retrain.kind", "data.dir", "seed"]


def without_paths(text, work):
    # A table is as wide as the paths in it.
    return re.sub(r"\s+|--+", " ", re.sub(r"\S*/\S+", "PATH", text.replace(str(work), "")))


def mutated(before, random):
    """(what was done, bytes with one fault)."""
    data = bytearray(before)
    how = random.choice(["bit", "byte", "cut", "zeros", "insert", "digit", "line removed", "line doubled", "lines swapped"])
    at = random.randrange(len(data))
    lines = before.split(b"\n")
    line = random.randrange(len(lines))
    if how == "bit":
        data[at] ^= 1 << random.randrange(8)
    elif how == "byte":
        data[at] = random.randrange(256)
    elif how == "cut":
        del data[at:]
    elif how == "zeros":
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif how == "insert":
        data[at:at] = random.randbytes(random.choice([1, 7, 64]))
    elif how == "digit":
        digits = [place for place, byte in enumerate(data) if 48 <= byte < 58]
        if digits:
            at = random.choice(digits)
            data[at] = 48 + (data[at] - 48 + random.randrange(1, 10)) % 10
    elif how == "line removed":
        data = bytearray(b"\n".join(lines[:line] + lines[line + 1 :]))
    elif how == "line doubled":
        data = bytearray(b"\n".join(lines[: line + 1] + lines[line:]))
    elif how == "lines swapped" and len(lines) > 2:
        line = random.randrange(len(lines) - 2)
        lines[line], lines[line + 1] = lines[line + 1], lines[line]
        data = bytearray(b"\n".join(lines))
    return f"{how} at {at}", bytes(data)


def with_checksum(data):
    """A model file whose checksum fits its damaged content, so that the reader goes on."""
    if len(data) <= 20:
        return data
    rest = struct.pack("<I", len(data)) + data[20:]
    return data[:12] + struct.pack("<I", zlib.crc32(rest)) + rest


def idx(count):
    """So many images in MNIST's format."""
    return struct.pack(">4I", 0x803, count, 28, 28) + bytes(place * 7 % 256 for place in range(count * 784))


def cifar(count):
    """So many records in CIFAR-10's format."""
    return b"".join(bytes([record % 10]) + bytes(place * (record + 3) % 251 for place in range(3072)) for record in range(count))


def npz():
    """Arrays of colour images and their classes in NumPy's format."""
    def array(kind, shape, data):
        head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
        head += b" " * (-(len(head) + 11) % 64) + b"\n"
        return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + data

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for part, count in (("train", 20), ("test", 8)):
            pixels = bytes(place * 7 % 256 for place in range(count * 3 * 64))
            file.writestr(f"x_{part}.npy", array("|u1", (count, 3, 8, 8), pixels))
            file.writestr(f"y_{part}.npy", array("|u1", (count,), bytes(own % 4 for own in range(count))))
    return out.getvalue()


def data_folders(folder):
    """Writes a small data set of each kind below a folder; {kind: what `data.dir` names}."""
    pictures, records, arrays = folder / "pictures", folder / "records", folder / "arrays.npz"
    for part in ("train", "test"):
        for name in ("a", "b"):
            (pictures / part / name).mkdir(parents=True)
            for number in range(3):
                (pictures / part / name / f"{number}.png").write_bytes(png())
    records.mkdir()
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        (records / f"{name}.bin").write_bytes(cifar(4))
    arrays.write_bytes(npz())
    return {"image-folder": pictures, "cifar10": records, "npz": arrays}


def png():
    """A grey picture of 28 x 28 pixels."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((row * column) % 256 for column in range(28)) for row in range(28))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", 28, 28, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


VALUES = ["-1", "0", "1", "1e300", "1e-300", "nan", "inf", "9223372036854775807", '""', '"x"', "[]", "{}", "true", "[[[[1]]]]", "{ macs = 2 }",
          "{ steps = 99999999999 }", "{ epochs = 4294967295 }", "0.999999999", '"' + "long " * 3000 + '"', "[" * 2000 + "]" * 2000, "2020-01-01"]


def mutated_config(text, random):
    """(what was done, a config with one value, key or line changed)."""
    lines = text.splitlines()
    settings = [place for place, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    at = random.choice(settings)
    key, value = lines[at].split("=", 1)
    how = random.choice(["value", "inner value", "number", "key", "removed", "doubled", "bytes"])
    if how == "value":
        lines[at] = f"{key}= {random.choice(VALUES)}"
    elif how == "inner value":
        lines[at] = f"{key}={re.sub(r'= *[^,}]+', '= ' + random.choice(VALUES[:-5]) + ' ', value, count=1)}"
    elif how == "number":
        lines[at] = re.sub(r"\d+(\.\d+)?", str(random.choice([0, -3, 1e9, 0.5, 99, 1 << 40])), lines[at], count=1)
    elif how == "key":
        lines[at] = f"{key.strip()}x = {value}"
    elif how == "removed":
        del lines[at]
    elif how == "doubled":
        lines.insert(at, lines[at])
    else:
        place = random.randrange(len(text))
        return f"a character at {place}", text[:place] + chr(random.choice([0, 7, 34, 91, 123, 255, 0x1F600])) + text[place + 1 :]
    return f"{how}: {lines[min(at, len(lines) - 1)][:60]}", "\n".join(lines) + "\n"


def answer(port, request, timeout=20):
    """What the server answers to these bytes; empty where it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(request)
        found = b""
        while part := connection.recv(65536):
            found += part
            if len(found) > 1 << 24 or b"\r\n\r\n" in found and b"onnection: close" in request:
                pass
        return found


def get(path, host):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("utf-8", "surrogateescape")


def page_is_served(port):
    found = answer(port, get("/", f"127.0.0.1:{port}"), 60)
    return None if b" 200 " in found[:20] and b"<html" in found else f"answered {found[:100]!r}"


PATHS = ["/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/....//secret.txt", "/runs/../../secret.txt",
         "/%00", "/" + "a" * 7000, "/?" + "q=1&" * 500, "/\\..\\secret.txt", "/%c0%ae%c0%ae/secret.txt", "/.hidden", "/log.jsonl"]


def hostile_request(port, random):
    """(what was sent, what was wrong with the answer)."""
    host = f"127.0.0.1:{port}"
    how = random.choice(["path", "host", "method", "headers", "body", "bytes"])
    request = {
        "path": lambda: get(random.choice(PATHS), host),
        "host": lambda: get("/", random.choice(["evil.example", "127.0.0.1.evil.example", "", "localhost:1", "[::1]", "0.0.0.0"])),
        "method": lambda: get("/", host).replace(b"GET", random.choice([b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"get", b"X" * 5000])),
        "headers": lambda: get("/", host)[:-2] + b"".join(b"X-%d: %s\r\n" % (n, b"y" * random.choice([1, 900])) for n in range(random.choice([10, 500]))) + b"\r\n",
        "body": lambda: get("/", host)[:-2] + b"Content-Length: %d\r\n\r\n" % random.choice([5, -1, 1 << 62]) + b"hello",
        "bytes": lambda: random.randbytes(random.randrange(1, 4000)) + b"\r\n\r\n",
    }[how]()
    try:
        found = answer(port, request)
    except (ConnectionResetError, BrokenPipeError):
        found = b""
    except TimeoutError:
        return f"{how}: {request[:80]!r}", "no answer within 20 s"
    if b"not to be served" in found:
        return f"{how}: {request[:80]!r}", "served a file from outside of the folder"
    if how == "host" and b" 200 " in found[:20] and not request.split(b"Host: ")[1].startswith((b"localhost", b"[::1]", b"0.0.0.0", b"127.0.0.1:")):
        return f"{how}: {request[:80]!r}", "served to another host's name"
    return f"{how}: {request[:80]!r}", None


def slow_readers_hold_nobody(port):
    """Clients that ask for the page and read nothing must not keep others from it."""
    connections = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(64)]
    try:
        for connection in connections:
            connection.sendall(get("/", f"127.0.0.1:{port}"))
        return page_is_served(port)
    except OSError as fault:
        return f"no page beside 64 clients that read nothing: {fault}"
    finally:
        for connection in connections:
            connection.close()


def drips_are_ended(port):
    """Clients that send a header line now and then must not hold the server beyond its deadline."""
    import time

    connections = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(64)]
    for connection in connections:
        connection.sendall(b"GET / HTTP/1.1\r\n")
    alive = set(range(len(connections)))
    for tick in range(13):
        time.sleep(2)
        for at in list(alive):
            try:
                connections[at].sendall(b"X-%d: y\r\n" % tick)
            except OSError:
                alive.discard(at)
    for connection in connections:
        connection.close()
    return f"{len(alive)} of 64 dripping clients still hold it after 26 s" if alive else None
