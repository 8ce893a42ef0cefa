"""Made-up samples of the experiments of torc-bench explain, and the run that they are in."""

import dataclasses
import types

import context  # noqa: F401
from lib import explain
from lib.lab import abuse, byhand, client, clients, compute, concurrent, database, faster, files, models, overload
from lib.lab import proxy, retries, sequence, stack
from lib.lab.flow import Seen, Slice
from lib.lab.trace import Trace
from lib.results import Run

SEEN = Seen(seconds=2.0, good=300, refused=0, given_up=0, failed=0, unsent=0, p50=0.001, p99=0.010, cpus=0.5)
NO_NODE = "Node.js: no program node: tools/setup --peers installs it"


def seen(rate=150.0, **more):
    """What became of a flow that was answered at this rate."""
    return dataclasses.replace(SEEN, good=round(rate * SEEN.seconds), **more)


def measures(concurrency, parallelism, asynchrony):
    return {"concurrency": concurrency, "parallelism": parallelism, "asynchrony": asynchrony}


def of_models():
    both = {"threads": (9_810, 0.41, 196.3, 0.2, 0.0), "epoll": (97_640, 0.93, 1960.1, 0.7, 0.9997)}
    both["io_uring"] = (98_120, 0.72, 1968.7, 0.61, 0.9998)
    taken = {}
    for name, (rate, cpus, *found) in both.items():
        by = measures(*found)
        taken[name] = seen(rate, p50=0.0203, p99=0.0251, mean=0.0204, cpus=cpus, measures=by), by
    return models.conclude(taken)


def of_compute():
    taken = {}
    for (name, where), p99 in zip(compute.WHERE.items(), (0.0008, 0.0131, 0.0031)):
        by = measures(0.4, 0.32 if where else 0.01, 0.9)
        light = seen(199, p50=0.0003, p99=p99, mean=0.0004, measures=by)
        taken[name] = [light] + [seen(30, p50=0.0109, p99=0.021, mean=0.011, measures=by)] * bool(where)
    return compute.conclude(taken)


def of_faster():
    rates = {"threads": 186.1, "epoll": 188.4, "io_uring": 189.2}
    return faster.conclude(
        {
            (what, name): [seen(rate, p50=0.0053, mean=0.0053, measures=measures(1.0, 0.2, 0.0))] * 3
            for what in faster.ASKED
            for name, rate in rates.items()
        }
    )


def of_sequence():
    times = {"HTTP calls": (0.1652, 0.0213), "database queries": (0.1671, 0.0427), "file reads": (0.00041, 0.0002)}
    by = measures(0.99, 0.01, 0.995)
    return sequence.conclude(
        {
            (what, name): seen(1 / p50, p50=p50, mean=p50, measures=by)
            for what, both in times.items()
            for name, p50 in zip(sequence.MODES, both)
        }
    )


def of_concurrent():
    found = [(3_980, 0.5021, measures(1991.4, 0.04, 0.9999)), (3_984, 0.5019, measures(1992.0, 0.05, 0.9999))]
    found += [(98, 0.0203, measures(1.99, 0.99, 0.5)), (192, 0.0104, measures(1.99, 1.96, 0.011))]
    both = zip(concurrent.SETTINGS, found)
    return concurrent.conclude({name: (seen(rate, mean=mean, measures=by), by) for name, (rate, mean, by) in both})


def of_overload():
    capacity, taken = 191.0, {}
    for times in overload.TIMES:
        for name, (good, p99) in zip(overload.SETTINGS, ((0.93, 2.9), (0.96, 0.031))):
            late = times > 1
            rate, p99 = (good * capacity, p99) if late else (times * capacity, 0.018 + 0.01 * times)
            refused = round((times - good) * capacity * 2) if late and name == "adaptive" else 0
            by = measures(120.0 if p99 > 1 else 3.1, min(times, 1), 0.9)
            more = {"refused": refused, "p50": p99 / 2, "p99": p99, "mean": p99 / 2, "measures": by}
            taken[f"{times:g}×", name] = seen(rate, **more)
    for name, p99 in zip(overload.SETTINGS, (0.021, 0.016)):
        taken["after a spike", name] = seen(95, p50=0.006, p99=p99, mean=0.007)
    return overload.conclude(capacity, seen(38, p50=0.0052, p99=0.0121), taken)


def of_abuse():
    taken = {}
    for name, p99 in zip(abuse.SETTINGS, (0.0112, 0.0124, 1.73)):
        good = seen(149, p50=p99 / 4, p99=p99, mean=p99 / 3, measures=measures(2.0, 0.2, 0.9))
        others = {"beside it, limited": [seen(101, refused=1790)], "beside it, no limit": [seen(620)]}
        taken[name] = [[good, *others.get(name, [])]] * 3
    return abuse.conclude(taken)


def of_database():
    found = {}
    for times in database.TIMES:
        for name in database.SETTINGS:
            by, rate, more = (
                measures(4.0 * times, 0.01, 0.999),
                200 * times,
                {"p50": 0.021, "p99": 0.064, "mean": 0.023},
            )
            if times > 1 and name == "no limits":
                by, rate, more = measures(391.0, 0.02, 0.9999), 1, {"p50": 0.97, "p99": 0.99, "mean": 0.9}
                more |= {"given_up": 790, "timeout": database.DEADLINE}
            elif times > 1:
                by, rate, more = measures(11.6, 0.02, 0.999), 196, {"p50": 0.058, "p99": 0.068, "mean": 0.059}
                more["refused"] = 408
            found[name, times] = seen(rate, measures=by, **more), by
    return database.conclude(found)


