"""Splitting and comparing answers."""

import unittest

import context  # noqa: F401
from lib import answers

HEAD = b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 13:00:00 GMT\r\nContent-Length: 2\r\n\r\n"
LATER = HEAD.replace(b"13:00:00", b"13:00:01")


class Split(unittest.TestCase):
    def test_head_body_and_rest(self):
        self.assertEqual(answers.split(HEAD + b"okHTTP"), (HEAD, b"ok", b"HTTP"))

    def test_every_prefix_is_incomplete(self):
        whole = HEAD + b"ok"
        for length in range(len(whole)):
            self.assertIsNone(answers.split(whole[:length]), length)

    def test_needs_a_length(self):
        with self.assertRaises(answers.AnswerError):
            answers.split(b"HTTP/1.1 200 OK\r\n\r\n")

    def test_length_as_the_last_field_and_in_any_case(self):
        head = b"HTTP/1.1 200 OK\r\ncontent-length:1\r\n\r\n"
        self.assertEqual(answers.split(head + b"x"), (head, b"x", b""))


class Checked(unittest.TestCase):
    def test_dates_do_not_count(self):
        self.assertEqual(answers.checked([(HEAD, b"ok"), (LATER, b"ok")], whole=True),
                         answers.checked([(LATER, b"ok")], whole=True))  # fmt: skip

    def test_any_other_byte_counts(self):
        other = HEAD.replace(b"Content", b"content")
        self.assertNotEqual(answers.checked([(HEAD, b"ok")], whole=True),
                            answers.checked([(other, b"ok")], whole=True))  # fmt: skip
        self.assertEqual(answers.checked([(HEAD, b"ok")], whole=False),
                         answers.checked([(other, b"ok")], whole=False))  # fmt: skip

    def test_masks_only_the_date(self):
        text = answers.checked([(HEAD, b"Date: ok")], whole=True)
        self.assertIn(b"\r\nDate: *\r\nContent-Length: 2\r\n", text)

    def test_one_server_has_one_answer(self):
        with self.assertRaises(answers.AnswerError):
            answers.checked([(HEAD, b"ok"), (HEAD, b"no")], whole=True)

    def test_only_200_will_do(self):
        with self.assertRaisesRegex(answers.AnswerError, "404 Not Found"):
            answers.checked([(HEAD.replace(b"200 OK", b"404 Not Found"), b"ok")], whole=False)


class Difference(unittest.TestCase):
    def test_says_where(self):
        self.assertTrue(answers.difference(b"abcd", b"abXd").startswith("at byte 2: "))
        self.assertTrue(answers.difference(b"ab", b"abc").startswith("at byte 2: "))


if __name__ == "__main__":
    unittest.main()
