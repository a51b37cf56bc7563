"""Holds an export of ours against DeepSpeed: python check.py INDEX EXPORT SCRATCH.

1. DeepSpeed's MMapIndexedDataset loads every file, with the values of INDEX.
2. DataAnalyzer, given the same values as its metric, on 2 workers of 2 processes, writes
   .bin files with the same bytes. It leaves them in SCRATCH.
3. DeepSpeed's data sampler draws from ours what it is asked for.
"""

import contextlib
import json
import os
import logging
import sys

import numpy as np
import torch
from deepspeed.runtime.data_pipeline.data_sampling import data_sampler
from deepspeed.runtime.data_pipeline.data_sampling.data_analyzer import DataAnalyzer
from deepspeed.runtime.data_pipeline.data_sampling.data_sampler import DeepSpeedDataSampler
from deepspeed.runtime.data_pipeline.data_sampling.indexed_dataset import MMapIndexedDataset
from deepspeed.utils import logger

logger.setLevel(logging.ERROR)
torch.set_num_threads(1)


class Alone:
    """The group and the communication of one process: nobody to send to."""

    size = staticmethod(lambda: 1)
    broadcast = barrier = staticmethod(lambda *args, **kwargs: None)


data_sampler.dist = Alone


class Ids(torch.utils.data.Dataset):
    """Sample i is its own id: the metric looks the value up."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return torch.tensor([i])


def load(prefix):
    return MMapIndexedDataset(prefix, skip_warmup=True)


def check_reader(prefix, values):
    """Every row as DeepSpeed reads it."""
    read = load(prefix + "_sample_to_metric")
    assert len(read) == len(values)
    assert all(read[i][0] == v and len(read[i]) == 1 for i, v in enumerate(values))
    metric, ids = load(prefix + "_index_to_metric"), load(prefix + "_index_to_sample")
    distinct = np.unique(values)
    assert len(metric) == len(ids) == len(distinct)
    for i, v in enumerate(distinct):
        assert metric[i][0] == v
        assert np.array_equal(ids[i], np.flatnonzero(values == v))
    merged = load(prefix + "_index_to_sample_percentile_merged")
    step = max(1, len(distinct) // 100)
    assert len(merged) == -(-len(distinct) // step)
    for k in range(len(merged)):
        assert np.array_equal(merged[k], np.concatenate([ids[i] for i in range(k * step, min((k + 1) * step, len(ids)))]))


def run_analyzer(name, kind, metric, n, scratch):
    """DeepSpeed's own files of a metric of n samples."""
    for worker in (0, 1):
        analyzer = DataAnalyzer(Ids(n), num_workers=2, worker_id=worker, num_threads=2, num_threads_reduce=1,
                                batch_size=300, metric_names=[name], metric_functions=[metric],
                                metric_types=[kind], metric_dtypes=[np.int64], save_path=scratch)
        analyzer.run_map()
    analyzer.run_reduce()


def compare(name, kinds, export, scratch):
    """Our .bin files and DeepSpeed's, byte for byte."""
    for kind in kinds:
        file = f"{name}/{name}_{kind}.bin"
        with open(f"{export}/{file}", "rb") as ours, open(f"{scratch}/{file}", "rb") as theirs:
            assert ours.read() == theirs.read(), f"{export}/{file} differs from DeepSpeed's"


def check_sampler(prefix, values, scratch):
    """A curriculum by value to the middle of the range, drawn by the real sampler."""
    low, half = int(values.min()), int(values.min() + (values.max() - values.min()) // 2)
    config = {"seed": 1, "data_sampling": {"num_epochs": 2, "curriculum_learning": {
        "enabled": True, "data_cluster_path": scratch + "/clusters", "curriculum_metrics": {"m": {
            "index_to_sample_path": prefix + "_index_to_sample", "index_to_metric_path": prefix + "_index_to_metric",
            "difficulty_type": "value", "clustering_type": "schedule_based",
            "min_difficulty": half, "max_difficulty": int(values.max()) + 1, "schedule_type": "fixed_discrete",
            "schedule_config": {"difficulty": [half, int(values.max()) + 1], "max_step": [3]}}}}}}
    sampler = DeepSpeedDataSampler(config, len(values), 4, 0, 1, Alone, 1, 0)
    steps = iter(sampler)
    for step in range(6):
        ids = np.array(next(steps))
        assert len(ids) == 4 and ids.max() < len(values)
        if step < 3:
            assert (values[ids] <= half).all(), (low, half, values[ids])
    cluster = sampler.data_clusters[0]
    assert sorted(cluster[0]) == list(np.flatnonzero(values <= half))


def check_token_counts(index, export, scratch):
    """The sum over all tokens, each counted once: sample i of 1000 is a thousandth of them."""
    with open(index + "/manifest.json") as f:
        corpus = json.load(f)["corpus"]
    with open(corpus["paths"][0] + ".json") as f:
        tokens = np.memmap(corpus["paths"][0] + ".bin", json.load(f)["dtype"], "r")
    cuts = np.linspace(0, len(tokens), 1001, dtype=int)

    def count(batch):
        ids = batch[:, 0].numpy()
        return np.bincount(tokens[cuts[ids[0]]:cuts[ids[-1] + 1]], minlength=corpus["vocabulary"])
    run_analyzer("total_vocab_freq", "accumulate_value_over_samples", count, 1000, scratch)
    compare("total_vocab_freq", ["metric_value"], export, scratch)
    counts = load(export + "/total_vocab_freq/total_vocab_freq_metric_value")
    assert len(counts) == 1 and counts[0].sum(dtype=np.int64) == len(tokens) == corpus["tokens"]


def check(name, values, export, scratch):
    """One metric, by all three."""
    prefix = f"{export}/{name}/{name}"
    check_reader(prefix, values)
    run_analyzer(name, "single_value_per_sample", lambda batch: values[batch[:, 0].numpy()], len(values), scratch)
    compare(name, ["sample_to_metric", "index_to_metric", "index_to_sample", "index_to_sample_percentile_merged"], export, scratch)
    if values.min() < values.max():
        check_sampler(prefix, values, f"{scratch}/{name}")


def main():
    index, export, scratch = sys.argv[1:]
    with open(export + "/gradus-export.json") as f:
        names = [m["name"] for m in json.load(f)["metrics"]]
    columns = {m: np.trunc(np.load(f"{index}/values/{m}.npy")).astype(np.int64) for m in names}
    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):  # five lines for each file it opens
        for name, values in columns.items():
            check(name, values, export, scratch)
        check_token_counts(index, export, scratch)
    distinct = ", ".join(f"{m} with {len(np.unique(v))} distinct values" for m, v in columns.items())
    print(f"check-deepspeed: ok: {export}: {len(values)} samples, {distinct}, and the counts of tokens: read, equal to DataAnalyzer's, sampled")


main()