def of_client():
    taken = {}
    for name in clients.CLIENTS:
        steps = [0.1012 * n for n in range(client.COUNT + 1)]
        limit = client.LIMIT if name == "browser" else client.COUNT
        waves = [0.1012 * (n // limit) for n in range(client.COUNT)]
        both = {"seq": [(a, a, b) for a, b in zip(steps, steps[1:])], "all": [(0.0, a, a + 0.1012) for a in waves]}
        for mode, spans in both.items():
            peak = 1 if mode == "seq" else limit
            taken[name, mode] = client.Asked(sorted(end for *_, end in spans), peak, 0.0021, spans)
    return client.conclude(taken)


def of_files():
    taken = {}
    for name, on_disk in (("epoll", 0.214), ("epoll with threads", 0.0009), ("io_uring", 0.0008)):
        for kind, waits in zip(files.KINDS, (0.0012, on_disk)):
            also = {**measures(0.2, 0.05, 0.9), "waits": waits, "runs": 0.11, "looks": 1500, "absent": 0.0}
            light, sent = seen(199, p99=0.001 + waits / 10), seen(198, p50=0.0011)
            taken[name, kind] = light, sent, {**also, "absent": float(kind == "on disk")}
    return files.conclude(taken)


def slices(*parts):
    return [Slice(0.1, attempts, good) for count, attempts, good in parts for _ in range(count)]


def of_retries():
    """Of a core that can answer 190 requests/s."""
    taken = {}
    for name, end in zip(retries.SETTINGS, ((52, 1), (13, 13))):
        always = seen(60, slices=slices((20, 13, 13), (50, 50, 4), (60, *end)), refused=120, given_up=400)
        more = slices((50, 90, 12 if name == "adaptive" else 2), (20, 20, 1))
        taken[name] = always, seen(20, seconds=5.0, slices=more)
    return retries.conclude(190.0, 2.0, 3.0, taken)


def of_proxy():
    asked = {"light": (9_000, 0.1, 0.1), "waiting": (635, 63.4, 0.06), "computing": (196, 8.0, 0.98)}
    taken = {}
    for name in (proxy.DIRECT, *proxy.LABELS):
        far = name != proxy.DIRECT
        for what, (rate, held, running) in asked.items():
            mean = 0.0001 if what == "light" else 0.1005
            by = measures(held, running, 0.99)
            cpus = 1.9 if far else 0.9
            taken[name, what] = seen(rate / (1 + far), p50=mean, mean=mean, cpus=cpus, measures=by), by
    for name, more in (("nginx", {"failed": 9000, "mean": 0.1004}), ("haproxy", {"mean": 0.8})):
        by = measures(7.9, 0.01, 0.99)
        taken[name, "waiting, limited"] = seen(79, p50=more["mean"], **more, measures=by), by
    return proxy.conclude(taken)


def stack_taken():
    """Seven requests a mode through five layers."""
    spells = {
        "apart": {"client": (0, 152), "proxy": (1, 150), "server": (2, 148), "service": (4, 65), "database": (65, 146)},
        "together": {"client": (0, 91), "proxy": (1, 89), "server": (2, 87), "service": (4, 65), "database": (4, 85)},
    }
    parts = [("queue", 2.0, 2.1), ("run", 2.1, 3.0), ("upstream", 3.0, 86.0), ("run", 86.0, 87.0)]
    told = {"run": 1.5, "wait": 144.0, "core": 0.0}
    traces = {
        words: [Trace(f"{number:032x}", {name: tuple(map(float, one)) for name, one in found.items()}, parts, told)] * 7
        for number, (words, found) in enumerate(zip(stack.MODES, spells.values()), 1)
    }
    return stack.Taken("browser", "nginx", traces, dict.fromkeys(stack.MODES, measures(0.5, 0.005, 0.99)))


def of_stack():
    return stack.conclude(stack_taken())


FINDINGS = {
    "client": of_client,
    "concurrent": of_concurrent,
    "models": of_models,
    "compute": of_compute,
    "faster": of_faster,
    "sequence": of_sequence,
    "files": of_files,
    "overload": of_overload,
    "abuse": of_abuse,
    "database": of_database,
    "retries": of_retries,
    "proxy": of_proxy,
}


def repeat():
    """The commands of an experiment that asked one server."""
    found = byhand.Repeat()
    found.started("http://127.0.0.1:40001", ["torc-lab", "--engine", "epoll", "--listen", "127.0.0.1:0"])
    found.asked("http://127.0.0.1:40001", [models.Flow("/delay/20", 2000, 4.0)], "torc-load")
    return found


def entries(names=tuple(FINDINGS)):
    """What a file has of these experiments."""
    found = []
    for name in names:
        missing = {NO_NODE: None} if name == "models" else {}
        stage = types.SimpleNamespace(missing=missing, repeat=repeat())
        watch = types.SimpleNamespace(seconds=20.0, share=0.04)
        found.append(explain.entry(explain.CLAIMS[name], FINDINGS[name](), stage, watch))
    return found


def run(started, finished, environment, names=tuple(FINDINGS), without="database"):
    """A whole run; one experiment lacks what it needs."""
    made = Run("explain", explain.QUESTION, started, finished, 312.0, ["bench/torc-bench", "explain"])
    made.options, made.environment = {"quick": False}, environment
    found = entries([name for name in names if name != without])
    lacking = [{**explain.about(explain.CLAIMS[without]), "why": "needs PostgreSQL (tools/setup)"}] if without else []
    made.extra = {"experiments": found, "left_out": lacking}
    made.conclusions = [explain.answer(found), *(one["verdict"] for one in found)]
    made.notes = ["server and load share 2 CPUs: for a server of 2 cores use a machine with 3 or more"]
    return made
