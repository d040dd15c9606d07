"""Prunes trained networks and runs what is left on the CPU, smaller and faster.

>>> import secateur
>>> model = secateur.load("model.onnx")
>>> small = secateur.prune(model, within=0.5, images=images, labels=labels)
>>> small.predict(images)
>>> small.compact().save("small.onnx")
"""

from os import PathLike, fspath

from ._engine import Model, choose_masks as _choose_masks, load as _load, prune as _prune

__all__ = ["Model", "compact", "export", "load", "prune", "prune_state_dict"]


def load(path, *, threads=0):
    """Opens a model: a `.secateur` file, or an ONNX model from images or features to classes.

    `threads` is how many of them answer; 0 is one for every core. Raises `OSError` where the file cannot be read, and `ValueError`,
    with the name of the node that is at fault, where it is no such model.
    """
    return _load(fspath(path), threads=threads)


def prune(model, **how):
    """Prunes a model, or a state dict, without training it.

    `model` is a `Model`, the path of one, or a dict of weights by name (`prune_state_dict`).

    How much goes is one of `sparsity` (a fraction of the weights), `within` (as small as it can be with so many points of accuracy
    lost, or, without labels, so many percent of other answers), `within_ms` (milliseconds a call of `batch` images) and
    `within_bytes` (of a `.secateur` file with `values`).

    `images` are what the model takes, some hundreds to some thousands: the first half, at most 1,024, is what the weights that are
    left are fitted to, the others judge (`Model.score`). `labels` are their classes. Without images the smallest weights go.

    `include` and `exclude` are lists of globs on the names of weights, `scope` is `"layerwise"`, `"global"`, `"erk"`,
    `"global-normalised"` or `"mac-aware"`, and `reconstruct=False` leaves the weights that are kept as they are.
    """
    if isinstance(model, dict):
        return prune_state_dict(model, **how)
    if isinstance(model, (str, PathLike)):
        model = load(model)
    if not isinstance(model, Model):
        hint = "; of a PyTorch module give its state_dict(), or its ONNX file" if hasattr(model, "state_dict") else ""
        raise TypeError(f"expected a Model, a path or a dict of weights, found {type(model).__name__}{hint}")
    for key in ("include", "exclude"):
        if isinstance(how.get(key), str):
            how[key] = [how[key]]
    if how.get("labels") is not None:
        how["labels"] = _labels(how["labels"])
    return _prune(model, **how)


def _labels(labels):
    """Labels as numbers of classes, one for each image."""
    import numpy

    labels = numpy.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ValueError(f"labels: expected whole numbers, one for each image, found {labels.dtype} of shape {list(labels.shape)}")
    return labels


def prune_state_dict(weights, sparsity, *, scope="global"):
    """A copy of a state dict whose smallest weights are zero: those of arrays or tensors of two axes or more whose name ends in
    `weight`. NumPy arrays and PyTorch tensors stay what they are."""
    import numpy

    def array(value):
        if not hasattr(value, "detach"):
            return numpy.asarray(value)
        value = value.detach().cpu()
        # NumPy has no bfloat16.
        return (value.float() if value.is_floating_point() else value).numpy()

    arrays = [(name, array(value)) for name, value in weights.items()]
    chosen = [(name, own) for name, own in arrays if name.endswith("weight") and own.ndim >= 2]
    if not chosen:
        raise ValueError(f"expected arrays of two axes or more whose names end in `weight`, found {', '.join(weights) or 'nothing'}")
    for name, own in chosen:
        if own.dtype.kind != "f":
            raise ValueError(f"{name}: found values of type {own.dtype}, expected floats")
    masks = _choose_masks([(name, own.astype("float32")) for name, own in chosen], sparsity, scope)
    pruned = dict(weights)
    for (name, own), mask in zip(chosen, masks):
        kept = own * numpy.asarray(mask, dtype=own.dtype).reshape(own.shape)
        value = weights[name]
        if hasattr(value, "detach"):
            import torch

            kept = torch.from_numpy(kept).to(dtype=value.dtype, device=value.device)
        pruned[name] = kept
    return pruned


def compact(model):
    """The same model without what its answers do not depend on."""
    return model.compact()


def export(model, path, *, values="f32"):
    """Writes a model's file: `.secateur`, `.onnx` or `.safetensors`, by the ending of `path`."""
    model.save(fspath(path), values=values)
