"""io_uring by query: sets rings up with each flag, asks each registration, and explains a refusal.

Nothing is decided by the kernel's version. The system calls are made through ctypes, so that this
works before anything is built. Numbers and layouts: linux/io_uring.h.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from dataclasses import dataclass, field
from typing import Protocol

from .doctor_base import Finding, Machine, fail, limit, note, ok, size

SETUP_CLAMP, SETUP_R_DISABLED, SETUP_SUBMIT_ALL = 1 << 4, 1 << 6, 1 << 7
SETUP_COOP_TASKRUN, SETUP_TASKRUN_FLAG = 1 << 8, 1 << 9
SETUP_SINGLE_ISSUER, SETUP_DEFER_TASKRUN, SETUP_NO_SQARRAY = 1 << 12, 1 << 13, 1 << 16
FEAT_EXT_ARG, FEAT_RECVSEND_BUNDLE, FEAT_MIN_TIMEOUT = 1 << 8, 1 << 14, 1 << 15
OP_SHUTDOWN, OP_SOCKET, OP_SEND_ZC = 34, 45, 47
REGISTER_BUFFERS, REGISTER_PROBE, REGISTER_RESTRICTIONS, REGISTER_FILES2 = 0, 8, 11, 13
REGISTER_IOWQ_MAX_WORKERS, REGISTER_RING_FDS, UNREGISTER_RING_FDS = 19, 20, 21
REGISTER_PBUF_RING, UNREGISTER_PBUF_RING = 22, 23
PBUF_RING_INC, RSRC_REGISTER_SPARSE, OP_SUPPORTED = 2, 1, 1
PROBE_OPS = 256
PAGE = 4096
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
    "send-zc": "6.0",
    "recv-bundle": "6.10",
    "incremental-buffers": "6.12",
    "min-wait": "6.12",
    "registered-buffers": "5.1",
}
UNUSED = ("send-zc", "recv-bundle", "incremental-buffers", "min-wait", "registered-buffers")


class Rings(Protocol):
    """The three system calls. Each gives a negative errno where it fails."""

    def setup(self, entries: int, flags: int) -> tuple[int, int]:
        """A ring's descriptor and its IORING_FEAT bits."""

    def register(self, fd: int, operation: int, argument: ctypes.Array[ctypes.c_char] | None, count: int) -> int:
        """io_uring_register."""

    def close(self, fd: int) -> None:
        """Of a ring."""


class Kernel:
    """The kernel we run on."""

    SETUP, REGISTER = 425, 427  # on every architecture but alpha

    def __init__(self) -> None:
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long

    def setup(self, entries: int, flags: int) -> tuple[int, int]:
        params = ctypes.create_string_buffer(struct.pack("8x I", flags), 120)
        fd = self._syscall(ctypes.c_long(self.SETUP), ctypes.c_long(entries), params)
        if fd < 0:
            return -ctypes.get_errno(), 0
        return fd, struct.unpack_from("I", params, 20)[0]

    def register(self, fd: int, operation: int, argument: ctypes.Array[ctypes.c_char] | None, count: int) -> int:
        numbers = [ctypes.c_long(number) for number in (self.REGISTER, fd, operation, count)]
        result = self._syscall(*numbers[:3], argument, numbers[3])
        return -ctypes.get_errno() if result < 0 else result

    def close(self, fd: int) -> None:
        os.close(fd)


@dataclass
class Probe:
    """What a kernel's io_uring answered. error is 0 or the negative errno of a plain ring."""

    error: int = 0
    usable: bool = False  # enough for torc's engine: what Linux 5.11 has
    have: list[str] = field(default_factory=list)
    lack: list[str] = field(default_factory=list)
    large_error: int = 0  # of a ring of LARGE entries
    buffers_error: int = 0  # of registering a buffer, which RLIMIT_MEMLOCK bounds


def _ring_with(rings: Rings, flags: int) -> bool:
    fd, _ = rings.setup(4, SETUP_CLAMP | flags)
    if fd < 0:
        return False
    rings.close(fd)
    return True


def _opcodes(rings: Rings, fd: int) -> set[int]:
    table = ctypes.create_string_buffer(16 + 8 * PROBE_OPS)
    if rings.register(fd, REGISTER_PROBE, table, PROBE_OPS) < 0:
        return set()
    last = table.raw[0]
    return {op for op in range(last + 1) if struct.unpack_from("H", table, 16 + 8 * op + 2)[0] & OP_SUPPORTED}


def _argument(layout: str, *values: int) -> ctypes.Array[ctypes.c_char]:
    data = struct.pack(layout, *values)
    return ctypes.create_string_buffer(data, len(data))


