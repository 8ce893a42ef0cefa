"""CPU readings and the ending of children."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import context
from lib import ending, load, proc


class Cpu(unittest.TestCase):
    def test_a_thread_that_ended_counts(self):
        before, used = proc.cpu_ns([os.getpid()]), []

        def work():
            sum(range(2_000_000))
            used.append(time.thread_time_ns())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertGreaterEqual(proc.cpu_ns([os.getpid()]) - before, used[0])

    def test_several_processes_are_added_up(self):
        child = subprocess.Popen(["sh", "-c", "kill -STOP $$"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        self.assertEqual(proc.cpu_ns([child.pid, child.pid]), 2 * proc.cpu_ns([child.pid]))

    def test_a_process_that_ended_is_gone(self):
        ended = subprocess.Popen(["true"])
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        for state in ("not reaped", "reaped"):
            with self.subTest(state), self.assertRaisesRegex(proc.Gone, "a process of the server"):
                proc.cpu_ns([os.getpid(), ended.pid])
            ended.wait()


class Children(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.log = Path(directory.name) / "log"

    def start(self, script):
        child = proc.Child(["sh", "-c", script], [], self.log)
        self.addCleanup(child.stop)
        return child

    def test_reads_the_ready_line(self):
        child = self.start("echo 'torc: ready http://127.0.0.1:81 engine=epoll' >&2; sleep 60")
        self.assertEqual(child.ready_url(), "http://127.0.0.1:81")

    def test_says_why_a_child_ended(self):
        child = self.start("echo 'torc: no such engine' >&2; exit 2")
        with self.assertRaisesRegex(proc.ProcessError, r"ended \(2\): torc: no such engine"):
            child.ready_url()

    def test_a_full_directory_is_named(self):
        """By who cannot say why it failed, for that was to be written there."""
        full = mock.Mock(f_bfree=3, f_bavail=3, f_frsize=4096, f_blocks=10**6, f_ffree=9, f_files=10)
        without_inodes = mock.Mock(
            f_bfree=10**5, f_bavail=10**5, f_frsize=4096, f_blocks=10**6, f_ffree=0, f_files=10
        )
        boundless = mock.Mock(f_bfree=0, f_bavail=0, f_frsize=4096, f_blocks=0, f_ffree=0, f_files=0)
        said = f" ({self.log.parent} is full: make room there, or set TMPDIR to another directory)"
        for found, more in ((full, said), (without_inodes, said), (boundless, "")):
            with mock.patch.object(os, "statvfs", return_value=found):
                with self.assertRaises(proc.ProcessError) as raised:
                    self.start("exit 1").ready_url()
                self.assertEqual(str(raised.exception), f"sh ended (1): it printed nothing{more}")
                child = self.start("exit 0")
                self.assertEqual(child.wait(60), 0)
                with self.assertRaises(proc.ProcessError) as raised:
                    load.written(self.log.with_name("none"), child)
                self.assertEqual(str(raised.exception), f"torc-load wrote no report: it printed nothing{more}")
                with mock.patch.object(proc, "READY_SECONDS", 0.1), self.assertRaises(proc.ProcessError) as raised:
                    self.start("exec sleep 60").ready_url()
                self.assertTrue(str(raised.exception).endswith(f"is not ready after 0 s{more}"), raised.exception)

    def test_a_missing_program_is_named(self):
        with self.assertRaisesRegex(proc.ProcessError, "no-such-program-here"):
            proc.Child(["no-such-program-here"], [], self.log)

    def test_stop_ends_the_whole_group(self):
        child = self.start("sleep 60 & echo 'ready http://127.0.0.1:1 x' >&2; wait")
        child.ready_url()
        members = proc.family(child.pid)
        self.assertEqual(len(members), 2)
        child.stop()
        for _ in range(500):
            if not any(context.runs(pid) for pid in members):
                return
            time.sleep(0.01)
        self.fail("a member of the group still runs")

    def test_a_family_is_the_same_with_a_table_of_all_processes(self):
        child = self.start("sh -c 'sleep 60 & echo ready http://127.0.0.1:1 x >&2; wait' & wait")
        child.ready_url()
        members = proc.family(child.pid)
        self.assertEqual(len(members), 3)
        self.assertEqual(sorted(proc.family(child.pid, proc.processes())), sorted(members))
        child.stop()
        self.assertEqual(proc.family(child.pid), [child.pid])

    def descendants(self, child, count):
        """Waits for the numbers that a script wrote to its stderr."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = [int(word) for word in child.log.read_text().split()]
            if len(found) == count:
                return found
            time.sleep(0.01)
        self.fail("it did not start them")

    def test_stop_ends_what_left_the_session(self):
        child = self.start("setsid sh -c 'echo $$ >&2; sleep 60 & echo $! >&2; wait' & wait")
        found = self.descendants(child, 2)
        child.stop()
        self.assertEqual([pid for pid in found if Path(f"/proc/{pid}").exists()], [])

    def test_stop_ends_a_daemon_and_nothing_else(self):
        daemon = "setsid sh -c 'echo $$ >&2; sleep 60 & echo $! >&2; wait' & exit"
        one, other = self.start(daemon), None
        first = self.descendants(one, 2)
        self.log = self.log.with_name("other")
        other = self.start(daemon)
        second = self.descendants(other, 2)
        stranger = subprocess.Popen(["sleep", "60"])  # a child of ours that is none of theirs
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        one.stop()
        self.assertEqual([pid for pid in first if Path(f"/proc/{pid}").exists()], [])
        self.assertTrue(all(context.runs(pid) for pid in second))
        other.stop()
        self.assertEqual([pid for pid in second if Path(f"/proc/{pid}").exists()], [])
        self.assertTrue(context.runs(stranger.pid))

    def test_stop_ends_a_daemon_that_hides_its_origin(self):
        script = f"""if True:
            import sys, time; sys.path.insert(0, {str(context.TOP / "bench")!r})
            from pathlib import Path; from lib import proc
            log = Path({str(self.log)!r})
            child = proc.Child(["sh", "-c", "exec env -i setsid sh -c 'echo $$ >&2; sleep 60' &"],
                               [], log)
            while not log.read_text().endswith("\\n"):
                time.sleep(0.01)
            child.stop()
            print(Path("/proc", log.read_text().strip()).exists())"""
        done = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("False\n", ""))

    def test_stop_kills_what_does_not_listen(self):
        seconds, proc.STOP_SECONDS = proc.STOP_SECONDS, 0.2
        self.addCleanup(setattr, proc, "STOP_SECONDS", seconds)
        child = self.start("trap '' TERM; echo 'ready http://127.0.0.1:1 x' >&2; sleep 60 & wait; wait")
        child.ready_url()
        child.stop()
        self.assertEqual(child.process.returncode, -signal.SIGKILL)

    def signalled(self, called):
        """The function, with a signal that asks to end before it returns: a thread of a library takes it."""

        def function(*arguments, **named):
            result = called(*arguments, **named)
            taker = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
            taker.start()
            taker.join()
            return result

        return function

    def expecting_signals(self):
        for number in ending.ENDING_SIGNALS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        ending.expect()

    def test_a_signal_beside_a_start_loses_no_child(self):
        self.expecting_signals()
        with mock.patch.object(subprocess, "Popen", self.signalled(subprocess.Popen)):
            with self.assertRaises(ending.Ended) as raised:
                proc.Child(["sleep", "60"], [], self.log)
        (child,) = proc.Child.living
        self.addCleanup(child.stop)
        self.assertEqual(raised.exception.number, signal.SIGTERM)
        child.stop()
        self.assertEqual(child.process.returncode, -signal.SIGTERM)

    def test_a_signal_beside_the_end_of_a_child_keeps_its_status(self):
        child = self.start("exit 3")
        self.expecting_signals()
        with mock.patch.object(os, "wait4", self.signalled(os.wait4)):
            with self.assertRaises(ending.Ended):
                child.wait(60)
        self.assertEqual(child.wait(60), 3)


if __name__ == "__main__":
    unittest.main()
