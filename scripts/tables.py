"""Tables of README.md out of logs and of the report's data: headline RUN DENSE RANDOM, or sweep SERIES.CSV."""
import csv, json, pathlib, sys


def events(run, kind):
    found = map(json.loads, pathlib.Path(run, "log.jsonl").open())
    return [event for event in found if event["event"] == kind]


def percent(score):
    return f"{100 * score['correct'] / score['total']:.2f} %"


def headline(run, dense, random):
    """Each network of a run, after as many steps as the dense control had; the controls beside it."""
    by_cycle, at_random = {}, {}
    for table, path in ((by_cycle, run), (at_random, random)):
        for event in events(path, "tested"):
            table.setdefault(event["cycle"], {})[event["stage"]] = event
    control = events(dense, "tested")[-1]
    pruned = [by_cycle[cycle]["retrained"] for cycle in by_cycle if cycle > 0]
    assert control["step"] == pruned[-1]["step"], "the dense control has as many steps as the pruned run"
    size = control["size"]
    print("| sparsity of the prunable weights | compression (all parameters) | MACs left | top-1 just pruned | top-1 retrained | random control |")
    print("|---:|---:|---:|---:|---:|---:|")
    print(f"| 0 % (dense control, equal steps) | 1.00x | {size['macs']:,} | | {percent(control['score'])} | |")
    for cycle in list(by_cycle)[1:]:
        just, after = by_cycle[cycle]["just_pruned"], by_cycle[cycle]["retrained"]
        size, other = after["size"], at_random.get(cycle, {}).get("retrained")
        print(f"| {100 * size['pruned'] / size['prunable']:.2f} % | {size['parameters'] / size['nonzero']:.4g}x | {size['remaining_macs']:,} "
              f"| {percent(just['score'])} | {percent(after['score'])} | {percent(other['score']) if other else ''} |")


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


{"headline": headline, "sweep": sweep}[sys.argv[1]](*sys.argv[2:])
