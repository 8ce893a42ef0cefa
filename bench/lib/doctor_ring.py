"""What this kernel's io_uring gives, or why it gives nothing, as the built server tells it."""

import json
import subprocess
from typing import Any, Iterator

from .features import HIDDEN_BY
from .host import Finding, Machine, size

LOCKED_ENOUGH = 1 << 20  # bytes: below this a want of memory is the limit's doing
SMALL_LIMIT = 64 << 10
LARGE = 4096  # entries: the deepest ring that a sweep asks for by itself
CAP_SYS_ADMIN = 21
UNLIMIT = "ulimit -l unlimited"

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
    words = [server, "--check", "--json", "--depth", str(LARGE)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20)
        return dict(json.loads(done.stdout)["engines"]["io_uring"])
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    except (ValueError, KeyError, TypeError):
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        return lines[-1].removeprefix("torc: ")


def _switched_off(machine: Machine) -> int:
    """kernel.io_uring_disabled where it concerns this process: 1 excepts a group and the able."""
    value = machine.sysctl("kernel.io_uring_disabled") or 0
    able = int(machine.status("CapEff") or "0", 16) >> CAP_SYS_ADMIN & 1
    member = str(machine.sysctl("kernel.io_uring_group")) in (machine.status("Groups") or "").split()
    return 0 if value == 1 and (able or member) else value


def _disabled(value: int, machine: Machine) -> tuple[str, str]:
    group = machine.sysctl("kernel.io_uring_group")
    also = ", or set kernel.io_uring_group to a group of yours" if value == 1 else ""
    if value == 1 and group is not None and group >= 0:
        also = f", or join group {group}"
    others = {1: "processes without CAP_SYS_ADMIN", 2: "everyone"}.get(value, "this process")
    text = f"io_uring is switched off for {others}: kernel.io_uring_disabled={value}"
    return text, f"sysctl -w kernel.io_uring_disabled=0{also}"


def refusal(reason: str, machine: Machine) -> Finding:
    """Why the engine cannot run here, and the way out: what the server says, and what of this machine
    explains it. The first that applies is it."""
    denied, hidden, memory = (words in reason for words in ("not permitted", "no io_uring", "memory"))
    filtered, soft = machine.status("Seccomp") == "2", machine.locked_memory[0]
    disabled, linux = _switched_off(machine), f"Linux {machine.release}"
    causes = (
        (
            machine.older_than(5, 1),
            "kernel",
            f"{linux} is too old for io_uring, which came with 5.1",
            "run Linux 6.1 or newer",
        ),
        (
            "too old" in reason,
            "kernel",
            f"the io_uring of {linux} is too old: it has no timeout in its wait (IORING_FEAT_EXT_ARG) or no shutdown",
            "run Linux 6.1 or newer; 5.11 is the least",
        ),
        (disabled and not hidden, "disabled", *_disabled(disabled, machine)),
        (
            filtered and (denied or hidden),
            "seccomp",
            "a seccomp filter refuses io_uring, as containers' default profiles do",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the profile "
            "(docker: --security-opt seccomp=FILE), or leave the container",
        ),
        (
            hidden,
            "absent",
            f"{linux} was built without io_uring (CONFIG_IO_URING), or what runs this program hides it",
            "run a distribution's own kernel, 6.1 or newer",
        ),
        (
            memory and 0 <= soft < LOCKED_ENOUGH,
            "memlock",
            f"no memory for a ring: only {size(soft)} may be locked, and this kernel counts rings as locked memory",
            f"{UNLIMIT}, or LimitMEMLOCK=infinity in the service",
        ),
        (memory, "memory", "no memory for a ring (ENOMEM)", "free memory, or raise the cgroup's memory limit"),
        (
            denied,
            "denied",
            "io_uring_setup is not permitted though neither seccomp nor kernel.io_uring_disabled forbids it: "
            "a security module may",
            "look for io_uring in the audit log, and allow it here",
        ),
        (True, "refused", reason, None),
    )
    _, kind, text, remedy = next(cause for cause in causes if cause[0])
    return Finding(f"io-uring-{kind}", "fail", f"{text}; epoll can still be measured", remedy)


def _memlock(depth: int, machine: Machine) -> Finding:
    soft = machine.locked_memory[0]
    most = f"locked memory: {'no limit' if soft < 0 else size(soft)}"
    if depth < LARGE:
        text = f"{most}, too little for a ring of {LARGE:,} entries, since this kernel counts rings"
        text += ": deep ones are made smaller"
        return Finding("memlock", "limit", text, f"{UNLIMIT}, or LimitMEMLOCK=infinity in the service")
    if 0 <= soft < SMALL_LIMIT:
        return Finding("memlock", "note", f"{most}; rings are not counted by this kernel", UNLIMIT)
    return Finding("memlock", "ok", f"{most}; a ring needs none of it here")


def findings(machine: Machine, server: str | None) -> Iterator[Finding]:
    """All about io_uring; server is the torc to ask."""
    if server is None:
        text = "torc is not built yet: it is asked what io_uring gives here, which is not known before"
        remedy = "bench/run builds it; or meson setup build/release && ninja -C build/release"
        yield Finding("no-build", "note", text, remedy)
        return
    found = ask(server)
    if isinstance(found, str):
        text = f"torc --check --json does not say what io_uring gives here: {found}"
        yield Finding("no-check", "note", text, "build torc again: ninja -C build/release")
        return
    if not found["available"]:
        yield refusal(found["reason"], machine)
        return
    have = {name for name, there in found["features"].items() if there}
    have |= {name for name, hider in HIDDEN_BY.items() if hider in have}  # left out, and yet there
    yield Finding("io-uring", "ok", f"io_uring works, with {', '.join(name for name in SINCE if name in have)}")
    missing = [f"{name} (Linux {since})" for name, since in SINCE.items() if name not in have]
    if missing:
        text = f"io_uring lacks {', '.join(missing)}: figures here say little about newer kernels"
        yield Finding("io-uring-features", "limit", text, "run Linux 6.6 or newer")
    yield _memlock(found["depth"], machine)
