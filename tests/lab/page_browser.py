"""page_browser.py TORC-LAB ENGINE [--screenshots DIR]: the page of torc-lab in a headless Chromium. Guess, run both
experiments, bars, verdict, measures, and a link that reproduces. Exits 77, saying why, without a browser."""

import argparse
import contextlib
import re
import socket
import struct
import subprocess
import sys
import threading
import unittest
from pathlib import Path

import context  # noqa: F401
import chromium
from lab_page import ANSWER, DRAWN, RUN_SECONDS, SIZES, VALUES, WIDER, WIDTHS, LabPage
from lib.lab import browser

SKIP = 77
LIMIT = 6  # requests of a browser to one server at the same time
READY = re.compile(r"torc: ready (http://\S+) ")
BARS = """[...document.querySelectorAll('#waterfall .request')].map(bar => ({
  title: bar.querySelector('title').textContent,
  parts: [...bar.querySelectorAll('rect')].map(e => e.getAttribute('class')).join(' '),
  outside: [...bar.querySelectorAll('rect')].some(e => {
    const b = e.getBoundingClientRect(), f = document.getElementById('frame').getBoundingClientRect();
    return b.left < f.left - 1 || b.right > f.right + 2 || b.bottom > f.bottom + 1;
  })}))"""
OVERLAPS = """[...document.querySelectorAll('#waterfall text')].filter((one, i, all) => all.slice(i + 1).some(other => {
  const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
  return a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3;
})).map(text => text.textContent)"""
PLACES = """[...document.querySelectorAll('h1, h2, fieldset, figure, table, pre')].map(
  e => `${e.id || e.tagName} ${Math.round(e.getBoundingClientRect().top + scrollY)}`)"""
UNNAMED = """[...document.querySelectorAll('input, select, button, a, svg, progress, [role=region]')].filter(e => !(
  e.textContent.trim() || e.ariaLabel || e.getAttribute('aria-labelledby') || (e.labels && e.labels.length))
  ).map(e => e.outerHTML)"""
ROWS = "[...document.querySelectorAll('#table tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
TYPED = """(() => {
  const input = document.getElementById('p-n');
  input.value = 1e9;
  input.dispatchEvent(new Event('input', {bubbles: true}));
})()"""
OPTIONS = None


@contextlib.contextmanager
def waiting(url, count):
    """So many requests that wait for a minute; then their clients reset them."""
    host, port = url.removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(socket.create_connection((host, int(port))))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.sendall(b"GET /delay/60000 HTTP/1.1\r\nHost: a\r\n\r\n")
        yield


@contextlib.contextmanager
def server(*options):
    """A torc-lab; its address."""
    words = [OPTIONS.torc_lab, "--listen", "127.0.0.1:0", "--engine", OPTIONS.engine, *options]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    rest = None
    try:
        for line in child.stderr:
            if found := READY.search(line):
                rest = threading.Thread(target=child.stderr.read)
                rest.start()
                yield found[1]
                break
        else:
            raise AssertionError("the server does not start")
    finally:
        child.terminate()
        status = child.wait(RUN_SECONDS)
        if rest:
            rest.join()
        child.stderr.close()
    assert status == 0, f"the server ends with {status}"


