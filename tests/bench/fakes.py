"""Stand-ins for a build directory: servers that answer, and a torc-load that makes up figures.

build(directory) fills it, and the executables in it call main(). A run starts dozens of them, so
they import little and what is compiled already. What they do otherwise is in the environment:
FAKE_STUCK is the number of the load that does not end by itself, FAKE_ERRORS the engine whose
replies fail, FAKE_UNLIKE the one that answers otherwise, FAKE_FULL the one whose load has no CPU
left, FAKE_UNSENT the one that cannot keep up with a rate, FAKE_WAITS the one that answers delays late, FAKE_REFUSES the
server that ends before it is ready.
"""

import json
import os
import re
import signal
import socket
import sys
import threading
import time

COST_NS = {"io_uring": 5000, "epoll": 5500, "floor-uring": 4800, "floor-epoll": 5200}
PER_SECOND = 100_000
HELLO = b"Hello, World!"
STUCK_SECONDS = 60  # longer than a load is waited for


def executable(path, text):
    """Writes a script."""
    with open(path, "w") as out:
        out.write(text)
    os.chmod(path, 0o755)


def build(directory):
    """Fills a directory with executables that play the parts of the real ones."""
    import py_compile  # only here: none of them needs it

    source = os.path.join(directory, "src")
    os.makedirs(source)
    py_compile.compile(__file__, os.path.join(source, "fakes.pyc"), doraise=True)
    for role in ("torc-lab", "torc-load", "floor-uring", "floor-epoll"):
        executable(os.path.join(source, role), f"#!{sys.executable} -BSE\nimport fakes\n" f"fakes.main({role!r})\n")
    return directory


def tools(directory):
    """A directory for the front of PATH. Every run asks java for its version and its modules, which
    takes longest of all that it asks."""
    os.makedirs(directory)
    said = "21.0.1 jdk.compiler@21 jdk.httpserver@21"
    executable(os.path.join(directory, "java"), f"#!/bin/sh\necho {said}\n")
    return directory


def value_of(arguments, name, default=None):
    """The last value of an option."""
    found = [arguments[i + 1] for i, word in enumerate(arguments[:-1]) if word == name]
    return found[-1] if found else default


def reply(method, path, body, root, engine):
    """A body for a request."""
    route = path.partition("?")[0]
    if route == "/fake":
        return json.dumps({"engine": engine, "pid": os.getpid()}).encode()
    if route == "/plaintext":
        return b"Hello, Moon!!" if os.environ.get("FAKE_UNLIKE") == engine else HELLO
    if route == "/json":
        return b'{"message":"Hello, World!"}'
    if route == "/baseline11":
        numbers = [int(one) for one in re.findall(r"=(\d+)", path)]
        return str(sum(numbers) + (int(body) if method == "POST" else 0)).encode()
    if route.startswith("/delay/"):
        return route.removeprefix("/delay/").encode()
    if route == "/upload":
        return str(len(body)).encode()
    if route.startswith("/static/") and root:
        with open(os.path.join(root, route.removeprefix("/static/")), "rb") as file:
            return file.read()
    return None


def serve_one(connection, root, engine, counts):
    """Answers until the peer leaves."""
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            method, path = line.decode().split()[:2]
            length, chunked = 0, False
            while (field := stream.readline().strip().lower()) != b"":
                if field.startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
                chunked = chunked or field == b"transfer-encoding: chunked"
            body = stream.read(length)
            while chunked and (size := int(stream.readline(), 16)):
                body += stream.read(size)
                stream.readline()
            if chunked:
                stream.readline()
            counts["requests"] += 1
            counts["syscalls"] += 2
            counts["cqes"] += 8
            counts["turns"] += 4
            if path == "/stats.json":
                answer = json.dumps({"total": counts}).encode()
            else:
                answer = reply(method, path, body, root, engine)
            status = "200 OK" if answer is not None else "404 Not Found"
            answer = answer or b""
            head = f"HTTP/1.1 {status}\r\nServer: torc\r\nContent-Length: {len(answer)}\r\n\r\n"
            connection.sendall(head.encode() + answer)


def listen(port=0):
    """A listener on loopback."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    return listener, listener.getsockname()[1]


def accept(listener, *more):
    """Serves every connection on a thread of its own."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_one, args=(connection, *more), daemon=True).start()


