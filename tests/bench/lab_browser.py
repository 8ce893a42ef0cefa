"""lab_browser.py BUILD [--screenshots DIR] [EXPERIMENT...]: the page of torc-bench lab in a headless Chromium, with
real servers and short runs: guess, run, waterfall, verdict, and a link that reproduces. Exits 77, saying why, without
a browser."""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import aiohttp
import chromium
import context
from aiohttp import web
from lab_page import ANSWER, CUT, DRAWN, RUN_SECONDS, SIZES, VALUES, WIDER, WIDTHS, LabPage

from lib import explain
from lib.lab import browser
from lib.labpage import server

SMALL = {  # parameters that the page is given
    "models": {"connections": 40, "delay_ms": 10, "threads": 4},
    "compute": {"heavy_ms": 5, "heavy_rate": 20, "cores": 1, "engine": "epoll"},
    "faster": {"compute_ms": 2, "rounds": 1},
    "sequence": {"count": 3, "wait_ms": 5, "engine": "epoll"},
    "abuse": {"rounds": 1, "engine": "epoll"},
    "overload": {"percent": 200, "engine": "epoll"},
    "database": {"percent": 200, "engine": "epoll"},
    "stack": {"service_ms": 20, "query_ms": 40, "engine": "epoll"},
    "concurrent": {"connections": 100, "delay_ms": 50, "engine": "epoll"},
}
SKIP = 77
VISITED = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: {}\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1"
GUESS = """(() => {
  const choice = document.querySelector('#choices input[type=radio]'), slider = document.querySelector('#amount');
  if (choice) choice.click();
  else { slider.value = 150; slider.dispatchEvent(new Event('input')); }
})()"""
# The step that is shown: how many requests it says that it has, and how many bars there are.
COUNTS = """(() => {
  const drawn = document.getElementById('drawn'), bars = document.querySelectorAll('#waterfall .request');
  return {said: Number((drawn.textContent.match(/([0-9,]+) requests? on/) || [0, '0'])[1].replace(/,/g, '')),
    bars: bars.length, empty: [...bars].filter(bar => !bar.querySelector('rect')).length,
    overlaps: [...document.querySelectorAll('#waterfall text')].filter((one, i, all) => all.slice(i + 1).some(other => {
      const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
      return a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3;
    })).map(text => text.textContent),
    outside: [...document.querySelectorAll('#waterfall rect, #waterfall text')].filter(rect => {
      const b = rect.getBoundingClientRect(), f = document.getElementById('frame').getBoundingClientRect();
      return b.left < f.left - 1 || b.right > f.right + 1 || b.bottom > f.bottom + 1;
    }).map(e => e.outerHTML)};
})()"""
# The requests that wait for a thread: only a queue, in the step that is shown.
THREADLESS = """[...document.querySelectorAll('#waterfall .request')].filter(bar => bar.textContent.startsWith(
  'no thread yet,') && [...bar.querySelectorAll('rect')].every(e => e.matches('.queue'))).length"""
# The pictures of the result: what is wrong with them.
WRONG = """(() => {
  const wrong = [], plots = [...document.querySelectorAll('svg.plot')];
  if (!plots.length) wrong.push('no picture');
  for (const plot of plots) {
    const name = plot.getAttribute('aria-label'), frame = plot.getBoundingClientRect();
    if (plot.getAttribute('role') !== 'img' || name.length < 60) wrong.push(`no words: ${name}`);
    if (!plot.querySelector('.mark')) wrong.push(`nothing is drawn: ${name}`);
    const texts = [...plot.querySelectorAll('text')], boxes = texts.map(text => text.getBoundingClientRect());
    for (const box of [...boxes, ...[...plot.querySelectorAll('.mark')].map(mark => mark.getBoundingClientRect())])
      if (box.left < frame.left - 4 || box.right > frame.right + 4 || box.bottom > frame.bottom + 1)
        wrong.push(`outside: ${name}`);
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
        wrong.push(`${texts[i].textContent} lies on ${texts[i + 1 + j].textContent}`);
    }));
  }
  return wrong;
})()"""
HIDDEN = """[...document.querySelectorAll('#result .scroll')].filter(
  e => e.scrollWidth > e.clientWidth + 1).map(e => e.ariaLabel + ' ' + e.scrollWidth)"""
