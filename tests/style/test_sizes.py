"""Files small enough to read whole, functions that fit a screen, and a test for its file by name."""

import re
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FILE_LINES = 450
FUNCTION_LINES = 70

# Tests in C whose name is not that of a file beside them in src, and what they are of.
OTHER_TESTS = {
    "base/wheel_model": "the wheel against a model of it",
    "base/option_config": "option.c on config files",
    "client/pg_faults": "handlers whose PostgreSQL is not well",
    "files/static_cache": "static.c with a cache, in a server",
    "files/static_change": "static.c while files change, in a server",
    "files/static_disk": "body.c and pages.c on a slow disk, in a server",
    "files/static_range": "static.c on ranges, in a server",
    "files/static_refused": "body.c and by_file.c where the kernel refuses, in a server",
    "http/router_add": "what router.c takes and refuses",
    "http/router_model": "the router against a model of it",
    "http/target_parts": "how target.c cuts a target",
    "io/accept_again": "an engine whose accept does not wait",
    "io/backlog": "an engine whose kernel takes no more",
    "io/engine": "every engine, by subject",
    "io/old_kernel": "an engine on a kernel that it does not take",
    "io/wake": "an engine that other threads wake",
    "load/plan_requests": "plan.c on the requests that a command line describes",
    "serve/disk": "the access log, and a reload, on a disk that hangs, in a server",
    "serve/access_ends": "whole servers",
    "serve/access_refused": "whole servers",
    "serve/access_rotation": "whole servers",
    "serve/asking": "handlers that ask, in a server",
    "serve/client_limits": "whole servers",
    "serve/closing": "programs that close what is the server's",
    "serve/connecting": "handlers that connect to another server",
    "serve/deadlines": "whole servers",
    "serve/descriptors": "whole servers",
    "serve/drain": "whole servers",
    "serve/faults": "whole servers",
    "serve/files": "handlers that write and send files, in a server",
    "serve/fetching": "handlers that ask another server over HTTP",
    "serve/idle": "whole servers",
    "serve/lab": "whole servers",
    "serve/lab_fetch": "routes of torc-lab that ask an HTTP server, and its JSON",
    "serve/lab_page": "the page of torc-lab, its files and links",
    "serve/lab_pg": "routes of torc-lab that ask PostgreSQL",
    "serve/lab_stack": "the route of torc-lab that asks an HTTP server and PostgreSQL",
    "serve/lab_redis": "queues of torc-lab in Redis",
    "serve/peers": "handlers that ask who their client is, in a server",
    "serve/proxy_protocol": "whole servers",
    "serve/read_rate": "whole servers",
    "serve/lifecycle": "whole servers",
    "serve/forking": "handlers that fork, in a server",
    "serve/embedding": "a server inside a program of its own",
    "serve/exceptions": "handlers in C++",
    "serve/layers": "middleware, and functions for errors and ends, in a server",
    "serve/limits": "whole servers",
    "serve/burst": "whole servers",
    "serve/memory": "whole servers",
    "serve/metrics": "whole servers",
    "serve/no_memory": "servers that start without memory for all",
    "serve/queue": "whole servers",
    "serve/shed": "whole servers",
    "serve/refused": "whole servers",
    "serve/uploading": "long bodies that handlers receive into their own memory, in a server",
    "serve/replying": "handlers that reply in every way, in a server",
    "serve/refused_later": "whole servers",
    "serve/refused_memory": "whole servers",
    "serve/roots": "files below several directories, in a server",
    "serve/thread_each": "the engine threads, in a server",
    "serve/threads": "whole servers",
    "serve/timing": "Server-Timing, of a server",
    "serve/whole": "large responses at once, in a server",
    "serve/unix_sockets": "whole servers",
    "serve/working": "what leaves a core and comes back, in a server",
    "task/tree": "scope.c and group.c: what cancels what",
    "wire/account": "requests that end, on the engine in memory",
    "wire/bodies": "who reads a body, on the engine in memory",
    "wire/broken": "the wire cases with a client that ends anywhere",
    "wire/drain": "until when a drain waits for a request, on the engine in memory",
    "wire/forms": "forms of both types, on the engine in memory",
    "wire/files": "handlers that use files, on the engine in memory",
    "wire/cancel": "handlers that are cancelled anywhere, on the engine in memory",
    "wire/handler": "handlers on the engine in memory",
    "wire/lifetime": "what the three measures are made of, on the engine in memory",
    "wire/replies": "replies of every kind, on the engine in memory",
    "wire/wire": "the wire cases",
}


def small_files():
    """The files whose size is bounded."""
    for folder, pattern in (("src", "*.[ch]"), ("bench/lib", "*.py")):
        yield from sorted((TOP / folder).rglob(pattern))


def functions(text):
    """Each function of C as clang-format leaves it: the line that begins it, and how many it has."""
    lines, start = text.split("\n"), None
    for number, line in enumerate(lines):
        if re.match(r"[A-Za-z_].*\(", line):
            start = number
        elif line == "}" and start is not None:
            yield lines[start], number - start + 1
            start = None
        elif line.startswith("}"):
            start = None


class Sizes(unittest.TestCase):
    def test_files(self):
        wrong = []
        for path in small_files():
            name, lines = str(path.relative_to(TOP)), path.read_text(encoding="utf-8").count("\n")
            if lines > FILE_LINES:
                wrong.append(f"{name} has {lines} lines, more than {FILE_LINES}")
        self.assertFalse(wrong, "\n  " + "\n  ".join(wrong))

    def test_functions(self):
        wrong, seen = [], 0
        for path in sorted((TOP / "src").rglob("*.[ch]")):
            for first, lines in functions(path.read_text(encoding="utf-8")):
                seen += 1
                if lines > FUNCTION_LINES:
                    wrong.append(f"{path.relative_to(TOP)} has {lines} lines in {first}")
        self.assertFalse(wrong, "\n  " + "\n  ".join(wrong))
        self.assertGreater(seen, 500, "hardly any function is found")

    def test_the_list_holds_nothing_else(self):
        gone = [n for n in OTHER_TESTS if not self.path_of(n).exists()]
        self.assertEqual(gone, [], "these can go from the list")

    @staticmethod
    def path_of(name):
        folder, _, base = name.rpartition("/")
        return TOP / "tests" / folder / f"test_{base}.c"

    def test_each_test_has_a_file(self):
        wrong = []
        for path in sorted((TOP / "tests").rglob("test_*.c")):
            name = str(path.relative_to(TOP / "tests").with_name(path.name[len("test_") : -len(".c")]))
            if name not in OTHER_TESTS and not any((TOP / "src" / (name + end)).exists() for end in (".c", ".h")):
                wrong.append(name)
        self.assertFalse(wrong, "neither src nor this test knows: " + ", ".join(wrong))


if __name__ == "__main__":
    unittest.main()