class Page(LabPage):
    async def asyncSetUp(self):
        stack = contextlib.AsyncExitStack()
        self.addAsyncCleanup(stack.aclose)
        upstream = stack.enter_context(server())
        self.url = stack.enter_context(server("--upstream", upstream))
        self.bare = upstream
        self.page = await stack.enter_async_context(chromium.page())
        await self.page.look(WIDTHS[1], False)

    async def open(self, link="", url=None):
        await self.page.go(f"{url or self.url}/{link}")
        await self.page.until(f"{ANSWER.format('title')} !== ''")

    async def run_it(self):
        await self.started()
        await self.ended()

    async def look(self, name, scripts=True):
        """On a phone and on a desk, light and dark."""
        for width in WIDTHS:
            for dark in (False, True):
                await self.page.look(width, dark)
                if scripts:
                    await self.page.value(DRAWN)
                self.assertFalse(await self.page.value(WIDER), f"{name}: wider than {width} px")
                self.assertEqual(await self.page.value(OVERLAPS), [], f"{name} at {width} px")
                if OPTIONS.screenshots:
                    look = "dark" if dark else "light"
                    await self.page.picture(OPTIONS.screenshots / f"page-{name}-{width}-{look}.png")

    async def places(self, name):
        """Where the page has what one reads, at each size; none of it is cut off."""
        found = {}
        for width, times in SIZES:
            await self.sized(width, times)
            await self.nothing_is_cut(f"{name} at {width} px, text times {times}")
            found[width, times] = await self.page.value(PLACES)
        return found

    async def experiment(self, link, name, bars, width):
        """Guesses and runs; the figures, by row."""
        await self.page.look(width, False)
        await self.open(link)
        self.assertEqual(await self.page.value(UNNAMED), [])
        await self.page.value("document.querySelector('#choices input:last-of-type').click()")
        guessed, before = await self.page.value(VALUES), await self.places(name)
        await self.sized(width, 1)
        await self.run_it()
        self.assertEqual(await self.places(name), before, f"{name}: the page has moved what one reads")
        await self.sized(width, 1)
        self.assertIn("The run has ended", await self.text("status"))
        self.assertRegex(await self.text("verdict"), "^(So it is here|Not so here|Here): .{60}")
        self.assertRegex(await self.text("theory"), "^What arithmetic says: .{60}")
        self.assertNotIn(await self.text("guessed"), ("none", "–"))
        self.assertNotEqual(await self.text("found"), "–")
        drawn = await self.page.value(BARS)
        self.assertEqual(len(drawn), bars)
        self.assertTrue(all(bar["parts"].endswith("sent") and not bar["outside"] for bar in drawn), drawn)
        self.assertIn(f"Drawn: {bars} requests", await self.text("drawn"))
        rows = {row[0]: row[1:] for row in await self.page.value(ROWS)}
        for width in ("L", "P", "A"):
            self.assertRegex(rows[width][0] + rows[width][2], r"^\d+\.\d+$|^[\d.]+$")
        if OPTIONS.engine == "threads":
            self.assertEqual((float(rows["A"][0]), rows["A"][1]), (0, "0"))
        again = await self.page.value("location.hash")
        await self.open(again)
        self.assertEqual(await self.page.value(VALUES), {k: v for k, v in guessed.items() if k != "guess"})
        self.assertEqual(self.page.complaints, [])
        print(f"{name}: {bars} bars", flush=True)
        return rows, drawn

    async def test_the_client_decides(self):
        for width in WIDTHS:
            rows, drawn = await self.experiment("#client?n=9&ms=300", "client", 18, width)
            self.assertEqual(rows["Most in progress"][0], "1")
            self.assertTrue(2 <= int(rows["Most in progress"][2]) <= LIMIT, rows)
            self.assertEqual(rows["Most in progress"][3], str(LIMIT))
            self.assertTrue(any(bar["parts"] == "queue sent" for bar in drawn), "none has waited in the browser")
            self.assertGreaterEqual(float(rows["L"][2]), float(rows["L"][0]))
        await self.run_it()
        await self.look("client")

    async def test_awaiting_in_a_loop(self):
        for what, width in (("fetch", WIDTHS[0]), ("file", WIDTHS[1]), ("fetch", WIDTHS[1])):
            rows, _ = await self.experiment(f"#sequence?what={what}&n=5&ms=40", "sequence", 8, width)
            if what == "fetch":
                self.assertEqual(rows["Time, median"][1::2], ["200 ms", "40 ms"])
                self.assertGreaterEqual(float(rows["Time, median"][0].removesuffix(" ms")), 200)
        await self.run_it()
        self.assertIn("awaiting in a loop is sequential", await self.text("verdict"))
        await self.look("sequence")

    async def test_what_is_not_configured(self):
        """Said before a run, and when the server says so."""
        for what, option in (("fetch", "--upstream"), ("db", "--pg")):
            await self.open(f"#sequence?what={what}&n=5&ms=40", self.bare)
            said = await self.text("status")
            self.assertIn(f"started without {option}", said)
            self.assertIn(f"Start it with {option}", said)
            await self.page.value("document.getElementById('run').click()")
            await self.page.until("document.getElementById('status').className === 'failed'")
            self.assertRegex(await self.text("status"), rf"cannot show that \(501\): .*Start it with {option}")
            self.assertEqual(await self.text("verdict"), "The run brought no result.")
        self.assertTrue(self.page.complaints)
        self.assertTrue(all("501" in one["text"] for one in self.page.complaints), self.page.complaints)
        await self.open("#sequence", self.bare)
        self.assertEqual((await self.page.value(VALUES))["what"], "file")

    async def test_live(self):
        await self.open()
        await self.page.until("/^\\d/.test(document.getElementById('live-l').textContent)")
        self.assertIn(f"Engine {OPTIONS.engine}, ", await self.text("server"))
        with waiting(self.url, 3):
            await self.page.until("Number(document.getElementById('live-l').textContent) > 2.9")
            self.assertLess(float(await self.text("live-p")), 1)
            a = float(await self.text("live-a"))
            self.assertTrue(a == 0 if OPTIONS.engine == "threads" else a > 0.5, a)
        await self.page.value("document.getElementById('live').click()")
        await self.page.until(f"{ANSWER.format('live-l')} === '–'")
        self.assertEqual(self.page.complaints, [])

    async def test_keyboard_and_stop(self):
        await self.open("#client?n=20&ms=2000")
        await self.run_and_stop_by_keys()
        self.assertEqual(await self.text("status"), "Stopped.")
        await self.open("#client?n=20&ms=2000")
        await self.started()
        await self.page.value("document.querySelector('nav a[href=\"#sequence\"]').click()")
        await self.page.until(f"{ANSWER.format('title')}.startsWith('Awaiting')")
        await self.ended()
        self.assertIn("takes about", await self.text("status"))
        self.assertEqual(await self.text("drawn"), "No requests yet.")
        self.assertEqual(self.page.complaints, [])

    async def test_the_address(self):
        """What it holds, through other parts of the page and whatever is typed."""
        await self.open("#client?n=7&ms=30")
        await self.page.value("document.querySelector('nav a[href=\"#routes\"]').click()")
        await self.page.until("scrollY > 0")
        await self.page.until("location.hash === '#client?n=7&ms=30'")
        await self.page.value(TYPED)
        self.assertEqual(await self.page.value("location.hash"), "#client?n=48&ms=30")
        await self.page.value("document.getElementById('run').click()")
        self.assertEqual(await self.text("drawn"), "No requests yet.")  # the form is not valid
        await self.open("#nothing")
        self.assertEqual(await self.page.value("location.hash"), "#client?n=12&ms=200")
        self.assertEqual(self.page.complaints, [])

    async def test_without_javascript(self):
        await self.page.ask("Emulation.setScriptExecutionDisabled", value=True)
        await self.page.ask("Page.navigate", url=self.url + "/")
        await self.page.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        shown = await self.page.value("document.body.innerText")
        self.assertIn("need JavaScript", shown)
        self.assertIn("torc-load --connections 12 --requests 12", shown)
        self.assertIn("GET /plaintext", shown)
        self.assertNotIn("Your guess", shown)
        self.assertNotIn("This server, live", shown)
        await self.look("bare", False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("torc_lab")
    parser.add_argument("engine")
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("tests", nargs="*")
    OPTIONS = parser.parse_intermixed_args()
    if why := browser.missing():
        print(f"skipped: {why}")
        sys.exit(SKIP)
    unittest.main(argv=[sys.argv[0], *OPTIONS.tests], verbosity=2)
