"""L, P and A of a sample, from readings of the server's sums."""

import http.server
import json
import threading
import types
import unittest

import context  # noqa: F401
from lib import measures


def reading(wall, lifetime, code, held, peaks=(1, 1)):
    return dict(zip((*measures.SUMS, *measures.PEAKS), (wall, lifetime, code, held, *peaks)))


def window(*readings):
    made = measures.Window(types.SimpleNamespace(admin=None), 0, 0)
    made.readings = list(readings)
    return made


class Measures(unittest.TestCase):
    def test_one_window(self):
        # One client on one core: 10 ms of computing, 10 ms of waiting, 100 times.
        found = measures.of([window(reading(5, 3, 3, 3), reading(7, 5, 4, 4))])
        self.assertEqual((found["concurrency"], found["parallelism"], found["asynchrony"]), (1, 0.5, 0.5))

    def test_windows_add_up_and_the_last_peak_counts(self):
        parts = [
            window(reading(0, 0, 0, 0), reading(1, 10, 1, 1, (12, 1))),
            window(reading(8, 10, 1, 1), reading(9, 40, 4, 4, (40, 2))),
            window(reading(9, 40, 4, 4)),  # it ended early
        ]
        found = measures.of(parts)
        self.assertEqual((found["concurrency"], found["parallelism"], found["asynchrony"]), (20, 2, 0.9))
        self.assertEqual((found["concurrency_peak"], found["parallelism_peak"]), (40, 2))

    def test_a_held_thread(self):
        found = measures.of([window(reading(0, 0, 0, 0), reading(1, 5, 0.1, 5, (5, 1)))])
        self.assertEqual(found["asynchrony"], 0)

    def test_the_mean_is_no_more_than_the_peak(self):
        # Eight requests that came before the first reading, and were read after it.
        found = measures.of([window(reading(1, 0, 0, 0, (8, 1)), reading(2, 8.1, 1, 1, (8, 1)))])
        self.assertEqual(found["concurrency"], 8)

    def test_unknown(self):
        self.assertEqual(measures.of([]), {})
        self.assertEqual(measures.of([window(reading(0, 0, 0, 0), reading(1, 0, 0, 0))]), {})

    def test_reads_twice_in_the_background(self):
        seen = []

        class Admin(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                seen.append(self.path)
                n = len(seen)
                body = json.dumps({"measures": reading(n, 4 * n, n, n, (4, 1))}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Admin) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            subject = types.SimpleNamespace(admin=server.server_address[:2])
            with measures.Window(subject, 0, 0) as both:
                both.thread.join(10)
            server.shutdown()
        self.assertEqual(seen, ["/stats.json"] * 2)
        self.assertEqual(measures.of([both])["concurrency"], 4)

    def test_other_servers_are_not_asked(self):
        with measures.Window(types.SimpleNamespace(admin=None), 0, 0) as none:
            pass
        self.assertEqual(none.readings, [])


if __name__ == "__main__":
    unittest.main()
