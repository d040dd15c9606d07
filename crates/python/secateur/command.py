"""The command line of the engine: `secateur info|bench|prune|export MODEL`. Training has a command line of its own, in Rust."""

import argparse
import sys

import numpy

import secateur


def images_of(path):
    """The array `x` of an npz file, and `y` where it has one; or all of an npy file."""
    found = numpy.load(path)
    if isinstance(found, numpy.ndarray):
        return found, None
    if "x" not in found:
        raise ValueError(f"{path}: expected an array `x`, found {', '.join(found) or 'none'}")
    return found["x"], found["y"] if "y" in found else None


def info(args):
    model = secateur.load(args.model)
    nonzero, parameters = model.parameters
    left, macs = model.macs
    print(f"{model.name}: {nonzero:,} of {parameters:,} parameters, {left:,} of {macs:,} multiply-accumulates an image")
    for name, shape, kept in model.layers:
        size = int(numpy.prod(shape))
        print(f"  {name:<28} {'x'.join(map(str, shape)):>16} {kept:>10,} kept, {100 * (1 - kept / size):6.2f} % sparse")


def bench(args):
    model = secateur.load(args.model, threads=args.threads)
    for batch in args.batch:
        times = model.bench(batch)
        told = ", ".join(f"{form} {ms:.4f} ms ({1e3 * batch / ms:,.0f} images/s)" for form, ms in times.items())
        print(f"batch {batch}: {told}")


def prune(args):
    images, labels = images_of(args.images) if args.images else (None, None)
    model = secateur.load(args.model, threads=args.threads)
    pruned = secateur.prune(
        model,
        sparsity=args.sparsity,
        within=args.within,
        within_ms=args.within_ms,
        within_bytes=args.within_bytes,
        images=images,
        labels=labels,
        scope=args.scope,
        batch=args.batch,
        values=args.values,
    )
    secateur.export(pruned, args.out, values=args.values)
    nonzero, parameters = pruned.parameters
    print(f"{nonzero:,} of {parameters:,} parameters are left")
    score = pruned.score
    if score and score["accuracy"] is not None:
        before, after = 100 * score["accuracy_before"], 100 * score["accuracy"]
        print(f"accuracy {before:.2f} % before, {after:.2f} % after, on {score['images']} images")
    if score:
        print(f"{100 * score['agreement']:.2f} % of the answers are the same, on {score['images']} images")
    print(f"wrote {args.out}")


def export(args):
    model = secateur.load(args.model)
    secateur.export(model.compact() if args.compact else model, args.out, values=args.values)
    print(f"wrote {args.out}")


def main():
    parser = argparse.ArgumentParser(prog="secateur", description="Prunes trained networks and runs what is left.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name, does, of):
        own = verbs.add_parser(name, help=does, description=does)
        own.add_argument("model", help="a .secateur or .onnx file")
        own.set_defaults(run=of)
        return own

    verb("info", "what a model is made of, and what is left of it", info)
    own = verb("bench", "times a model on this machine", bench)
    own.add_argument("--batch", type=int, nargs="+", default=[1, 128], help="images a call")
    own.add_argument("--threads", type=int, default=0, help="0 is one for every core")
    own = verb("prune", "prunes a model without training it", prune)
    much = own.add_mutually_exclusive_group(required=True)
    much.add_argument("--sparsity", type=float, help="fraction of the weights that go")
    much.add_argument("--within", type=float, help="points of accuracy, or percent of other answers, that may be lost")
    much.add_argument("--within-ms", type=float, help="milliseconds a call")
    much.add_argument("--within-bytes", type=int, help="bytes of the .secateur file")
    own.add_argument("--images", help="npz file with inputs `x`, and labels `y` if there are any; or npy")
    own.add_argument("--scope", help="layerwise, global, erk, global-normalised or mac-aware")
    own.add_argument("--batch", type=int, default=1, help="images a call, with --within-ms")
    own.add_argument("--threads", type=int, default=0, help="0 is one for every core")
    own.add_argument("--values", default="f32", help="f32, f16 or int8")
    own.add_argument("--out", required=True, help="a .secateur, .onnx or .safetensors file")
    own = verb("export", "writes a model as another kind of file", export)
    own.add_argument("--compact", action="store_true", help="without what the answers do not depend on")
    own.add_argument("--values", default="f32", help="f32, f16 or int8")
    own.add_argument("--out", required=True, help="a .secateur, .onnx or .safetensors file")
    args = parser.parse_args()
    try:
        args.run(args)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