def _ring_fd(rings: Rings, fd: int) -> bool:
    place = _argument("IIQ", 0xFFFFFFFF, 0, fd)  # the kernel writes the slot it took into it
    done = rings.register(fd, REGISTER_RING_FDS, place, 1)
    if done >= 0:
        rings.register(fd, UNREGISTER_RING_FDS, place, 1)
    return done >= 0


def _buffer_ring(rings: Rings, fd: int, flags: int) -> bool:
    with mmap.mmap(-1, PAGE) as memory:
        address = ctypes.c_char.from_buffer(memory)
        at = ctypes.addressof(address)
        done = rings.register(fd, REGISTER_PBUF_RING, _argument("QIHH24x", at, 1, 1, flags), 1)
        if done >= 0:
            rings.register(fd, UNREGISTER_PBUF_RING, _argument("QIHH24x", 0, 0, 1, 0), 1)
        del address
    return done >= 0


def _registered_buffer(rings: Rings, fd: int) -> int:
    with mmap.mmap(-1, PAGE) as memory:
        address = ctypes.c_char.from_buffer(memory)
        done = rings.register(fd, REGISTER_BUFFERS, _argument("QQ", ctypes.addressof(address), PAGE), 1)
        del address
    return done


def _restrictable(rings: Rings) -> bool:
    fd, _ = rings.setup(4, SETUP_CLAMP | SETUP_R_DISABLED)
    if fd < 0:
        return False
    done = rings.register(fd, REGISTER_RESTRICTIONS, _argument("HBB12x", 1, 0, 0), 1)  # allow NOP
    rings.close(fd)
    return done >= 0


def probe(rings: Rings) -> Probe:
    """Asks for everything torc's engine uses, and for what it might."""
    fd, features = rings.setup(4, SETUP_CLAMP)
    if fd < 0:
        return Probe(error=fd)
    opcodes = _opcodes(rings, fd)
    found = Probe(usable=bool(features & FEAT_EXT_ARG) and OP_SHUTDOWN in opcodes)
    large, _ = rings.setup(LARGE, SETUP_CLAMP)
    if large < 0:
        found.large_error = large
    else:
        rings.close(large)
    found.buffers_error = min(_registered_buffer(rings, fd), 0)
    answers = {
        "single-issuer": _ring_with(rings, SETUP_SINGLE_ISSUER),
        "defer-taskrun": _ring_with(rings, SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN),
        "coop-taskrun": _ring_with(rings, SETUP_COOP_TASKRUN | SETUP_TASKRUN_FLAG),
        "no-sqarray": _ring_with(rings, SETUP_NO_SQARRAY),
        "submit-all": _ring_with(rings, SETUP_SUBMIT_ALL),
        "ring-fd": _ring_fd(rings, fd),
        "buf-ring": _buffer_ring(rings, fd, 0),
        # Multishot recv has no flag to ask; it came together with this opcode.
        "multishot": OP_SEND_ZC in opcodes,
        # Nor have slots that the kernel chooses; they came together with this one.
        "direct": OP_SOCKET in opcodes
        and rings.register(fd, REGISTER_FILES2, _argument("IIQQQ", 1, RSRC_REGISTER_SPARSE, 0, 0, 0), 32) >= 0,
        "iowq-cap": rings.register(fd, REGISTER_IOWQ_MAX_WORKERS, _argument("II", 0, 0), 2) >= 0,
        "restrict": _restrictable(rings),
        "send-zc": OP_SEND_ZC in opcodes,
        "recv-bundle": bool(features & FEAT_RECVSEND_BUNDLE),
        "incremental-buffers": _buffer_ring(rings, fd, PBUF_RING_INC),
        "min-wait": bool(features & FEAT_MIN_TIMEOUT),
        "registered-buffers": found.buffers_error == 0,
    }
    rings.close(fd)
    found.have = [name for name, there in answers.items() if there]
    found.lack = [name for name, there in answers.items() if not there]
    return found


def _switched_off(machine: Machine) -> int:
    """kernel.io_uring_disabled where it concerns this process: 1 excepts a group and the able."""
    value = machine.sysctl("kernel.io_uring_disabled") or 0
    if value == 1:
        able = int(machine.status("CapEff") or "0", 16) >> CAP_SYS_ADMIN & 1
        group = machine.sysctl("kernel.io_uring_group")
        if able or str(group) in (machine.status("Groups") or "").split():
            return 0
    return value


