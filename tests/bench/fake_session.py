"""A session without servers: its samples are computed from planted costs, noise and drift."""

import argparse
import dataclasses
import math
import random

import context  # noqa: F401
from lib import results, workloads


HELP = """Usage: torc-lab [OPTION]...

Engine and cores
  --engine NAME               how to talk to the kernel (default the best
                              that works)
  --[no-]pin                  each core's thread stays on its CPU (default yes)
  --depth N                   submission queue entries of a ring (default 512)
  --cq-depth N                completion queue entries of a ring; 0: 8 times --depth, at least 4096
                              (default 0)
  --buffers N                 receive buffers of a core (default 1024)
  --buffer-size SIZE          bytes of a receive buffer (default 4k)
  --iowq-workers N            kernel worker threads of a ring at most (default 4)

Features of the io_uring engine (each can be switched off)
  --[no-]single-issuer        only the core's thread submits to its ring (default yes)
  --[no-]defer-taskrun        completion work runs when the core waits; needs single-issuer (default
                              yes)
  --[no-]coop-taskrun         where defer-taskrun is off (default yes)
  --[no-]sqarray              has an index array, as before Linux 6.6; yes costs an
                              indirection (default no)
  --[no-]buf-ring             the kernel picks receive buffers from a ring (default yes)
  --[no-]multishot            one accept and one recv bring many completions (default yes)
  --[no-]direct               sockets live in the ring's own table (default yes)

Limits
  --[no-]other                something else (default yes)
"""
FEATURES = ["single-issuer", "defer-taskrun", "coop-taskrun", "no-sqarray", "buf-ring", "multishot", "direct"]


class FakeSession:
    """Takes the place of session.Session. cost(variant, workload) is in ns, None makes samples
    invalid; more(variant) gives further fields of a sample."""

    def __init__(
        self, options, cost, more=lambda variant: {}, noise=0.004, drift=0.05, seed=1, affinity=range(1000, 1008)
    ):  # CPUs that no machine here has as siblings
        self.options, self.cost, self.more, self.noise_level = options, cost, more, noise
        self.drift, self.seed = drift, seed
        self.affinity = list(affinity)
        self.run = results.Run("test", "test", "2026-01-01T00:00:00+0000")
        self.calls, self.saves, self.expected, self.refused = [], 0, 0, []
        self.measured = 0  # samples
        self.stop_after = math.inf  # samples, then Ctrl-C

    def pairs(self, workload):
        quick = self.options.quick
        return self.options.pairs or (workload.quick_pairs if quick else workload.pairs)

    def seconds(self, workload):
        return self.options.seconds or workload.seconds

    def sized(self, workload):
        return dataclasses.replace(workload, connections=self.options.connections or workload.connections)

    def note(self, text):
        if text not in self.run.notes:
            self.run.notes.append(text)

    def expect(self, samples):
        self.expected += samples

    def refuse_missing(self, variants):
        self.refused += variants

    def save(self):
        self.saves += 1

    def noise(self, workload, variant, pairs, seconds):
        again = dataclasses.replace(variant, name=f"{variant.name} (again)", label=f"{variant.label} (again)")
        return self.cell("noise", workload, (variant, again), pairs, seconds, {"purpose": "A/A"})

    def cell(self, id, workload, variants, pairs, seconds, factors=None, metrics=(), count_syscalls=False):
        self.calls.append((id, pairs, tuple(variant.name for variant in variants)))
        found = self.run.cell(id)
        if found is not None and found.complete:
            return found
        if found is not None:
            self.run.cells.remove(found)
        sides = [dataclasses.asdict(variant) for variant in variants]
        cell = results.Cell(id, dataclasses.asdict(workload), dict(factors or {}), sides, pairs)
        self.run.cells.append(cell)
        source = random.Random(f"{self.seed} {id}")
        for number in range(pairs):
            shared = 1 + self.drift * source.uniform(-1, 1)
            for order, variant in enumerate(variants):
                if self.measured >= self.stop_after:
                    raise KeyboardInterrupt
                self.measured += 1
                cell.samples.append(self._sample(variant, workload, number, order, shared, source))
        cell.complete = True
        return cell

    def _sample(self, variant, workload, number, order, shared, source):
        cost = self.cost(variant, workload)
        noise = source.gauss(1, self.noise_level)
        if cost is None:
            return results.Sample(variant.name, number, order, 0.0, invalid="planted")
        cost *= shared * noise
        rate, whole = variant.cores * 1e9 / cost, (1.0, None, 100_000)
        found = results.Sample(variant.name, number, order, 0.0, *whole, rate, int(cost * 100_000), cost)
        found.saturated, found.latency_us = "server", {"p99": cost / 5}
        return dataclasses.replace(found, **self.more(variant))


def parse(module, *arguments):
    """The options of a subcommand, as the command line gives them."""
    parser = argparse.ArgumentParser(prog=module.__name__)
    module.add_options(parser)
    build = [] if "--build" in arguments else ["--build", str(context.TOP)]
    return parser.parse_args([*build, *arguments])


def workload(name):
    return workloads.WORKLOADS[name]
