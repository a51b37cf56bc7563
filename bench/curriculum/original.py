"""DeepSpeed's data sampler, or the same steps in NumPy, timed, for the benchmark of plans and samplers.

It reads the index that Gradus reads, and writes from it what DeepSpeed's analyzer would have: rows of
sample ids by value, or merged into about 100 rows by percentile. Where there is a choice, it is the one
that makes the original faster:

- one process serves all ranks: nothing is broadcast, nobody waits at a barrier;
- a rank takes the whole global batch, so that no batch is handed out in pieces;
- what the sampler logs and prints goes nowhere;
- importing torch and DeepSpeed, and writing and opening the rows, is not timed.

It makes ENTER batches, says of them what walk does, and answers

    draw N    N batches
    walk N    N batches, those that change the difficulty apart
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import sys
import time

import numpy as np


def rows_of(index, metric, by):
    """Sample ids by value, ascending, and where each row ends; the row's values too."""
    order = np.load(f"{index}/order/{metric}.npy", mmap_mode="r")
    values = np.load(f"{index}/values/{metric}.npy", mmap_mode="r")[order]
    starts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    row_values = values[starts]
    if by == "percentile":
        starts = starts[::max(1, len(starts) // 100)]
    ends = np.append(starts[1:], len(order))
    return order, starts, ends, row_values


class Rows:
    """Rows of an array, as DeepSpeed's dataset shows them."""

    def __init__(self, array, starts, ends):
        self.array, self.starts, self.ends = array, starts, ends

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, i):
        if i >= len(self.starts):
            raise IndexError(i)
        return self.array[self.starts[i]:self.ends[i]]


class NumpySampler:
    """The batches of the original, without it: clusters in files, drawn from by size."""

    def __init__(self, rows, values, by, most, schedule, samples, units, scratch, seed):
        self.rows, self.values, self.by, self.most = rows, values, by, most
        self.schedule, self.samples, self.units, self.scratch = schedule, samples, units, scratch
        self.rng = np.random.default_rng(seed)
        self.step, self.levels = 0, None
        self.clusters, self.positions, self.files = [], [], []

    def by_value(self, m, low, high):
        found = None
        for i in range(len(self.rows[m])):
            if low < self.values[m][i] <= high:
                row = np.copy(self.rows[m][i])
                found = row if found is None else np.concatenate((found, row))
        return found

    def by_percentile(self, m, low, high):
        each = self.samples // self.most
        start, end = each * low, self.samples if high == self.most else each * high
        found, at = None, 0
        for i in range(len(self.rows[m])):
            size = len(self.rows[m][i])
            if at + size > start:
                row = np.copy(self.rows[m][i][max(0, start - at):min(size, end - at)])
                found = row if found is None else np.concatenate((found, row))
            at += size
            if at >= end:
                break
        return found

    def save(self, path, ids):
        ids.tofile(path)
        return np.memmap(path, ids.dtype, "r")

    def change(self, before, now):
        pick = self.by_value if self.by == "value" else self.by_percentile
        least = float("-inf") if self.by == "value" else 0
        if len(now) == 1:
            ids = pick(0, before[0] if before else least, now[0])
        else:
            ids = None
            for m, level in enumerate(now):
                admitted = pick(m, least, level)
                ids = admitted if ids is None else np.intersect1d(ids, admitted, assume_unique=True)
            for cluster in self.clusters:
                ids = np.setdiff1d(ids, cluster, assume_unique=True)
        if ids is None or len(ids) == 0:
            return
        self.rng.shuffle(ids)
        self.files.append(f"{self.scratch}/{len(self.files)}")
        self.clusters.append(self.save(self.files[-1], ids))
        self.positions.append(0)

    def take(self, c, n):
        at = self.positions[c]
        ids = list(np.copy(self.clusters[c][at:at + n]))
        self.positions[c] = at + n
        if len(ids) < n:
            again = np.copy(self.clusters[c])
            self.rng.shuffle(again)
            os.remove(self.files[c])
            self.clusters[c] = self.save(self.files[c], again)
            self.positions[c] = n - len(ids)
            ids += list(np.copy(again[:n - len(ids)]))
        return ids

    def __iter__(self):
        while True:
            self.step += 1
            now = self.schedule(self.step)
            if now != self.levels:
                self.change(self.levels, now)
                self.levels = now
            sizes = [len(c) for c in self.clusters]
            total = sum(sizes)
            counts = np.bincount(self.rng.choice(len(sizes), self.units, p=[s / total for s in sizes]), minlength=len(sizes))
            ids = []
            for c, n in enumerate(counts):
                ids += self.take(c, n)
            self.rng.shuffle(ids)
            yield np.array(ids, dtype=np.int64).tolist()


def deepspeed_sampler(rows, values, by, most, schedule, samples, units, scratch, seed):
    """The original itself, over rows in its own files."""
    os.environ.setdefault("DS_BUILD_OPS", "0")
    os.environ.setdefault("DS_SKIP_CUDA_CHECK", "1")
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import torch
    from deepspeed.runtime.data_pipeline.data_sampling import data_sampler
    from deepspeed.runtime.data_pipeline.data_sampling.indexed_dataset import MMapIndexedDatasetBuilder
    from deepspeed.utils import logger
    logger.setLevel(logging.ERROR)
    torch.set_num_threads(1)

    class Alone:
        size = staticmethod(lambda: 1)
        broadcast = barrier = staticmethod(lambda *args, **kwargs: None)

    data_sampler.dist = Alone

    def write(path, dtype, items):
        builder = MMapIndexedDatasetBuilder(path + ".bin", dtype=dtype)
        for item in items:
            builder.add_item_numpy(item)
        builder.end_document()
        builder.finalize(path + ".idx")
        return path

    metrics = {}
    for m in range(len(rows)):
        metrics[f"m{m}"] = {
            "index_to_sample_path": write(f"{scratch}/rows{m}", np.uint32, rows[m]),
            "difficulty_type": by, "clustering_type": "schedule_based",
            "min_difficulty": schedule(1)[m], "max_difficulty": most, "schedule_type": "custom",
        }
        if by == "value":
            metrics[f"m{m}"]["index_to_metric_path"] = write(f"{scratch}/values{m}", np.int64, (np.array([v]) for v in values[m]))
    config = {"seed": seed, "data_sampling": {"num_epochs": 1000, "curriculum_learning": {
        "enabled": True, "data_cluster_path": scratch + "/clusters", "curriculum_metrics": metrics}}}
    sampler = data_sampler.DeepSpeedDataSampler(config, samples, units, 0, 1, Alone, 1, 0)
    sampler.set_custom_curriculum_learning_schedule({f"m{m}": lambda step, m=m: schedule(step)[m] for m in range(len(rows))})
    return sampler


class Bench:
    """A sampler under a schedule that takes the next level every so many steps."""

    def __init__(self, options):
        names = options.metrics.split(",")
        self.by, self.units, self.every, self.hold = options.by, options.units, options.every, options.hold
        self.levels = json.loads(options.levels)
        self.most = self.levels[-1]
        self.step = 0
        parts = [rows_of(options.index, name, options.by) for name in names]
        self.orders = [order for order, _, _, _ in parts]
        self.values = [np.load(f"{options.index}/values/{name}.npy", mmap_mode="r") for name in names]
        self.samples = len(self.orders[0])
        make = NumpySampler if options.numpy else deepspeed_sampler
        self.batches = iter(make(
            [Rows(order, starts, ends) for order, starts, ends, _ in parts], [values for _, _, _, values in parts],
            options.by, self.most, lambda step: [self.levels[self.level(step)]] * len(names),
            self.samples, options.units, options.scratch, options.seed))

    def level(self, step):
        return min((step - 1) // self.every, self.hold)

    def next(self):
        self.step += 1
        return next(self.batches)

    def check(self, ids):
        """The last batch is whole, and easy enough."""
        assert len(ids) == self.units, f"a batch of {len(ids)} ids"
        level = self.levels[self.level(self.step)]
        for order, values in zip(self.orders, self.values):
            most = level
            if self.by == "percentile":
                most = values[order[(self.samples if level == self.most else self.samples // self.most * level) - 1]]
            assert values[np.array(ids)].max() <= most, f"step {self.step} serves a sample above {most}"

    def draw(self, n):
        began = time.perf_counter()
        for _ in range(n):
            ids = self.next()
        seconds = time.perf_counter() - began
        self.check(ids)
        return {"seconds": seconds, "ids": n * self.units}

    def walk(self, n):
        change, other = [], []
        for _ in range(n):
            new = self.step == 0 or self.level(self.step + 1) != self.level(self.step)
            began = time.perf_counter()
            ids = self.next()
            (change if new else other).append(time.perf_counter() - began)
        self.check(ids)
        return {"change": timed(change), "other": timed(other)}


def timed(seconds):
    v = sorted(seconds)
    if not v:
        return {}
    return {"median": v[len(v) // 2], "p99": v[len(v) * 99 // 100], "max": v[-1], "mean": sum(v) / len(v), "steps": len(v)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--numpy", action="store_true", help="the steps in NumPy, not DeepSpeed")
    parser.add_argument("--index", required=True)
    parser.add_argument("--metrics", required=True, help="separated by commas")
    parser.add_argument("--by", choices=["value", "percentile"], required=True)
    parser.add_argument("--levels", required=True, help="JSON list of difficulties, rising; percentiles as parts of the last")
    parser.add_argument("--hold", type=int, required=True, help="level at which the curriculum stays")
    parser.add_argument("--every", type=int, required=True, help="steps of a level")
    parser.add_argument("--enter", type=int, default=0, help="steps to make before it is ready")
    parser.add_argument("--units", type=int, required=True, help="ids of a batch")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--scratch", required=True, help="directory for rows and clusters")
    options = parser.parse_args()

    shutil.rmtree(options.scratch, ignore_errors=True)
    os.makedirs(options.scratch)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")

    def say(answer):
        print(json.dumps(answer), file=out, flush=True)

    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
        bench = Bench(options)
        say(bench.walk(options.enter) if options.enter else {})
        for line in sys.stdin:
            request, n = line.split()
            say(bench.draw(int(n)) if request == "draw" else bench.walk(int(n)))
    shutil.rmtree(options.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