def refusal(error: int, machine: Machine) -> Finding:
    """Why a plain ring was refused, and the way out. error is the negative errno."""
    filtered = (machine.status("Seccomp") or "0") == "2"
    disabled = _switched_off(machine)
    name = errno.errorcode.get(-error, str(-error))
    epoll = "; epoll can still be measured"
    if error == -errno.ENOSYS and machine.older_than(5, 1):
        return fail(
            "io-uring-kernel",
            f"Linux {machine.release} is too old for io_uring, which came with 5.1{epoll}",
            "run Linux 6.1 or newer",
        )
    if error == -errno.EPERM and disabled:
        group = machine.sysctl("kernel.io_uring_group")
        others = {1: "processes without CAP_SYS_ADMIN", 2: "everyone"}.get(disabled, "this process")
        also = ""
        if disabled == 1:
            also = ", or set kernel.io_uring_group to a group of yours"
            if group is not None and group >= 0:
                also = f", or join group {group}"
        return fail(
            "io-uring-disabled",
            f"io_uring is switched off for {others}: kernel.io_uring_disabled=" f"{disabled}{epoll}",
            f"sysctl -w kernel.io_uring_disabled=0{also}",
        )
    if error in (-errno.EPERM, -errno.EACCES, -errno.ENOSYS) and filtered:
        return fail(
            "io-uring-seccomp",
            f"a seccomp filter refuses io_uring ({name} from io_uring_setup), as "
            f"containers' default profiles do{epoll}",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the profile "
            "(docker: --security-opt seccomp=FILE), or leave the container",
        )
    if error == -errno.ENOSYS:
        return fail(
            "io-uring-absent",
            f"Linux {machine.release} was built without io_uring (CONFIG_IO_URING), or "
            f"what runs this program hides it{epoll}",
            "run a distribution's own kernel, 6.1 or newer",
        )
    if error == -errno.ENOMEM:
        soft = machine.locked_memory[0]
        if 0 <= soft < LOCKED_ENOUGH:
            return fail(
                "io-uring-memlock",
                f"no memory for a ring: only {size(soft)} may be locked, and this kernel "
                f"counts rings as locked memory{epoll}",
                "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service",
            )
        return fail(
            "io-uring-memory",
            f"no memory for a ring (ENOMEM){epoll}",
            "free memory, or raise the cgroup's memory limit",
        )
    if error in (-errno.EPERM, -errno.EACCES):
        return fail(
            "io-uring-denied",
            f"io_uring_setup is not permitted ({name}) though neither seccomp nor "
            f"kernel.io_uring_disabled forbids it: a security module may{epoll}",
            "look for io_uring in the audit log, and allow it here",
        )
    return fail("io-uring-refused", f"io_uring_setup fails: {os.strerror(-error)}{epoll}")


def _memlock(found: Probe, machine: Machine) -> Finding:
    soft = machine.locked_memory[0]
    most = "no limit" if soft < 0 else size(soft)
    if found.large_error == -errno.ENOMEM:
        return limit(
            "memlock",
            f"locked memory: {most}, too little for a ring of {LARGE:,} "
            "entries, since this kernel counts rings: deep ones are made smaller",
            "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service",
        )
    if found.buffers_error == -errno.ENOMEM:
        return note(
            "memlock",
            f"locked memory: {most}, too little to register buffers "
            "(rings are not counted here, and torc registers none)",
            "ulimit -l unlimited",
        )
    if 0 <= soft < SMALL_LIMIT:
        return note("memlock", f"locked memory: {most}; rings are not counted by this " "kernel", "ulimit -l unlimited")
    return ok("memlock", f"locked memory: {most}; a ring needs none of it here")


def findings(machine: Machine, rings: Rings) -> list[Finding]:
    """What this kernel's io_uring gives, or why it gives nothing."""
    found = probe(rings)
    if found.error:
        return [refusal(found.error, machine)]
    if not found.usable:
        return [
            fail(
                "io-uring-kernel",
                f"the io_uring of Linux {machine.release} is too old: it has no timeout in "
                "its wait (IORING_FEAT_EXT_ARG) or no shutdown; epoll can still be measured",
                "run Linux 6.1 or newer; 5.11 is the least",
            )
        ]
    used = [name for name in found.have if name not in UNUSED]
    result = [ok("io-uring", f"io_uring works, with {', '.join(used)}")]
    missing = [name for name in found.lack if name not in UNUSED]
    if missing:
        listed = ", ".join(f"{name} (Linux {SINCE[name]})" for name in missing)
        result.append(
            limit(
                "io-uring-features",
                f"io_uring lacks {listed}: figures here say little about newer kernels",
                "run Linux 6.6 or newer",
            )
        )
    more = [name for name in found.have if name in UNUSED]
    if more:
        text = f"io_uring also has {', '.join(more)}, which torc does not use"
        result.append(ok("io-uring-more", text))
    result.append(_memlock(found, machine))
    return result
