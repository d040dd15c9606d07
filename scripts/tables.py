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


def sweep(path):
    """Mean top-1 of each series at each target, as the report has it."""
    rows = list(csv.DictReader(open(path)))
    print(", ".join(rows[0]))
    for row in rows:
        print(" | ".join(row.values()))


{"headline": headline, "sweep": sweep}[sys.argv[1]](*sys.argv[2:])
