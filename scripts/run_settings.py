"""What a run really did, read from its folder: for scripts that put runs beside each other.

A side of a comparison is named by its resolved settings (`label`), never by what somebody meant to set, and two sides that
resolve to the same settings are refused (`print_settings`).
"""
import json, pathlib, sys, tomllib


def resolved(run):
    """Every setting of a run that can change its speed or its network, by dotted key: its config with all defaults, and from
    the manifest what the config left to the machine."""
    run = pathlib.Path(run)
    manifest = json.loads((run / "manifest.json").read_text())
    settings = {}

    def flatten(prefix, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                flatten(f"{prefix}.{key}" if prefix else key, inner)
        else:
            settings[prefix] = value

    config = tomllib.loads((run / "experiment.toml").read_text())
    if not config["prune"].get("enabled", True):
        config["prune"] = {"enabled": False}
    flatten("", config)
    settings.pop("name")
    settings.pop("data.dir", None)
    settings["threads"] = manifest["threads_used"]
    kernels = manifest.get("kernels") or {}
    settings["instruction_set"] = kernels.get("instruction_set", "not told by this device")
    return settings


def last_prune(run):
    """Fraction of the prunable weights that the last prune of a run left at zero, and of all MACs that are left after it."""
    tested = [event for event in map(json.loads, (pathlib.Path(run) / "log.jsonl").open()) if event["event"] == "tested"]
    size = tested[-1]["size"]
    return size["pruned"] / size["prunable"], size["remaining_macs"] / size["macs"]


def label(run):
    """The network of a run in words, from its resolved settings: `k=5, L1 layerwise 95 %`, `resnet-20, dense`."""
    settings = resolved(run)
    depth = f"-{settings['model.depth']}" if "model.depth" in settings else ""
    network = f"k={settings['model.width']}" if settings["model.kind"] == "lenet" else settings["model.kind"] + depth
    if not settings["prune.enabled"]:
        return f"{network}, dense"
    criterion = {"l1": "L1"}.get(settings["prune.criterion"], settings["prune.criterion"])
    sparsity, _ = last_prune(run)
    return f"{network}, {criterion} {settings['prune.scope']} {100 * sparsity:.4g} %"


def print_settings(runs):
    """Prints what all runs have in common, then for each what differs and what came out. `runs` is {name: folder}.

    Exits with an error where two of them resolve to the same settings: they would be one run under two names."""
    every = {name: resolved(run) for name, run in runs.items()}
    keys = sorted({key for settings in every.values() for key in settings})
    word = lambda settings, key: json.dumps(settings[key]) if key in settings else "absent"
    shared = [key for key in keys if len({word(settings, key) for settings in every.values()}) == 1]
    print("\nSettings of every side: " + ", ".join(f"{key} = {word(next(iter(every.values())), key)}" for key in shared))
    print("\nSettings that differ, and what came out:\n")
    seen = {}
    for name, settings in every.items():
        own = {key: word(settings, key) for key in keys if key not in shared and key in settings}
        sparsity, macs = last_prune(runs[name])
        said = ", ".join(f"{key} = {value}" for key, value in own.items())
        print(f"- {name}: {said}; {100 * sparsity:.4g} % of the prunable weights are zero, {100 * macs:.3g} % of the MACs are left")
        same = seen.setdefault(json.dumps(own, sort_keys=True), name)
        if same != name:
            sys.exit(f"`{same}` and `{name}` have the same settings: expected two sides that differ")
    print(flush=True)
