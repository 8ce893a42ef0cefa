"""Who may include whom: the list of layers in the order of the architecture, and its exceptions.

An arrow points down the list only, so what is below never knows what is above it. The tables are
what the architecture says; where the sources differ, either they or the architecture are mended.
"""

import ast
import re
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SRC = TOP / "src"
LIB = TOP / "bench" / "lib"

# From the bottom up. A file may include its own layer and those before it.
LAYERS = ["base", "io", "task", "http", "files", "client", "serve"]

# Programs beside serve, with what they may include besides their own files.
BESIDE = {
    "load": {"base", "io", "http", "client"},
    "lab": set(),  # a plain user of the public API, who knows no folder of ours
    "main.c": set(),
}

# Which layers may include the public header. What knows nothing above it does not know that either.
PUBLIC = {"task", "http", "files", "client", "serve", "load", "lab", "main.c"}

# System headers that belong to few files: no other includes them.
OWNERS = {
    "liburing.h": "io/uring*",
    "libpq-fe.h": "*/pg*",  # torc-lab asks it what is wrong with --pg
    "hiredis.h": "client/redis*",
    "sys/epoll.h": "io/epoll*",
}
# And those that one file alone includes, whichever that is.
SINGLE = {"llhttp.h"}

# Headers that stay within a layer, for those who implement its contract.
PRIVATE = {"io/engine.h": "io"}

# The engines, which never include each other.
ENGINES = ["io/uring*", "io/epoll*", "io/threads*"]

# What the public headers may include: the standard's.
STANDARD = {
    "errno.h",
    "inttypes.h",
    "limits.h",
    "stdarg.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "sys/types.h",
    "sys/uio.h",
    "torc.h",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.M)


def includes(path):
    """The names in a file's #include lines: quoted ones, then those in angle brackets."""
    found = INCLUDE.findall(path.read_text(encoding="utf-8"))
    return [own for own, _ in found if own], [system for _, system in found if system]


def sources():
    """Every C file in src by its name there."""
    return {str(path.relative_to(SRC)): path for path in sorted(SRC.rglob("*.[ch]"))}


def layer_of(name):
    return name.split("/")[0]


def may_include(above, below):
    """Whether a file in one layer may include one in the other."""
    if above == below:
        return True
    if above in BESIDE:
        return below in BESIDE[above]
    return above in LAYERS and below in LAYERS and LAYERS.index(below) < LAYERS.index(above)


def reached(graph, start):
    """The nodes of a graph, which maps names to sets of names, that a way leads to from one."""
    seen, ahead = set(), [start]
    while ahead:
        new = graph.get(ahead.pop(), set()) - seen
        seen |= new
        ahead += new
    return seen


def circles(graph):
    """The sets of nodes that all reach each other; empty where there is no circle."""
    from_each = {node: reached(graph, node) for node in graph}
    found = []
    for node in sorted(graph):
        one = {other for other in from_each[node] if node in from_each.get(other, ())}
        if one and one not in found:
            found.append(one)
    return found


class CLayers(unittest.TestCase):
    """The #include lines of src and include."""

    def setUp(self):
        self.files = sources()
        self.own = {name: [self.resolved(name, one) for one in includes(path)[0]] for name, path in self.files.items()}
        self.system = {name: includes(path)[1] for name, path in self.files.items()}

    def resolved(self, name, include):
        """The lab names its own files as a stranger's program does; all others name them from the top."""
        beside = f"{layer_of(name)}/{include}"
        return beside if layer_of(name) == "lab" and beside in self.files else include

    def none(self, wrong):
        self.assertFalse(wrong, "\n  " + "\n  ".join(wrong))

    def edges(self):
        """Each include of one of our files, as its own path."""
        for name, names in self.own.items():
            for other in names:
                yield name, other

    def test_every_layer_is_known(self):
        known = set(LAYERS) | set(BESIDE)
        self.none([name for name in self.files if layer_of(name) not in known])

    def test_includes_name_files_from_the_top_of_src(self):
        self.none([f"{a} includes {b}" for a, b in self.edges() if b not in self.files and not self.is_public(b)])

    @staticmethod
    def is_public(name):
        return name == "torc.h" or name.startswith("torc/")

    def test_arrows_point_down(self):
        self.none(
            [
                f"{a} includes {b}"
                for a, b in self.edges()
                if b in self.files and not may_include(layer_of(a), layer_of(b))
            ]
        )

    def test_who_knows_the_public_header(self):
        self.none([f"{a} includes {b}" for a, b in self.edges() if self.is_public(b) and layer_of(a) not in PUBLIC])

    def test_owners_of_system_headers(self):
        wrong = []
        for name, headers in self.system.items():
            for header in headers:
                owner = next((files for key, files in OWNERS.items() if header == key), None)
                if owner and not Path(name).match(owner):
                    wrong.append(f"{name} includes {header}, which is for {owner}")
        self.none(wrong)

    def test_headers_of_a_single_file(self):
        for header in SINGLE:
            users = [name for name, headers in self.system.items() if header in headers]
            self.assertLessEqual(len(users), 1, f"{header} is included by {', '.join(users)}")

    def test_private_headers_stay_at_home(self):
        self.none([f"{a} includes {b}" for a, b in self.edges() if b in PRIVATE and layer_of(a) != PRIVATE[b]])

    def test_engines_do_not_know_each_other(self):
        def engine(name):
            return next((one for one in ENGINES if Path(name).match(one)), None)

        self.none([f"{a} includes {b}" for a, b in self.edges() if engine(a) and engine(b) not in (None, engine(a))])

    def test_no_circle_of_headers(self):
        self.assertEqual(circles({name: {b for b in names if b in self.files} for name, names in self.own.items()}), [])

    def test_no_new_circle_of_files(self):
        def stem(name):
            return name.rsplit(".", 1)[0]

        graph = {}
        for name, names in self.own.items():
            others = {stem(b) for b in names if b in self.files}
            graph.setdefault(stem(name), set()).update(others - {stem(name)})
        found = circles(graph)
        self.none([" ".join(sorted(one)) for one in found])

    def test_public_headers_need_standard_headers_alone(self):
        wrong = []
        for path in sorted((TOP / "include").rglob("*.h")):
            own, system = includes(path)
            wrong += [f"{path.relative_to(TOP)} includes {b}" for b in own + system if b not in STANDARD]
        self.none(wrong)


class PythonLayers(unittest.TestCase):
    """The imports of the bench's modules, those under `if TYPE_CHECKING` and in functions too."""

    @staticmethod
    def name_of(path):
        parts = path.relative_to(LIB).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "lib"

    def imports(self, path, modules):
        """The modules of the bench that one imports, by name."""
        parts = path.relative_to(LIB).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or node.level == 0:
                continue
            package = list(parts[: len(parts) - node.level])
            base = package + (node.module.split(".") if node.module else [])
            for alias in node.names:
                for name in (base + [alias.name], base):
                    if ".".join(name) in modules:
                        yield ".".join(name)
                        break

    def test_no_circle_of_modules(self):
        modules = {self.name_of(path): path for path in sorted(LIB.rglob("*.py"))}
        graph = {name: set(self.imports(path, modules)) - {name} for name, path in modules.items()}
        self.assertGreater(sum(map(len, graph.values())), len(modules), "hardly any import is found")
        self.assertEqual(circles(graph), [])

    def test_packages_are_imported_relatively(self):
        """An absolute import of our own would not be seen above."""
        for path in LIB.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                self.assertFalse([n for n in names if n.split(".")[0] == "lib"], path)


if __name__ == "__main__":
    unittest.main()
