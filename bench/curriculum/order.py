"""The order of a curriculum in NumPy, with everything in memory, for the benchmark of plans.

For each metric the level at which it admits each sample, the greatest of these, and a stable sort by it:
what a plan is made of, without a limit on memory and on one core, as NumPy does it. It answers every line
with the seconds it took.
"""

import argparse
import json
import sys
import time

import numpy as np


def make(index, metrics, stages, out):
    began = time.perf_counter()
    entry = None
    for metric in metrics:
        values = np.load(f"{index}/values/{metric}.npy", mmap_mode="r")
        order = np.load(f"{index}/order/{metric}.npy", mmap_mode="r")
        ranks = (np.ceil(np.arange(1, stages + 1) * len(values) / stages) - 1).astype(np.int64)
        level = np.searchsorted(values[order[ranks]], values).astype(np.uint16)
        entry = level if entry is None else np.maximum(entry, level)
    order = np.argsort(entry, kind="stable").astype(np.uint32)
    ends = np.cumsum(np.bincount(entry, minlength=stages))
    np.save(out, order)
    return {"seconds": time.perf_counter() - began, "ids": int(ends[-1])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--index", required=True)
    parser.add_argument("--metrics", required=True, help="separated by commas")
    parser.add_argument("--stages", type=int, required=True)
    parser.add_argument("--out", required=True, help=".npy file for the order")
    options = parser.parse_args()
    print("{}", flush=True)
    for _ in sys.stdin:
        print(json.dumps(make(options.index, options.metrics.split(","), options.stages, options.out)), flush=True)


if __name__ == "__main__":
    main()
