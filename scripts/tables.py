"""Tables of README.md out of logs and of the report's data: headline RUN DENSE RANDOM, cycles RUN, or sweep SERIES.CSV."""
import csv, json, pathlib, sys


def events(run, kind):
    found = map(json.loads, pathlib.Path(run, "log.jsonl").open())
    return [event for event in found if event["event"] == kind]


def percent(score):
    return f"{100 * score['correct'] / score['total']:.2f} %"


def by_cycle(run):
    """Tests of each cycle by their stage."""
    found = {}
    for event in events(run, "tested"):
        found.setdefault(event["cycle"], {})[event["stage"]] = event
    return found


def of_size(size):
    """Sparsity of the prunable weights, compression over all parameters, and the multiply-accumulates left."""
    sparsity, compression = 100 * size["pruned"] / size["prunable"], size["parameters"] / size["nonzero"]
    return f"{sparsity:.2f} % | {compression:.4g}x | {size['remaining_macs']:,}"


def cycles(run):
    """Each network of a run."""
    print("| sparsity of the prunable weights | compression (all parameters) | MACs left | top-1 just pruned | top-1 retrained |")
    print("|---:|---:|---:|---:|---:|")
    for stages in by_cycle(run).values():
        just, after = stages.get("just_pruned"), stages.get("retrained") or stages["dense"]
        print(f"| {of_size(after['size'])} | {percent(just['score']) if just else ''} | {percent(after['score'])} |")


def headline(run, dense, random):
    """Each network of a run, after as many steps as the dense control had; the controls beside it."""
    tested, at_random = by_cycle(run), by_cycle(random)
    control = events(dense, "tested")[-1]
    pruned = [stages["retrained"] for cycle, stages in tested.items() if cycle > 0]
    assert control["step"] == pruned[-1]["step"], "the dense control has as many steps as the pruned run"
    size = control["size"]
    print("| sparsity of the prunable weights | compression (all parameters) | MACs left | top-1 just pruned | top-1 retrained | random control |")
    print("|---:|---:|---:|---:|---:|---:|")
    print(f"| 0 % (dense control, equal steps) | 1.00x | {size['macs']:,} | | {percent(control['score'])} | |")
    for cycle in list(tested)[1:]:
        just, after = tested[cycle]["just_pruned"], tested[cycle]["retrained"]
        other = at_random.get(cycle, {}).get("retrained")
        random_top = percent(other["score"]) if other else ""
        print(f"| {of_size(after['size'])} | {percent(just['score'])} | {percent(after['score'])} | {random_top} |")


def mean(row):
    """Mean top-1 in percent with its 95 % t-interval; each seed's range and the collapsed ones where some collapsed, others not."""
    collapsed, count = int(row["collapsed"]), int(row["n"])
    if 0 < collapsed < count:
        low, high = (100 * float(row[key]) for key in ("accuracy_min", "accuracy_max"))
        return f"{low:.2f} to {high:.2f}, {collapsed} of {count} collapsed"
    half = row["accuracy_half_width_95"]
    return f"{100 * float(row['accuracy_mean']):.2f}" + (f" ± {100 * float(half):.2f}" if half else "")


def sweep(path):
    """Each series at each target, as the report has it; the dense control below."""
    rows = list(csv.DictReader(open(path)))
    pruned = [row for row in rows if row["control"] != "dense" and row["target"]]
    targets = sorted({float(row["target"]) for row in pruned} - {0.0})
    cells = {(row["series"], float(row["target"])): mean(row) for row in pruned}
    print("| series | " + " | ".join(f"{100 * target:g} %" for target in targets) + " |")
    print("|---|" + "---:|" * len(targets))
    for series in dict.fromkeys(row["series"] for row in pruned):
        print(f"| {series} | " + " | ".join(cells.get((series, target), "") for target in targets) + " |")
    for row in rows:
        if row["control"] == "dense":
            print(f"\nDense control, {row['series']}: {mean(row)}")


{"headline": headline, "cycles": cycles, "sweep": sweep}[sys.argv[1]](*sys.argv[2:])
