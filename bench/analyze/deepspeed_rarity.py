"""Vocabulary rarity by DeepSpeed's DataAnalyzer, timed, for the benchmark of gradus analyze.

Two analyses, as the published recipe for GPT makes them: the frequency of every token
(accumulate_value_over_samples), then the rarity of every sample (single_value_per_sample),
each a map and a reduce on as many processes as asked for. Where there is a choice, it is
the one that makes DeepSpeed faster:

- tokens come from a memory map of plain integers, without Megatron's lookup of documents;
- importing torch and DeepSpeed is not timed, nor is the table of -ln p between the passes;
- torch runs one thread in each process, so that the processes do not fight for the cores.

The result, {"map_seconds", "reduce_seconds", "samples", "mean", ...}, is written as JSON.
"""

import argparse
import json
import os
import time

os.environ.setdefault("DS_BUILD_OPS", "0")
os.environ.setdefault("DS_SKIP_CUDA_CHECK", "1")
os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed
import numpy as np
import torch
from deepspeed.runtime.data_pipeline.data_sampling.data_analyzer import DataAnalyzer
from deepspeed.runtime.data_pipeline.data_sampling.indexed_dataset import MMapIndexedDataset


class Windows(torch.utils.data.Dataset):
    """Samples of window + 1 tokens; neighbours share one."""

    def __init__(self, tokens, window):
        self.tokens, self.window = tokens, window

    def __len__(self):
        return (len(self.tokens) - 1) // self.window

    def __getitem__(self, i):
        start = i * self.window
        text = self.tokens[start:start + self.window + 1].astype(np.int64)
        # Without "index" DataAnalyzer numbers the samples of a dict wrongly.
        return {"text": text, "index": np.array([i], dtype=np.int64)}


def analyze(dataset, name, kind, function, options):
    """Runs one metric and returns the seconds of its map and of its reduce."""
    analyzer = DataAnalyzer(
        dataset,
        num_threads=options.processes,  # DataAnalyzer calls its processes threads
        num_threads_reduce=options.processes,
        batch_size=options.batch,
        metric_names=[name],
        metric_functions=[function],
        metric_types=[kind],
        metric_dtypes=[torch.int64],
        save_path=options.out,
    )
    began = time.perf_counter()
    analyzer.run_map()
    mapped = time.perf_counter()
    analyzer.run_reduce()
    return mapped - began, time.perf_counter() - mapped


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="file of tokens, nothing else")
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--vocabulary", type=int, required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--batch", type=int, default=10000)
    parser.add_argument("--out", required=True, help="directory for DataAnalyzer's files")
    parser.add_argument("--result", required=True, help="JSON file to write")
    options = parser.parse_args()

    torch.set_num_threads(1)
    tokens = np.memmap(options.bin, dtype=options.dtype, mode="r")
    dataset = Windows(tokens, options.window)

    def frequency(batch):
        return torch.bincount(batch["text"].view(-1), minlength=options.vocabulary + 1)

    count_map, count_reduce = analyze(
        dataset, "total_vocab_freq", "accumulate_value_over_samples", frequency, options)

    name = os.path.join(options.out, "total_vocab_freq", "total_vocab_freq_metric_value")
    frequencies = MMapIndexedDataset(name, skip_warmup=True)  # its rows die with it
    counts = np.maximum(frequencies[0].astype(np.float64), 1)
    nats = torch.from_numpy(-np.log(counts / counts.sum()))

    def rarity(batch):
        return nats[batch["text"]].sum(dim=1).to(torch.int64)

    score_map, score_reduce = analyze(
        dataset, "vocab_rarity", "single_value_per_sample", rarity, options)

    # Not timed: proof that the work was done.
    name = os.path.join(options.out, "vocab_rarity", "vocab_rarity_sample_to_metric")
    rows = MMapIndexedDataset(name, skip_warmup=True)
    values = np.fromfile(name + ".bin", dtype=rows[0].dtype)
    with open(options.result, "w") as out:
        json.dump({
            "deepspeed": deepspeed.__version__,
            "torch": torch.__version__,
            "map_seconds": [count_map, score_map],
            "reduce_seconds": [count_reduce, score_reduce],
            "seconds": count_map + count_reduce + score_map + score_reduce,
            "samples": len(values),
            "mean": float(values.mean()),
            "distinct": len(np.unique(values)),
        }, out)


if __name__ == "__main__":
    main()
