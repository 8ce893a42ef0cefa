"""What the doctor finds on machines made up of files, and of a server that is made up too."""

import argparse
import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
import fakes
from lib import doctor, doctor_cpu, doctor_limits, doctor_ring, host, versions
from lib.finding import CATALOGUE, LEVELS, Finding
from lib.host import Machine, parse_cpu_list, size

GIB = 1 << 30
DENIED = "io_uring_setup is not permitted, as by a container's seccomp profile"
HIDDEN = "this kernel has no io_uring, or a seccomp profile hides it"
NO_MEMORY = "no memory for a ring: the locked-memory limit is too low (ulimit -l)"
FEATURES = dict.fromkeys(doctor_ring.SINCE, True)
DISABLED = "proc/sys/kernel/io_uring_disabled"


def release(text, seccomp):
    return {"proc/sys/kernel/osrelease": text, "proc/self/status": f"Seccomp:\t{seccomp}\n"}


class Case(unittest.TestCase):
    def directory(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return Path(directory.name)

    def machine(self, files=None, cpus=(0, 1, 2, 3), open_files=(1024, 1 << 20), locked=(-1, -1), syscall_ns=150.0):
        root = self.directory()
        given = {"proc/sys/kernel/osrelease": "6.12.1-test", "proc/self/status": "Seccomp:\t0\n"}
        for name, text in {**given, **(files or {})}.items():
            path = root / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Machine(root, list(cpus), open_files, locked, lambda: syscall_ns)

    def server(self, printed, status=0):
        """A build whose torc prints that, and complains, whatever it is asked."""
        build = self.directory()
        fakes.executable(build / "torc", f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\necho no --json >&2\nexit {status}\n")
        return build

    def checked(self, **ring):
        """The same of one that says this of its io_uring engine."""
        ring = {"available": True, "reason": "", "depth": 4096, "cq_depth": 32768, "features": FEATURES, **ring}
        return self.server(json.dumps({"engine": "epoll", "engines": {"io_uring": ring}}))

    def ring(self, build, files=None, **more):
        return list(doctor_ring.findings(self.machine(files, **more), versions.torc(build)))

    def only(self, found, id_):
        chosen = [finding for finding in found if finding.id == id_]
        self.assertEqual(len(chosen), 1, f"{id_} in {[f.id for f in found]}")
        return chosen[0]


class Refusals(Case):
    """Each has its own words and its own way out."""

    def refused(self, reason, files=None, **more):
        (found,) = self.ring(self.checked(available=False, reason=reason, features={}), files, **more)
        self.assertEqual(found.level, "fail")
        self.assertIn("epoll can still be measured", found.text)
        return found

    def test_kernels_and_switches(self):
        all_of = "^sysctl -w kernel.io_uring_disabled=0$"
        old = "this kernel's io_uring is too old (needs Linux 5.17 or newer)"
        for reason, files, id_, words, remedy in (
            (HIDDEN, release("4.19.0-27-amd64", 0), "kernel", "4.19.0-27-amd64 is too old", "6.1"),
            (HIDDEN, release("5.0.1", 2), "kernel", "5.0.1 is too old", "6.1"),
            (old, {}, "kernel", "IORING_FEAT_CQE_SKIP", "6.1"),
            (
                "io_uring is switched off",
                {DISABLED: "2"},
                "disabled",
                "for everyone: kernel.io_uring_disabled=2",
                all_of,
            ),
        ):
            with self.subTest(id_, reason=reason):
                found = self.refused(reason, files)
                self.assertEqual(found.id, f"io-uring-{id_}")
                self.assertIn(words, found.text)
                self.assertRegex(found.remedy, remedy)

    def test_disabled_but_for_a_group(self):
        files = {
            DISABLED: "1",
            "proc/sys/kernel/io_uring_group": "984",
            "proc/self/status": "CapEff:\t0000000000000000\nGroups:\t4 27\nSeccomp:\t2\n",
        }
        found = self.refused(DENIED, files)
        self.assertEqual(found.id, "io-uring-disabled")
        self.assertIn("CAP_SYS_ADMIN", found.text)
        self.assertIn("join group 984", found.remedy)
        files["proc/sys/kernel/io_uring_group"] = "-1"
        self.assertIn("io_uring_group", self.refused(DENIED, files).remedy)

    def test_disabled_for_others_is_not_why_this_process_is_refused(self):
        files = {DISABLED: "1", "proc/sys/kernel/io_uring_group": "984"}
        for status in (
            "CapEff:\t000001ffffffffff\nGroups:\t\nSeccomp:\t2\n",
            "CapEff:\t0000000000000000\nGroups:\t4 984\nSeccomp:\t2\n",
        ):
            found = self.refused(DENIED, {**files, "proc/self/status": status})
            self.assertEqual(found.id, "io-uring-seccomp")

    def test_what_else_refuses(self):
        filtered = {"proc/self/status": "Name:\tx\nSeccomp:\t2\n"}
        for reason, files, locked, id_, remedy in (
            (DENIED, filtered, -1, "seccomp", "io_uring_setup, io_uring_enter and io_uring_register"),
            (HIDDEN, filtered, -1, "seccomp", "--security-opt"),
            (HIDDEN, None, -1, "absent", "6.1"),
            (DENIED, None, -1, "denied", "audit"),
            (NO_MEMORY, None, 65536, "memlock", "ulimit -l"),
            (NO_MEMORY, None, -1, "memory", "free memory"),
        ):
            with self.subTest(id_, reason=reason):
                found = self.refused(reason, files, locked=(locked, locked))
                self.assertEqual(found.id, f"io-uring-{id_}")
                self.assertIn(remedy, found.remedy)
        self.assertIn("only 64 KiB may be locked", self.refused(NO_MEMORY, locked=(65536, 65536)).text)

    def test_anything_else_is_said_as_it_is(self):
        reason = "io_uring_setup failed: Too many open files"
        found = self.refused(reason, {"proc/self/status": "Seccomp:\t2\n"})
        self.assertEqual((found.id, found.remedy), ("io-uring-refused", None))
        self.assertIn(reason, found.text)


class Features(Case):
    def test_all(self):
        found = self.ring(self.checked())
        self.assertEqual([(f.id, f.level) for f in found], [("io-uring", "ok"), ("memlock", "ok")])
        self.assertEqual(found[0].text, f"io_uring works, with {', '.join(FEATURES)}")

    def test_what_is_missing_is_named_with_its_kernel(self):
        lacking = {**FEATURES, "coop-taskrun": False, "defer-taskrun": False, "no-sqarray": False}
        found = self.only(self.ring(self.checked(features=lacking)), "io-uring-features")
        self.assertEqual(found.level, "limit")
        self.assertIn("defer-taskrun (Linux 6.1), coop-taskrun (Linux 5.19), no-sqarray (Linux 6.6)", found.text)

    def test_what_the_engine_leaves_out_for_another_is_not_missing(self):
        found = self.ring(self.checked(features={**FEATURES, "coop-taskrun": False}))
        self.assertEqual([f.level for f in found], ["ok", "ok"])
        self.assertIn("coop-taskrun", found[0].text)

    def test_locked_memory(self):
        for depth, locked, level, words in (
            (1024, 65536, "limit", "64 KiB, too little for a ring of 4,096 entries"),
            (4096, 4096, "note", "4 KiB; rings are not counted"),
            (4096, 8 << 20, "ok", "8 MiB; a ring needs none"),
            (4096, -1, "ok", "no limit; a ring needs none"),
        ):
            found = self.only(self.ring(self.checked(depth=depth), locked=(locked, locked)), "memlock")
            self.assertEqual(found.level, level)
            self.assertIn(words, found.text)
            self.assertEqual(found.remedy is None, level == "ok")


class Unknown(Case):
    """Where no server says what io_uring gives, that is worth knowing and no more."""

    def test_before_anything_is_built(self):
        (found,) = self.ring(self.directory())
        self.assertEqual((found.id, found.level), ("no-build", "note"))
        self.assertIn("torc is not built yet", found.text)
        self.assertIn("bench/run builds it", found.remedy)

    def test_a_server_that_does_not_know_the_question(self):
        for printed in ("options are valid", "{}", "[1]", '{"engines": {"io_uring": null}}'):
            (found,) = self.ring(self.server(printed, status=2))
            self.assertEqual((found.id, found.level), ("no-check", "note"))
            self.assertIn("no --json", found.text)


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
        for files, level in (({governor: "schedutil"}, "limit"), ({governor: "performance"}, "ok"), ({}, "note")):
            self.assertEqual(self.only(self.found(files), "frequency").level, level)
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
        self.assertGreater(host.syscall_ns(), 0)

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
        for files, limits in (({}, (64, 128)), ({ports: "60000 60099"}, (1024, -1))):
            found = self.only(self.found(files, open_files=limits), "connections")
            self.assertIn("at most 0 connections", found.text)

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

    def report(self, build, *arguments):
        parser = argparse.ArgumentParser()
        doctor.add_options(parser)
        out = io.StringIO()
        machine = self.machine({"proc/self/status": "Seccomp:\t2\n"})
        with mock.patch.object(doctor, "Machine", return_value=machine), contextlib.redirect_stdout(out):
            status = doctor.run(parser.parse_args(["--build", str(build), *arguments]))
        return status, out.getvalue()

    def test_exit_and_words(self):
        status, text = self.report(self.checked())
        self.assertEqual(status, 0)
        self.assertIn("As it should be:", text)
        self.assertNotIn("impossible", text)
        status, text = self.report(self.checked(available=False, reason=DENIED))
        self.assertEqual(status, 1)
        self.assertTrue(text.startswith("What makes comparing io_uring impossible here:\n"))
        self.assertIn("remedy: allow io_uring_setup", text)
        self.assertLessEqual(max(map(len, text.splitlines())), doctor.WIDTH)

    def test_json(self):
        status, text = self.report(self.checked(available=False, reason=DENIED), "--json")
        content = json.loads(text)
        self.assertEqual(status, 1)
        self.assertEqual(content["findings"][0]["id"], "io-uring-seccomp")
        self.assertEqual(set(content["findings"][0]), {"id", "level", "text", "remedy"})
        self.assertLessEqual({"torc", "compiler", "matplotlib", "nginx"}, set(content["versions"]))

    def test_conclusion(self):
        of = Finding("x", "limit", "y")
        self.assertIn("1 thing limits", doctor.conclusion([of]))
        self.assertIn("2 things limit", doctor.conclusion([of, of]))
        self.assertIn("Nothing limits", doctor.conclusion([]))

    def test_missing_parts(self):
        found = list(doctor.of_versions({"python": "3.11", "torc": None, "matplotlib": None}))
        self.assertIn("tools/setup --bench", self.only(found, "no-matplotlib").remedy)
        self.assertEqual(self.only(found, "versions").text, "python 3.11")

    def test_versions_of_a_build(self):
        build = self.server("torc 1.2.3")
        info = build / "meson-info"
        info.mkdir()
        (info / "intro-compilers.json").write_text('{"host":{"c":{"full_version":"cc 9"}}}')
        (info / "intro-dependencies.json").write_text(
            '[{"name":"liburing","version":"2.99"},{"name":"libllhttp","version":"9.99"}]'
        )
        found = versions.versions(build)
        parts = ("compiler", "liburing", "llhttp", "torc")
        self.assertEqual([found[part] for part in parts], ["cc 9", "2.99", "9.99", "1.2.3"])
        self.assertIsNone(versions.versions(self.directory())["torc"])

    def test_every_finding_of_the_catalogue_is_of_a_level_and_has_words(self):
        for name, entry in CATALOGUE.items():
            with self.subTest(name):
                self.assertIn(entry["level"], LEVELS)
                self.assertTrue(entry["text"])
                self.assertLessEqual(set(entry), {"level", "text", "remedy"})

    def test_helpers(self):
        self.assertEqual(parse_cpu_list("0-2,5"), {0, 1, 2, 5})
        self.assertEqual(parse_cpu_list(""), set())
        self.assertEqual([size(0), size(65536), size(3 * GIB), size(1536)], ["0 bytes", "64 KiB", "3.0 GiB", "1.5 KiB"])


if __name__ == "__main__":
    unittest.main()
