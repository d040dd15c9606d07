"""Compares event files with the logs that they were made from: FOLDER with runs/ and board/."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def wanted(log):
    """What the log says, by tag: (step, wall time, value)."""
    found = {}
    for line in log.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        event = json.loads(line)
        time = event.get("timing", {}).get("elapsed_ms", 0) / 1000

        def add(tag, value, step=event.get("step")):
            value = math.nan if value is None else value
            found.setdefault(tag, []).append((step, time, np.float32(value)))

        def add_score(name, score):
            add(f"accuracy/{name}", score["correct"] / score["total"])
            add(f"loss/{name}", score["loss"])

        match event["event"]:
            case "epoch_ended":
                add_score("train", event["train"])
                if event["validation"]:
                    add_score("validation", event["validation"])
                for step, rate in event["learning_rates"]:
                    add("learning_rate", rate, step)
            case "pruned" | "masks_moved":
                add("sparsity", event["pruned"] / event["prunable"])
                for layer in event.get("layers", []):
                    add(f"density/{layer['name']}", layer["kept"] / layer["total"])
            case "tested":
                size = event["size"]
                add_score("test_just_pruned" if event["stage"] == "just_pruned" else "test_retrained", event["score"])
                add("remaining_macs", size["remaining_macs"])
                add("sparsity", size["pruned"] / size["prunable"])
    return found


def main(folder):
    numbers = 0
    runs = sorted((folder / "runs").iterdir())
    for run in runs:
        board = EventAccumulator(str(folder / "board" / run.name), size_guidance={"scalars": 0})
        board.Reload()
        expected = wanted(run / "log.jsonl")
        tags = board.Tags()["scalars"]
        if sorted(tags) != sorted(expected):
            sys.exit(f"check-tensorboard: {run.name} has {sorted(tags)}, wanted {sorted(expected)}")
        for tag in tags:
            read = [(event.step, event.wall_time, np.float32(event.value)) for event in board.Scalars(tag)]
            if not np.array_equal(np.array(read), np.array(expected[tag]), equal_nan=True):
                sys.exit(f"check-tensorboard: {run.name}, {tag}: {read}, wanted {expected[tag]}")
            numbers += len(read)
    print(f"check-tensorboard: {numbers} numbers of {len(runs)} runs read by TensorBoard as they are in the logs")

    # The reader that the document shows, as a person would paste it.
    document = Path("docs/log.md").read_text()
    reader = re.search(r"```python\n(.*?)```", document, re.S).group(1)
    for run in runs:
        program = f"run = {str(run)!r}\n{reader}\nprint(len(curve), curve.accuracy.iloc[-1])"
        said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
        tests = wanted(run / "log.jsonl")["accuracy/test_retrained"]
        if int(said[-2]) != len(tests) or not math.isclose(float(said[-1]), tests[-1][2], rel_tol=1e-6):
            sys.exit(f"check-tensorboard: the reader of docs/log.md says {said} of {run.name}, wanted {tests}")
    print(f"check-tensorboard: the reader of docs/log.md reads {len(runs)} logs")


main(Path(sys.argv[1]))
