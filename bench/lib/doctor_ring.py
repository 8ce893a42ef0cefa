"""What this kernel's io_uring gives, or why it gives nothing, as the built server tells it."""

import json
from typing import Any, Iterator

from . import program
from .features import HIDDEN_BY
from .finding import Finding, find
from .host import Machine, size

LOCKED_ENOUGH = 1 << 20  # bytes: below this a want of memory is the limit's doing
SMALL_LIMIT = 64 << 10
LARGE = 4096  # entries: the deepest ring that a sweep asks for by itself
CAP_SYS_ADMIN = 21

# Kernels from which on a feature is there, for the words of what is missing and nothing else.
SINCE = {
    "single-issuer": "6.0",
    "defer-taskrun": "6.1",
    "coop-taskrun": "5.19",
    "no-sqarray": "6.6",
    "submit-all": "5.18",
    "ring-fd": "5.18",
    "buf-ring": "5.19",
    "multishot": "6.0",
    "direct": "5.19",
    "iowq-cap": "5.15",
    "restrict": "5.10",
}


def ask(server: str) -> dict[str, Any] | str:
    """What a server says of its io_uring engine on this kernel; a line where it says nothing."""
    said = program.ask(server, "--check", "--json", "--depth", str(LARGE))
    try:
        return dict(json.loads(said.text)["engines"]["io_uring"])
    except (ValueError, KeyError, TypeError):
        return said.why


def _switched_off(machine: Machine) -> int:
    """kernel.io_uring_disabled where it concerns this process: 1 excepts a group and the able."""
    value = machine.sysctl("kernel.io_uring_disabled") or 0
    able = int(machine.status("CapEff") or "0", 16) >> CAP_SYS_ADMIN & 1
    member = str(machine.sysctl("kernel.io_uring_group")) in (machine.status("Groups") or "").split()
    return 0 if value == 1 and (able or member) else value


def _disabled(value: int, machine: Machine) -> Finding:
    group = machine.sysctl("kernel.io_uring_group")
    also = ", or set kernel.io_uring_group to a group of yours" if value == 1 else ""
    if value == 1 and group is not None and group >= 0:
        also = f", or join group {group}"
    others = {1: "processes without CAP_SYS_ADMIN", 2: "everyone"}.get(value, "this process")
    return find("io-uring-disabled", others=others, value=value, also=also)


def refusal(reason: str, machine: Machine) -> Finding:
    """Why the engine cannot run here: what the server says, and what of this machine explains it."""
    denied, hidden, memory = (words in reason for words in ("not permitted", "no io_uring", "memory"))
    disabled, soft = _switched_off(machine), machine.locked_memory[0]
    if disabled and not hidden:
        return _disabled(disabled, machine)
    causes = {  # the first that applies
        "io-uring-kernel.absent": machine.older_than(5, 1),
        "io-uring-kernel.old": "too old" in reason,
        "io-uring-seccomp": machine.status("Seccomp") == "2" and (denied or hidden),
        "io-uring-absent": hidden,
        "io-uring-memlock": memory and 0 <= soft < LOCKED_ENOUGH,
        "io-uring-memory": memory,
        "io-uring-denied": denied,
        "io-uring-refused": True,
    }
    cause = next(name for name, applies in causes.items() if applies)
    return find(cause, release=machine.release, locked=size(soft), reason=reason)


def _memlock(depth: int, machine: Machine) -> Finding:
    soft = machine.locked_memory[0]
    form = "shallow" if depth < LARGE else "small" if 0 <= soft < SMALL_LIMIT else "enough"
    return find(f"memlock.{form}", locked="no limit" if soft < 0 else size(soft), large=LARGE)


def findings(machine: Machine, server: str | None) -> Iterator[Finding]:
    found = ask(server) if server else None
    if found is None:
        yield find("no-build")
    elif isinstance(found, str):
        yield find("no-check", why=found)
    elif not found["available"]:
        yield refusal(found["reason"], machine)
    else:
        have = {name for name, there in found["features"].items() if there}
        have |= {name for name, hider in HIDDEN_BY.items() if hider in have}  # left out, and yet there
        yield find("io-uring", have=", ".join(name for name in SINCE if name in have))
        missing = [f"{name} (Linux {since})" for name, since in SINCE.items() if name not in have]
        if missing:
            yield find("io-uring-features", missing=", ".join(missing))
        yield _memlock(found["depth"], machine)