PLACES = """[...document.querySelectorAll('h1, h2, fieldset, #waterfall, .legend')].map(
  e => Math.round(e.getBoundingClientRect().top + scrollY))"""
# While it runs: each place where the page has what one reads, and each text that is cut off.
WATCH = f"""(() => {{
  window.seen = {{places: {{}}, cut: {{}}}};
  new MutationObserver(() => {{
    if (!running || document.getElementById('verdict')) return;
    seen.places[{PLACES}] = document.getElementById('step').textContent;
    for (const text of {CUT}) seen.cut[text] = true;
  }}).observe(document.querySelector('main'), {{subtree: true, childList: true, characterData: true}});
}})()"""
CODE = """(() => {
  const [node, c] = ['.code > pre', '.code details pre'].map(one => document.querySelector(one));
  return node.checkVisibility() && !c.checkVisibility() && node.textContent.includes('async function');
})()"""
# In the strip of experiments.
CHOSEN = """(() => {
  const list = document.querySelector('nav ul'), room = list.getBoundingClientRect();
  const a = list.querySelector('[aria-current]').getBoundingClientRect();
  return list.scrollWidth <= list.clientWidth || a.left >= room.left - 1 && a.right <= room.right + 1;
})()"""
UNNAMED = """[...document.querySelectorAll('input, select, button, summary, a')].filter(e => !(e.textContent.trim() ||
  e.ariaLabel || e.getAttribute('aria-labelledby') || (e.labels && e.labels.length))).map(e => e.outerHTML)"""
# All of a step at once, after a button was pressed that leads to it: each question apart would be a way to the browser.
STEP = f"""(button => {{
  if (button) document.getElementById(button).click();
  return {{counts: {COUNTS}, cut: {CUT}, wider: {WIDER}, places: {PLACES}, text: {ANSWER.format('step')},
    back: !document.getElementById('back').disabled, forth: !document.getElementById('forth').disabled}};
}})"""
OPTIONS = None


