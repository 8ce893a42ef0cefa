"""What the doctor finds on machines made up of files and on kernels made up of answers, and on this
one when it refuses."""

import argparse
import contextlib
import errno
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import context
from lib import doctor, doctor_base, doctor_cpu, doctor_limits, doctor_ring, doctor_versions
from lib.doctor_base import LEVELS, Machine, parse_cpu_list, size

GIB = 1 << 30


class Fake:
    """A kernel: which set-up flags, registrations and opcodes it knows, or the error of all."""

    def __init__(
        self, error=0, flags=0xFFFFFFFF, opcodes=range(60), registers=range(40), features=0xFFFFFFFF, entries=1 << 20
    ):
        self.error, self.flags, self.features = error, flags, features
        self.opcodes, self.registers, self.entries = opcodes, registers, entries
        self.open = set()

    def setup(self, entries, flags):
        if self.error:
            return -self.error, 0
        if flags & ~self.flags:
            return -errno.EINVAL, 0
        if entries > self.entries:
            return -errno.ENOMEM, 0
        fd = 100 + len(self.open)
        self.open.add(fd)
        return fd, self.features

    def register(self, fd, operation, argument, count):
        assert fd in self.open
        if operation not in self.registers:
            return -errno.EINVAL
        if operation == doctor_ring.REGISTER_PROBE:
            argument[0] = bytes([max(self.opcodes)])
            for op in self.opcodes:
                struct.pack_into("H", argument, 16 + 8 * op + 2, 1)
        return 0

    def close(self, fd):
        self.open.remove(fd)


class Case(unittest.TestCase):
    def machine(self, files=None, cpus=(0, 1, 2, 3), open_files=(1024, 1 << 20), locked=(-1, -1), syscall_ns=150.0):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        root = Path(directory.name)
        given = {"proc/sys/kernel/osrelease": "6.12.1-test", "proc/self/status": "Seccomp:\t0\n"}
        for name, text in {**given, **(files or {})}.items():
            path = root / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Machine(root, list(cpus), open_files, locked, lambda: syscall_ns)

    def only(self, found, id_):
        chosen = [finding for finding in found if finding.id == id_]
        self.assertEqual(len(chosen), 1, f"{id_} in {[f.id for f in found]}")
        return chosen[0]


