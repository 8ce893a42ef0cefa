"""What the documents name in the code is there: files, and functions or tables in them."""

import re
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
EXAMPLES = "tests/install/examples/README.md"
DOCUMENTS = ["README.md", "src/README.md", "tests/README.md", "bench/README.md", ".github/CONTRIBUTING.md", EXAMPLES]

COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', re.S)
LENGTHS = re.compile(r"^\| `(\w+\.c)` \| (\d+) \| (\d+) \| ([\d.]+) \|$", re.M)  # in EXAMPLES

QUOTED = re.compile(r"`([^`\n]+)`")
PLACE = re.compile(r"((?:\w+/)*\w+\.(?:[chS]|py)):(\w+)")  # file:name
NAMED = re.compile(r"(?:\w+/)*\w+\.[chS]")
OPTION = re.compile(r'\{"([a-z0-9-]+)",((?:[^{}]|\{[^{}]*\})*)\}')  # of the server, in its table
LINK = re.compile(r"\]\(([^)#:]+)\)")


def sources() -> dict[str, str]:
    found = [p for folder in ("src", "tests", "include", "bench") for p in (TOP / folder).rglob("*") if p.is_file()]
    return {str(p.relative_to(TOP)): p.read_text() for p in found if p.suffix in (".c", ".h", ".S", ".py")}


SOURCES = sources()


def files_named(name: str) -> list[str]:
    return [text for path, text in SOURCES.items() if f"/{path}".endswith(f"/{name}")]


def code_lines(text: str) -> int:
    """Without blank lines and comments."""
    code = COMMENT_OR_TEXT.sub(lambda found: found[0] if found[0][0] == '"' else "", text)
    return sum(bool(line.strip()) for line in code.splitlines())


class Documents(unittest.TestCase):
    def test_names_are_in_the_code(self) -> None:
        for document in DOCUMENTS:
            for quoted in QUOTED.findall((TOP / document).read_text()):
                with self.subTest(document=document, quoted=quoted):
                    if place := PLACE.fullmatch(quoted):
                        there = any(re.search(rf"\b{place[2]}\b", text) for text in files_named(place[1]))
                        self.assertTrue(there, f"{document} names {quoted}, which is not there")
                    elif NAMED.fullmatch(quoted):
                        self.assertTrue(
                            files_named(quoted) or "NAME" in quoted, f"{document} names {quoted}, which is not there"
                        )

    def test_links_lead_somewhere(self) -> None:
        for document in DOCUMENTS:
            folder = (TOP / document).parent
            for target in LINK.findall((TOP / document).read_text()):
                with self.subTest(document=document, target=target):
                    self.assertTrue((folder / target).exists(), f"{document} links to {target}, which is not there")

    def test_what_a_reload_changes(self) -> None:
        """Each option is in its row of the table, by name or by its group of --help."""
        text = (TOP / "README.md").read_text()
        yes, no = (
            set(re.findall(r"`--([a-z-]+)`", re.search(rf"^\| {row} \|.*", text, re.M)[0])) for row in ("yes", "no")
        )
        options = OPTION.findall(SOURCES["src/serve/options_table.c"])
        self.assertGreater(len(options), 60)
        for name, rest in options:
            with self.subTest(name):
                if any(one in rest for one in (".command = true", "GROUP_OTHER", "GROUP_ENGINE", "GROUP_RING")):
                    self.assertNotIn(".reload", rest)
                elif ".reload = true" in rest:
                    self.assertTrue(name in yes or "GROUP_LIMITS" in rest)
                else:
                    self.assertIn(name, no)

    def test_examples_are_as_long_as_is_told(self) -> None:
        table = LENGTHS.findall((TOP / EXAMPLES).read_text())
        self.assertEqual(len(table), 5)
        for name, lines, go, ratio in table:
            with self.subTest(name):
                self.assertEqual(int(lines), code_lines(SOURCES[f"tests/install/examples/{name}"]))
                self.assertEqual(float(ratio), round(int(lines) / int(go), 2))
                self.assertLessEqual(float(ratio), 1.5)


if __name__ == "__main__":
    unittest.main()