def server(role, arguments):
    """torc-lab or a floor."""
    engine = value_of(arguments, "--engine", role)
    if engine == "threads":
        print("torc: --engine takes one of io_uring, epoll: threads is not built in", file=sys.stderr)
        sys.exit(2)
    if "--dpeth" in arguments:
        print("torc: unknown option --dpeth, did you mean --depth?", file=sys.stderr)
        sys.exit(2)
    if "--check" in arguments:
        if int(value_of(arguments, "--cores", "1")) > len(os.sched_getaffinity(0)):
            print("torc: --cores: this process may use fewer CPUs", file=sys.stderr)
            sys.exit(2)
        sys.exit(0)
    if os.environ.get("FAKE_REFUSES") == engine:
        print("floor: a ring: Invalid argument", file=sys.stderr)
        sys.exit(1)
    counts = {"requests": 0, "syscalls": 0, "cqes": 0, "turns": 0, "cq_overflows": 0, "buffers_short": 0}
    listener, port = listen()
    more = (value_of(arguments, "--root"), engine, counts)
    if role == "torc-lab":
        admin, admin_port = listen()
        threading.Thread(target=accept, args=(admin, *more), daemon=True).start()
        print(f"torc: admin http://127.0.0.1:{admin_port}", file=sys.stderr)
    print(f"torc: ready http://127.0.0.1:{port} engine={engine}", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    accept(listener, *more)


def ask(url, path):
    """One answer's body."""
    host, port = url.removeprefix("http://").partition("/")[0].split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: fake\r\n\r\n".encode())
        with connection.makefile("rb") as stream:
            length = 0
            while (field := stream.readline().strip().lower()) != b"":
                if field.startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
            return stream.read(length)


def record(scale):
    """A latency record around scale ns."""
    points = [("min", 0.5), ("p50", 1), ("p75", 1.2), ("p90", 1.5), ("p99", 2), ("p99.9", 3), ("p99.99", 4), ("max", 5)]
    return {
        "count": 1000,
        "mean": scale * 1.1,
        **{key: int(scale * by) for key, by in points},
        "histogram": [[int(scale * by), 100] for _, by in points],
    }


def load(arguments):
    """torc-load: asks once, and reports what COST_NS says of the engine it found."""
    url = arguments[-1]
    engine = json.loads(ask(url, "/fake") or b'{"engine": "unknown"}')["engine"]
    with open(sys.argv[0] + ".count", "a") as count:
        count.write("x")
        if count.tell() == int(os.environ.get("FAKE_STUCK", "0")):
            time.sleep(STUCK_SECONDS)
    seconds = float(value_of(arguments, "--duration").removesuffix("ms")) / 1000
    rate = float(value_of(arguments, "--rate", "0"))
    cost = COST_NS.get(engine, 6000)
    most = PER_SECOND * 5000 / cost
    if delay := re.search(r"/delay/(\d+)$", url):
        reached = 0.62 if os.environ.get("FAKE_WAITS") == engine else 0.97
        most = int(value_of(arguments, "--connections")) * 1000 / int(delay[1]) * reached
    requests = round((rate or most) * seconds)
    failed = 3 if os.environ.get("FAKE_ERRORS") == engine else 0
    full = os.environ.get("FAKE_FULL") == engine
    errors = {"connect": 0, "reset": 0, "timeout": failed, "status": 0, "framing": 0, "body": 0}
    report = {
        "format": 1,
        "program": "torc-load fake",
        "engine": "epoll",
        "cores": 1,
        "connections": int(value_of(arguments, "--connections")),
        "pipeline": 1,
        "mode": "open" if rate else "closed",
        "rate": rate,
        "arrivals": "constant",
        "seconds": seconds,
        "requests": requests,
        "answered": requests,
        "requests_total": requests * 2,
        "per_second": requests / seconds,
        "bytes_in": 0,
        "bytes_out": 0,
        "connects": 8,
        "unsent": 1000 if rate and os.environ.get("FAKE_UNSENT") == engine else 0,
        "status": {"200": requests},
        "errors": errors,
        "errors_measured": errors,
        "latency_ns": {"corrected": record(cost * 200), "raw": record(cost * 190)},
        "cpu": {
            "user_ns": requests * 1000,
            "system_ns": requests * 2000,
            "share": 1.0 if full else 0.5,
            "waited_share": 0.03,
            "ns_per_request": 3000.0,
        },
        "io": {"enters": 1, "syscalls": 1, "sqes": 1, "cqes": 1},
        "watch": {
            "cpu_ns": requests * cost,
            "waited_ns": int(seconds * 2e7),
            "slices": [[requests, requests * cost, 10**8]],
        },
        "saturated": full,
        "advice": "give the load --cores 2" if full else None,
    }
    with open(value_of(arguments, "--json"), "w") as out:
        json.dump(report, out)
    sys.exit(1 if failed else 0)


def main(role):
    """One of the executables."""
    if role == "torc-load":
        load(sys.argv[1:])
    else:
        server(role, sys.argv[1:])