class Page(LabPage):
    async def asyncSetUp(self):
        stack = contextlib.AsyncExitStack()
        self.addAsyncCleanup(stack.aclose)
        directory = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        program = (sys.executable, "-B", str(context.TOP / "tests/bench/lab_run.py"))
        stack.enter_context(mock.patch.object(server, "PROGRAM", program))
        stack.enter_context(mock.patch.dict("os.environ", {"TMPDIR": directory}))  # for a lock of its own
        self.lab = server.Lab(OPTIONS.build)
        runner = web.AppRunner(self.lab.application())
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.lab.port = runner.addresses[0][1]
        self.page = await stack.enter_async_context(chromium.page())
        self.url = f"http://127.0.0.1:{self.lab.port}/{self.lab.token}/"

    async def open(self, link):
        await self.page.go(f"{self.url}#{link}")
        await self.page.until("document.getElementById('title').textContent !== ''")

    async def look(self, name):
        """On a phone and on a desk, light and dark."""
        for width in WIDTHS:
            for dark in (False, True):
                await self.page.look(width, dark)
                await self.page.value(DRAWN)
                self.assertFalse(await self.page.value(WIDER), f"{name}: wider than {width} px")
                await self.counted(name)
                self.assertTrue(await self.page.value(CHOSEN), f"{name} is out of sight in the strip at {width} px")
                self.assertEqual(await self.page.value(HIDDEN), [], f"{name} at {width} px")
                self.assertEqual(await self.page.value(WRONG), [], f"{name} at {width} px")
                if OPTIONS.screenshots:
                    look = "dark" if dark else "light"
                    await self.page.picture(OPTIONS.screenshots / f"lab-{name}-{width}-{look}.png")

    async def counted(self, name):
        return self.bars(await self.page.value(COUNTS), name)

    def bars(self, found, name):
        self.assertEqual((found["said"], found["empty"], found["outside"]), (found["bars"], 0, []), name)
        self.assertEqual(found["overlaps"], [], name)
        return found["bars"]

    async def every_step(self, name):
        """Through all steps, at each size: none is cut off or moves the page. The bars of each."""
        for number, (width, times) in enumerate(SIZES):
            await self.sized(width, times)
            where, bars, places = f"{name} at {width} px, text times {times}", [], {}
            button = ("back", "forth")[number % 2]
            if not number:
                await self.page.value("turn(steps.length - 1 - shown)")
            step = await self.page.value(f"{STEP}('')")
            while True:
                bars.append(self.bars(step["counts"], where))
                self.assertEqual((step["cut"], step["wider"]), ([], False), where)
                places[str(step["places"])] = step["text"]
                if not step[button]:
                    break
                step = await self.page.value(f"{STEP}('{button}')")
            self.assertEqual(len(places), 1, f"{where}: a step moves what one reads: {places}")
        await self.sized(WIDTHS[1], 1)
        return bars

    async def run_once(self, name):
        """What was guessed, the places before the run, and its status in the end."""
        query = "&".join(f"{key}={value}" for key, value in SMALL.get(name, {}).items())
        await self.page.look(WIDTHS[0], False)
        await self.open(f"{name}?{query}" if query else name)
        self.assertEqual(await self.page.value(UNNAMED), [])
        self.assertTrue(await self.page.value(CHOSEN), f"{name} is out of sight in the strip")
        await self.page.value(GUESS)
        guessed = await self.page.value(VALUES)
        before = await self.page.value(PLACES)
        await self.page.value(WATCH)
        await self.started()
        self.assertEqual(await self.page.value(PLACES), before, "the page has moved what one reads")
        await self.ended()
        return guessed, before, await self.text("status")

    async def experiment(self, name):
        for _ in range(5):
            guessed, before, status = await self.run_once(name)
            if not status.endswith("run it again"):  # as where the machine stood still for all of a sample
                break
        self.assertIn("The run has ended", status)
        seen = await self.page.value("seen")
        self.assertEqual(list(seen["cut"]), [], name)
        self.assertEqual(list(seen["places"]), [",".join(map(str, before))], f"{name} moves: {seen['places']}")
        verdict = await self.text("verdict")
        self.assertRegex(
            verdict, "^(This run (shows it|does not (show it|tell))|Too noisy to tell)(: .+|, although .+)?\\. .{40}"
        )
        self.assertGreater(len(await self.text("truth")), 40)
        beside = await self.page.value("[...document.querySelectorAll('.beside dd')].map(e => e.textContent)")
        self.assertEqual(len(beside), 2)
        self.assertNotIn("nothing", beside[:1])
        self.assertNotEqual(beside[1], "the samples do not say")
        if name == "concurrent":  # its figures are the answer above every experiment
            self.assertRegex(await self.text("headline"), "^No: .* at most one of them r(an|uns) at a time")
        if name == "client":
            self.assertIn(" Your browser has at most 6 in progress", verdict)
            self.assertIn("your browser", await self.page.value("document.querySelector('.pictures').textContent"))
        code = await self.text("sources")
        self.assertIn("torc_req *rq", code)
        self.assertTrue(await self.page.value(CODE), "the JavaScript is in sight, and the C is folded")
        self.assertTrue(
            await self.page.value("steps[shown].point"), f"{name}: it does not end with the step of its point"
        )
        self.assertGreater(await self.counted(name), 0, f"{name}: the step of its point has nothing to see")
        if name == "models":
            self.assertGreater(await self.page.value(THREADLESS), 0, "no request waits for a thread")
        await self.look(name)
        bars = await self.every_step(name)
        self.assertGreater(sum(bars), 0)
        link = await self.page.value("location.hash")
        await self.open(link[1:])
        same = {key: value for key, value in guessed.items() if key != "guess"}
        self.assertEqual(await self.page.value(VALUES), same)
        self.assertEqual(self.page.complaints, [])
        print(f"{name}: {len(bars)} steps, {sum(bars)} requests drawn: {verdict}", flush=True)

    async def test_every_experiment(self):
        for name, claim in explain.CLAIMS.items():
            if OPTIONS.experiments and name not in OPTIONS.experiments:
                continue
            with self.subTest(name=name):
                if claim.needs():
                    await self.open(name)
                    self.assertTrue(await self.page.value("document.getElementById('run').disabled"))
                    continue
                await self.experiment(name)

    async def test_stop_and_leave(self):
        """By the keyboard alone, and by leaving the page."""
        await self.open("models?connections=40&delay_ms=10&threads=4")
        await self.run_and_stop_by_keys()
        text = await self.text("status")
        self.assertEqual(text, "Stopped. The servers have been ended.")
        await self.until_idle()
        await self.started()
        await self.page.ask("Page.navigate", url="about:blank")
        await self.until_idle()

    async def visited(self, origin):
        """A server that keeps the heads of what it is asked, and its own origin."""
        heads = []

        async def serve(reader, writer):
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(VISITED.format(origin).encode())
                await writer.drain()
            writer.close()

        started = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.addCleanup(started.close)
        return heads, f"http://127.0.0.1:{started.sockets[0].getsockname()[1]}"

    async def test_a_visit_reaches_one_origin_and_has_no_token(self):
        mine, told = self.url.partition(f"/{self.lab.token}")[0], []

        async def tell(answer):
            told.append(answer)

        async def end():
            pass

        (asked, subject), (others, other) = [await self.visited(mine) for _ in range(2)]
        self.lab.run = types.SimpleNamespace(subject=subject, tell=tell, end=end)
        await self.open("client")
        for url in (subject, other):
            await self.page.value(f"visit({{url: '{url}/delay/1', count: 2, mode: 'all'}})")
        self.assertEqual([sorted(one) for one in told], [["spans"], ["error"]])
        self.assertEqual([len(told[0]["spans"]), len(asked), others], [2, 2, []])
        for head in asked:
            self.assertIn(f"Origin: {mine}\r\n", head)
            self.assertNotIn(self.lab.token, head)
            self.assertNotIn("Referer", head)
        self.assertEqual(await self.page.value("document.querySelectorAll('iframe').length"), 0)
        self.lab.run.subject = None
        async with aiohttp.ClientSession() as session:
            async with session.get(self.url + "visit.html") as answer:
                self.assertEqual(answer.status, 404)

    async def until_idle(self):
        for _ in range(RUN_SECONDS * 20):
            if not self.lab.busy:
                return
            await asyncio.sleep(0.05)
        self.fail("the run goes on without its page")

    async def test_a_link_with_bad_parameters(self):
        await self.open("compute?heavy_ms=5000")
        await self.page.value("document.getElementById('form').noValidate = true")
        await self.page.value("document.getElementById('run').click()")
        await self.ended()
        await self.page.until("document.getElementById('status').className === 'failed'")
        text = await self.text("status")
        self.assertIn("heavy_ms takes a whole number from 1 to 100, not '5000'", text)
        await self.open("nothing")
        text = await self.text("status")
        self.assertIn("There is no experiment nothing here", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("experiments", nargs="*")
    OPTIONS = parser.parse_intermixed_args()
    if browser.find() is None:
        print(f"skipped: none of {', '.join(browser.NAMES)} is installed")
        sys.exit(SKIP)
    unittest.main(argv=sys.argv[:1], verbosity=2)
