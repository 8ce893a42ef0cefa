"""Splitting and comparing answers."""

import io
import socket
import threading
import unittest

import context  # noqa: F401
from lib import answers

HEAD = b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 13:00:00 GMT\r\nContent-Length: 2\r\n\r\n"
LATER = HEAD.replace(b"13:00:00", b"13:00:01")


def read(data):
    stream = io.BytesIO(data)
    return (*answers.read(stream), stream.read())


class Read(unittest.TestCase):
    CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def test_head_body_and_rest(self):
        self.assertEqual(read(HEAD + b"okHTTP"), (HEAD, b"ok", b"HTTP"))

    def test_every_prefix_is_incomplete(self):
        whole = HEAD + b"ok"
        for length in range(len(whole)):
            with self.subTest(length), self.assertRaises(answers.AnswerError):
                read(whole[:length])

    def test_needs_a_length(self):
        with self.assertRaises(answers.AnswerError):
            read(b"HTTP/1.1 200 OK\r\n\r\n")

    def test_length_as_the_last_field_and_in_any_case(self):
        head = b"HTTP/1.1 200 OK\r\ncontent-length:1\r\n\r\n"
        self.assertEqual(read(head + b"x"), (head, b"x", b""))

    def test_chunks_are_put_together(self):
        body = b"2\r\nab\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n"
        self.assertEqual(read(self.CHUNKED + body + b"HTTP"), (self.CHUNKED, b"ab0123456789abcdef", b"HTTP"))

    def test_chunks_have_to_be_whole(self):
        for body in (b"", b"2\r\na", b"5\r\nab\r\n"):
            with self.subTest(body), self.assertRaises(answers.AnswerError):
                read(self.CHUNKED + body)


class Exchange(unittest.TestCase):
    def serve(self, *pieces):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def run():
            connection, _ = listener.accept()
            with connection:
                for piece in pieces:
                    connection.recv(4096)
                    connection.sendall(piece)
                connection.recv(4096)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)
        return listener.getsockname()[1]

    def test_one_after_another(self):
        port = self.serve(HEAD + b"ab", HEAD + b"cd")
        self.assertEqual(answers.exchange("127.0.0.1", port, [b"x", b"y"]), [(HEAD, b"ab"), (HEAD, b"cd")])

    def test_all_at_once(self):
        port = self.serve((HEAD + b"ab") * 3)
        self.assertEqual(answers.exchange("127.0.0.1", port, [b"x"] * 3, pipelined=True), [(HEAD, b"ab")] * 3)

    def test_more_than_was_asked_for_is_wrong(self):
        port = self.serve(HEAD + b"ab" + b"HTTP")
        with self.assertRaisesRegex(answers.AnswerError, "4 bytes more"):
            answers.exchange("127.0.0.1", port, [b"x"])


class Masked(unittest.TestCase):
    def test_dates_do_not_count(self):
        self.assertEqual(answers.masked(HEAD), answers.masked(LATER))

    def test_any_other_byte_counts(self):
        other = HEAD.replace(b"Content", b"content")
        self.assertNotEqual(answers.masked(HEAD), answers.masked(other))


class Difference(unittest.TestCase):
    def test_says_where(self):
        self.assertTrue(answers.difference(b"abcd", b"abXd").startswith("at byte 2: "))
        self.assertTrue(answers.difference(b"ab", b"abc").startswith("at byte 2: "))


if __name__ == "__main__":
    unittest.main()