class Refusals(Case):
    """Each has its own words and its own way out."""

    def refused(self, error, files=None, **more):
        found = doctor_ring.findings(self.machine(files, **more), Fake(error))
        self.assertEqual(len(found), 1)
        self.assertEqual(found[0].level, "fail")
        self.assertIn("epoll can still be measured", found[0].text)
        return found[0]

    def test_kernel_too_old(self):
        found = self.refused(errno.ENOSYS, {"proc/sys/kernel/osrelease": "4.19.0-27-amd64"})
        self.assertEqual(found.id, "io-uring-kernel")
        self.assertIn("4.19.0-27-amd64 is too old", found.text)
        self.assertIn("6.1", found.remedy)

    def test_kernel_too_old_under_seccomp_too(self):
        files = {"proc/sys/kernel/osrelease": "5.0.1", "proc/self/status": "Seccomp:\t2\n"}
        self.assertEqual(self.refused(errno.ENOSYS, files).id, "io-uring-kernel")

    def test_disabled_for_everyone(self):
        found = self.refused(errno.EPERM, {"proc/sys/kernel/io_uring_disabled": "2"})
        self.assertEqual(found.id, "io-uring-disabled")
        self.assertIn("for everyone: kernel.io_uring_disabled=2", found.text)
        self.assertEqual(found.remedy, "sysctl -w kernel.io_uring_disabled=0")

    def test_disabled_but_for_a_group(self):
        files = {
            "proc/sys/kernel/io_uring_disabled": "1",
            "proc/sys/kernel/io_uring_group": "984",
            "proc/self/status": "CapEff:\t0000000000000000\nGroups:\t4 27\nSeccomp:\t2\n",
        }
        found = self.refused(errno.EPERM, files)
        self.assertEqual(found.id, "io-uring-disabled")
        self.assertIn("CAP_SYS_ADMIN", found.text)
        self.assertIn("join group 984", found.remedy)
        files["proc/sys/kernel/io_uring_group"] = "-1"
        self.assertIn("io_uring_group", self.refused(errno.EPERM, files).remedy)

    def test_disabled_for_others_is_not_why_this_process_is_refused(self):
        files = {"proc/sys/kernel/io_uring_disabled": "1", "proc/sys/kernel/io_uring_group": "984"}
        for status in (
            "CapEff:\t000001ffffffffff\nGroups:\t\nSeccomp:\t2\n",
            "CapEff:\t0000000000000000\nGroups:\t4 984\nSeccomp:\t2\n",
        ):
            found = self.refused(errno.EPERM, {**files, "proc/self/status": status})
            self.assertEqual(found.id, "io-uring-seccomp")

    def test_seccomp(self):
        for error in (errno.EPERM, errno.ENOSYS, errno.EACCES):
            found = self.refused(error, {"proc/self/status": "Name:\tx\nSeccomp:\t2\n"})
            self.assertEqual(found.id, "io-uring-seccomp")
            self.assertIn(errno.errorcode[error], found.text)
            self.assertIn("io_uring_setup, io_uring_enter and io_uring_register", found.remedy)

    def test_memlock(self):
        found = self.refused(errno.ENOMEM, {"proc/sys/kernel/osrelease": "5.10.0"}, locked=(65536, 65536))
        self.assertEqual(found.id, "io-uring-memlock")
        self.assertIn("64 KiB", found.text)
        self.assertIn("ulimit -l", found.remedy)

    def test_no_memory_though_the_limit_is_high(self):
        self.assertEqual(self.refused(errno.ENOMEM).id, "io-uring-memory")

    def test_not_built_in(self):
        self.assertEqual(self.refused(errno.ENOSYS).id, "io-uring-absent")

    def test_a_security_module(self):
        self.assertEqual(self.refused(errno.EACCES).id, "io-uring-denied")

    def test_anything_else_is_said_as_it_is(self):
        self.assertIn(os.strerror(errno.EMFILE), self.refused(errno.EMFILE).text)

    def test_io_uring_of_its_first_years(self):
        found = doctor_ring.findings(self.machine(), Fake(features=0, opcodes=range(20)))
        self.assertEqual([(f.id, f.level) for f in found], [("io-uring-kernel", "fail")])


class Features(Case):
    def test_all(self):
        rings = Fake()
        found = doctor_ring.probe(rings)
        self.assertEqual((found.error, found.lack, rings.open), (0, [], set()))
        self.assertEqual(set(found.have), set(doctor_ring.SINCE))
        levels = [finding.level for finding in doctor_ring.findings(self.machine(), Fake())]
        self.assertEqual(levels, ["ok"] * 3)

    def test_each_is_asked_for_by_its_own_query(self):
        r = doctor_ring
        without = {
            "single-issuer": Fake(flags=~r.SETUP_SINGLE_ISSUER),
            "defer-taskrun": Fake(flags=~r.SETUP_DEFER_TASKRUN),
            "coop-taskrun": Fake(flags=~r.SETUP_COOP_TASKRUN),
            "no-sqarray": Fake(flags=~r.SETUP_NO_SQARRAY),
            "submit-all": Fake(flags=~r.SETUP_SUBMIT_ALL),
            "restrict": Fake(registers=set(range(40)) - {r.REGISTER_RESTRICTIONS}),
            "ring-fd": Fake(registers=set(range(40)) - {r.REGISTER_RING_FDS}),
            "buf-ring": Fake(registers=set(range(40)) - {r.REGISTER_PBUF_RING}),
            "direct": Fake(registers=set(range(40)) - {r.REGISTER_FILES2}),
            "iowq-cap": Fake(registers=set(range(40)) - {r.REGISTER_IOWQ_MAX_WORKERS}),
            "multishot": Fake(opcodes=range(r.OP_SEND_ZC)),
            "recv-bundle": Fake(features=~r.FEAT_RECVSEND_BUNDLE),
            "min-wait": Fake(features=~r.FEAT_MIN_TIMEOUT),
        }
        follows = {"single-issuer": {"defer-taskrun"}, "buf-ring": {"incremental-buffers"}, "multishot": {"send-zc"}}
        for name, rings in without.items():
            with self.subTest(name):
                found = doctor_ring.probe(rings)
                self.assertEqual(set(found.lack), {name} | follows.get(name, set()))
                self.assertEqual(rings.open, set())

    def test_what_is_missing_is_named_with_its_kernel(self):
        rings = Fake(flags=~(doctor_ring.SETUP_DEFER_TASKRUN | doctor_ring.SETUP_NO_SQARRAY))
        found = self.only(doctor_ring.findings(self.machine(), rings), "io-uring-features")
        self.assertEqual(found.level, "limit")
        self.assertIn("defer-taskrun (Linux 6.1), no-sqarray (Linux 6.6)", found.text)

    def test_a_ring_that_is_too_deep_for_the_limit(self):
        found = doctor_ring.findings(self.machine(locked=(65536, 65536)), Fake(entries=1024))
        self.assertEqual(self.only(found, "memlock").level, "limit")
        self.assertIn("ulimit -l", self.only(found, "memlock").remedy)

    def test_this_kernel(self):
        before = len(os.listdir("/proc/self/fd"))
        found = doctor_ring.probe(doctor_ring.Kernel())
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        if found.error:
            self.skipTest(doctor_ring.refusal(found.error, Machine()).text)
        self.assertIn("registered-buffers", found.have + found.lack)
        self.assertTrue(found.usable)


