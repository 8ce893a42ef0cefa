"""What the generator sends: methods, fields, bodies, placeholders and templates."""

import os
import threading

import rig
from rig import reply


class Requests(rig.Case):
    def test_method_fields_and_body_are_sent(self):
        server = self.each(reply())
        self.exact(
            server,
            4,
            "--connections",
            1,
            "--method",
            "PUT",
            "--header",
            "X-A: {seq:5}",
            "--body",
            "n={seq:9};{rand:3:3}",
        )
        for i, (first, fields, body) in enumerate(server.requests):
            self.assertEqual(first, b"PUT / HTTP/1.1")
            self.assertEqual(fields[b"host"], server.url[7:-1].encode())
            self.assertEqual(fields[b"x-a"], b"%d" % (5 + i))
            self.assertEqual(body, b"n=%d;3" % (9 + i))

    def test_sequences_are_unique(self):
        server = self.each(reply())
        done = self.run_load(
            "--requests", 60, "--connections", 6, "--pipeline", 3, "--cores", rig.two_cores(), server.url + "{seq:100}"
        )
        self.errors(done)
        self.assertEqual(len({first for first, _, _ in server.requests}), 60)

    def test_urls_are_requested_in_turn(self):
        server = self.each(reply())
        done = self.run_load("--requests", 9, "--connections", 1, server.url + "a", server.url + "b?c=d", server.url)
        self.errors(done)
        paths = [first.split()[1] for first, _, _ in server.requests]
        self.assertEqual(paths, [b"/a", b"/b?c=d", b"/"] * 3)

    def test_templates_are_sent_in_turn(self):
        for i, text in enumerate(
            ("GET /{seq:1} HTTP/1.1\r\nHost: a\r\n\r\n", "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        ):
            (self.scratch / f"{i}").write_text(text)
        server = self.each(reply())
        self.exact(server, 6, "--connections", 1, "--template", self.scratch / "0", "--template", self.scratch / "1")
        self.assertEqual(
            [r[0] for r in server.requests],
            [
                b"GET /1 HTTP/1.1",
                b"POST /b HTTP/1.1",
                b"GET /2 HTTP/1.1",
                b"POST /b HTTP/1.1",
                b"GET /3 HTTP/1.1",
                b"POST /b HTTP/1.1",
            ],
        )
        self.assertEqual(server.requests[1][2], b"hi")

    def test_uploads_to_the_lab_are_complete(self):
        _, url, _ = self.lab()
        n = 20 << 20
        for options in (["--chunked"], []):
            done = self.run_load(
                "--requests", 4, "--connections", 2, "--body-size", "20m", *options, "--expect-body", n, url + "/upload"
            )
            self.errors(done)
            self.assertGreaterEqual(done.json["bytes_out"], 4 * n)
        body = self.scratch / "body"
        body.write_bytes(os.urandom(300000))
        done = self.run_load(
            "--requests",
            4,
            "--connections",
            2,
            "--body-file",
            body,
            "--chunked",
            "--expect-body-file",
            body,
            url + "/echo",
        )
        self.errors(done)

    def test_a_body_can_come_from_a_pipe(self):
        path = self.scratch / "pipe"
        os.mkfifo(path)

        def write():
            with open(path, "wb") as pipe:
                pipe.write(b"p" * 100_000)

        thread = threading.Thread(target=write)
        thread.start()
        server = self.each(reply())
        self.errors(self.run_load("--requests", 1, "--connections", 1, "--body-file", path, server.url))
        thread.join()
        self.assertEqual(server.requests[0][2], b"p" * 100_000)

    def test_a_server_on_ipv6_is_reached(self):
        _, url, _ = (
            self.lab("--listen", "[::1]:0") if os.path.exists("/proc/net/if_inet6") else self.skipTest("no IPv6")
        )
        log = (self.scratch / "lab.log").read_text()
        six = next((w for w in log.split() if w.startswith("http://[::1]")), None)
        if six is None:
            self.skipTest("no IPv6")
        done = self.run_load("--requests", 5, six + "/plaintext", "--expect-body", "Hello, World!")
        self.errors(done)