CHILD = """
import ctypes, json, os, platform, resource, struct, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from lib import doctor_ring
from lib.doctor_base import Machine

def filtered(error):
    load, equal, answer = 0x20, 0x15, 0x06
    program = b"".join(struct.pack("HBBI", *line) for line in (
        (load, 0, 0, 0), (equal, 0, 1, 425), (answer, 0, 0, 0x50000 | error),
        (answer, 0, 0, 0x7FFF0000)))
    kept = ctypes.create_string_buffer(program, len(program))
    words = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, words, 0, 0):
        print("no seccomp: " + os.strerror(ctypes.get_errno()))
        sys.exit(77)

if sys.argv[2] == "memlock":
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
else:
    filtered(int(sys.argv[2]))
found = doctor_ring.findings(Machine(), doctor_ring.Kernel())
print(json.dumps([[f.id, f.level, f.text, f.remedy] for f in found]))
"""


class ThisKernelRefuses(unittest.TestCase):
    def child(self, kind):
        if doctor_ring.probe(doctor_ring.Kernel()).error:
            self.skipTest("io_uring is refused here already")
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(context.TOP / "bench"), kind], capture_output=True, text=True, timeout=60
        )
        if done.returncode == 77:
            self.skipTest(done.stdout.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        return {id_: (level, text, remedy) for id_, level, text, remedy in json.loads(done.stdout)}

    def test_by_seccomp(self):
        for error in (errno.EPERM, errno.ENOSYS):
            found = self.child(str(error))
            self.assertEqual(list(found), ["io-uring-seccomp"])
            self.assertIn(errno.errorcode[error], found["io-uring-seccomp"][1])

    def test_locked_memory(self):
        found = self.child("memlock")
        if "io-uring" in found:  # rings are not locked memory since Linux 5.12; buffers are
            level, text, remedy = found["memlock"]
            self.assertEqual(level, "note")
            self.assertIn("0 bytes, too little to register buffers", text)
            self.assertIn("ulimit -l", remedy)
        else:
            self.assertEqual(list(found), ["io-uring-memlock"])


def topology(*pairs):
    return {f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": text for cpu, text in enumerate(pairs)}


class Cpu(Case):
    def found(self, files=None, **more):
        return doctor_cpu.findings(self.machine(files, **more))

    def test_few_cores(self):
        for cpus, words in (
            ((0,), "1 CPU: server and load share it"),
            ((0, 1), "scaling beyond 1 server core cannot be measured"),
            ((0, 1, 2), "a server gets 2 at most"),
        ):
            found = self.only(self.found(cpus=cpus), "few-cores")
            self.assertEqual(found.level, "limit")
            self.assertIn(words, found.text)
            self.assertTrue(found.remedy)
        self.assertEqual(self.only(self.found(cpus=range(8)), "few-cores").level, "ok")

    def test_siblings(self):
        found = self.found(topology("0-1", "0-1"), cpus=(0, 1))
        self.assertIn("one core's (SMT)", self.only(found, "few-cores").text)
        smt = {"sys/devices/system/cpu/smt/active": "1"}
        found = self.found({**topology("0,2", "1,3", "0,2", "1,3"), **smt})
        self.assertIn("smt/control", self.only(found, "smt").remedy)
        self.assertIn("4 CPUs on 2 cores", self.only(found, "cpu").text)

    def test_fewer_than_the_machine_has(self):
        found = self.found({"sys/devices/system/cpu/online": "0-15"})
        self.assertIn("4 of 16", self.only(found, "affinity").text)

    def test_quota(self):
        second = {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "150000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000",
        }
        first = {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000",
        }
        for files in (second, first):
            found = self.only(self.found(files), "cpu-quota")
            self.assertIn("1.5 CPUs' time on 4 CPUs", found.text)
        for files in (
            {**second, "sys/fs/cgroup/a/cpu.max": "max 100000"},
            {**second, "sys/fs/cgroup/a/cpu.max": "800000 100000"},
            {**first, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1"},
        ):
            self.assertNotIn("cpu-quota", [f.id for f in self.found(files)])

    def test_governor_and_boost(self):
        governor = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
        self.assertEqual(self.only(self.found({governor: "schedutil"}), "frequency").level, "limit")
        self.assertEqual(self.only(self.found({governor: "performance"}), "frequency").level, "ok")
        self.assertEqual(self.only(self.found(), "frequency").level, "note")
        for path, on, off, off_value in (("cpufreq/boost", "1", "0", "0"), ("intel_pstate/no_turbo", "0", "1", "1")):
            name = f"sys/devices/system/cpu/{path}"
            found = self.only(self.found({name: on}), "boost")
            self.assertEqual(found.remedy, f"echo {off_value} > /{name}")
            self.assertNotIn("boost", [f.id for f in self.found({name: off})])

    def test_mitigations(self):
        base = "sys/devices/system/cpu/vulnerabilities/"
        files = {
            base + "meltdown": "Not affected",
            base + "spectre_v2": "Mitigation: Retpolines",
            base + "srso": "Vulnerable: no microcode",
        }
        text = self.only(self.found(files), "mitigations").text
        self.assertIn("active against spectre_v2; none against srso", text)
        self.assertNotIn("meltdown", text)
        text = self.only(self.found({"proc/cmdline": "quiet mitigations=off"}), "mitigations").text
        self.assertIn("switched off", text)
        self.assertNotIn("mitigations", [f.id for f in self.found({base + "l1tf": "Not affected"})])

    def test_virtual_and_steal(self):
        files = {
            "proc/cpuinfo": "model name\t: X 1\nflags\t\t: fpu hypervisor sse\n",
            "proc/stat": "cpu  100 0 100 794 0 0 3 3 0 0\ncpu0 1\n",
        }
        found = self.found(files)
        text = self.only(found, "virtual").text
        self.assertIn("no hardware counters; steal was 0.3 %", text)
        self.assertNotIn("steal", [f.id for f in found])
        self.assertIn("X 1", self.only(found, "cpu").text)
        found = self.found({**files, "proc/stat": "cpu  100 0 100 750 0 0 0 50 0 0\n"})
        self.assertIn("5.0 %", self.only(found, "steal").text)
        metal = {"proc/cpuinfo": "flags\t: fpu sse\n", "sys/bus/event_source/devices/cpu/type": "4"}
        self.assertEqual(self.only(self.found(metal), "virtual").level, "ok")
        dmi = {**metal, "sys/class/dmi/id/sys_vendor": "QEMU"}
        self.assertIn("(QEMU); the host", self.only(self.found(dmi), "virtual").text)

    def test_what_a_system_call_takes(self):
        for each, level in ((150.0, "ok"), (1100.0, "limit")):
            found = doctor_cpu.findings(self.machine(syscall_ns=each))
            self.assertEqual(self.only(found, "syscalls").level, level)
        self.assertIn("takes 1.1 µs here", self.only(found, "syscalls").text)
        self.assertGreater(doctor_base.syscall_ns(), 0)

    def test_clock_container_and_load(self):
        clock = "sys/devices/system/clocksource/clocksource0/current_clocksource"
        self.assertEqual(self.only(self.found({clock: "hpet"}), "clock").level, "limit")
        self.assertEqual(self.only(self.found({clock: "tsc"}), "clock").level, "ok")
        found = self.found({".dockerenv": "", "proc/loadavg": "1.30 0.4 0.3 2/100 7"})
        self.only(found, "container")
        self.assertIn("1.30", self.only(found, "busy").text)
        self.assertNotIn("busy", [f.id for f in self.found({"proc/loadavg": "0.9 0 0 1/9 7"})])


class Limits(Case):
    def found(self, files=None, **more):
        return doctor_limits.findings(self.machine(files, **more))

    def test_connections(self):
        ports = "proc/sys/net/ipv4/ip_local_port_range"
        found = self.found({ports: "32768\t60999"}, open_files=(1024, 4096))
        found = self.only(found, "connections")
        self.assertEqual(found.level, "limit")
        self.assertIn("3,584 connections", found.text)
        self.assertIn("nofile", found.remedy)
        nr_open = {"proc/sys/fs/nr_open": "4096"}
        found = self.only(self.found(nr_open, open_files=(1024, 4096)), "connections")
        self.assertIn("fs.nr_open", found.remedy)
        found = self.only(self.found({ports: "50000 59999"}, open_files=(1024, -1)), "connections")
        self.assertIn("8,976 connections to one address, by the local ports", found.text)
        self.assertIn("ip_local_port_range", found.remedy)
        self.assertEqual(self.only(self.found({ports: "32768 60999"}), "connections").level, "ok")

    def test_sysctls(self):
        for id_, name, bad, good in (
            ("somaxconn", "net/core/somaxconn", "128", "4096"),
            ("tw-reuse", "net/ipv4/tcp_tw_reuse", "0", "2"),
            ("syn-backlog", "net/ipv4/tcp_max_syn_backlog", "256", "4096"),
            ("file-max", "fs/file-max", "20000", "9223372036854775807"),
            ("max-map-count", "vm/max_map_count", "1000", "65530"),
        ):
            files = {"proc/sys/net/core/somaxconn": "4096"}
            found = self.only(self.found({**files, "proc/sys/" + name: bad}), id_)
            self.assertEqual(found.level, "limit")
            self.assertIn(name.replace("/", "."), found.remedy)
            ids = [f.id for f in self.found({**files, "proc/sys/" + name: good})]
            self.assertNotIn(id_, ids)

    def test_connection_tracking(self):
        most = "proc/sys/net/netfilter/nf_conntrack_max"
        count = {"proc/sys/net/netfilter/nf_conntrack_count": "12"}
        for files, level in (
            ({most: "1000", **count}, "limit"),
            ({most: "262144"}, "ok"),
            ({most: "262144", **count}, "note"),
        ):
            self.assertEqual(self.only(self.found(files), "conntrack").level, level)
        self.assertNotIn("conntrack", [f.id for f in self.found()])

    def test_memory(self):
        files = {"proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\n"}
        self.assertEqual(self.only(self.found(files), "memory").level, "ok")
        for cgroup in (
            {"proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/memory.max": str(GIB)},
            {"proc/self/cgroup": "4:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": str(GIB)},
        ):
            found = self.only(self.found({**files, **cgroup}), "memory")
            self.assertEqual(found.level, "limit")
            self.assertIn("the cgroup allows 1.0 GiB", found.text)
        free = {"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}
        self.assertEqual(self.only(self.found({**files, **free}), "memory").level, "ok")
        small = {"proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\n"}
        self.assertEqual(self.only(self.found(small), "memory").level, "limit")

    def test_congestion_and_huge_pages(self):
        control = "proc/sys/net/ipv4/tcp_congestion_control"
        self.assertEqual(self.only(self.found({control: "bbr"}), "congestion").level, "note")
        self.assertEqual(self.only(self.found({control: "cubic"}), "congestion").level, "ok")
        huge = "sys/kernel/mm/transparent_hugepage/enabled"
        for text, level in (("[always] madvise never", "note"), ("always [madvise] never", "ok")):
            self.assertEqual(self.only(self.found({huge: text}), "huge-pages").level, level)

    def test_a_machine_that_says_nothing(self):
        with tempfile.TemporaryDirectory() as root:
            machine = Machine(Path(root), [0, 1], (1024, 1024), (0, 0))
            everything = [*doctor_cpu.findings(machine), *doctor_limits.findings(machine)]
            self.only(everything, "cpu")


class Whole(Case):
    def test_this_machine(self):
        found = doctor.findings()
        levels = [LEVELS.index(finding.level) for finding in found]
        self.assertEqual(levels, sorted(levels))
        ids = [finding.id for finding in found]
        self.assertEqual(len(ids), len(set(ids)))
        for finding in found:
            self.assertTrue(finding.text)
            self.assertNotIn("\n", finding.text)
            self.assertNotEqual(finding.remedy, "")

    def report(self, rings, *arguments):
        parser = argparse.ArgumentParser()
        doctor.add_options(parser)
        out = io.StringIO()
        machine = self.machine({"proc/self/status": "Seccomp:\t2\n"})
        with mock.patch.object(doctor, "Machine", return_value=machine), mock.patch.object(
            doctor_ring, "Kernel", return_value=rings
        ), contextlib.redirect_stdout(out):
            status = doctor.run(parser.parse_args(arguments))
        return status, out.getvalue()

    def test_exit_and_words(self):
        status, text = self.report(Fake())
        self.assertEqual(status, 0)
        self.assertIn("As it should be:", text)
        self.assertNotIn("impossible", text)
        status, text = self.report(Fake(errno.EPERM))
        self.assertEqual(status, 1)
        self.assertTrue(text.startswith("What makes comparing io_uring impossible here:\n"))
        self.assertIn("remedy: allow io_uring_setup", text)
        self.assertLessEqual(max(map(len, text.splitlines())), doctor.WIDTH)

    def test_json(self):
        status, text = self.report(Fake(errno.EPERM), "--json")
        content = json.loads(text)
        self.assertEqual(status, 1)
        self.assertEqual(content["findings"][0]["id"], "io-uring-seccomp")
        self.assertEqual(set(content["findings"][0]), {"id", "level", "text", "remedy"})
        self.assertEqual(set(content["versions"]), set(doctor_versions.PARTS))

    def test_conclusion(self):
        of = doctor_ring.limit("x", "y")
        self.assertIn("1 thing limits", doctor.conclusion([of]))
        self.assertIn("2 things limit", doctor.conclusion([of, of]))
        self.assertIn("Nothing limits", doctor.conclusion([]))

    def test_missing_parts(self):
        found = doctor_versions.findings({"python": "3.11", "torc": None, "matplotlib": None})
        self.assertIn("tools/setup --bench", self.only(found, "no-matplotlib").remedy)
        self.only(found, "no-build")
        self.assertEqual(self.only(found, "versions").text, "python 3.11")

    def test_versions_of_a_build(self):
        with tempfile.TemporaryDirectory() as directory:
            info = Path(directory) / "meson-info"
            info.mkdir()
            (info / "intro-compilers.json").write_text('{"host":{"c":{"full_version":"cc 9"}}}')
            (info / "intro-dependencies.json").write_text(
                '[{"name":"liburing","version":"2.99"},{"name":"libllhttp","version":"9.99"}]'
            )
            found = doctor_versions.versions(Path(directory))
        self.assertEqual(
            [found[part] for part in ("compiler", "liburing", "llhttp", "torc")], ["cc 9", "2.99", "9.99", None]
        )

    def test_helpers(self):
        self.assertEqual(parse_cpu_list("0-2,5"), {0, 1, 2, 5})
        self.assertEqual(parse_cpu_list(""), set())
        self.assertEqual([size(0), size(65536), size(3 * GIB), size(1536)], ["0 bytes", "64 KiB", "3.0 GiB", "1.5 KiB"])


if __name__ == "__main__":
    unittest.main()
