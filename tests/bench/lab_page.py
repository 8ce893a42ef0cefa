"""What tests of the pages of both labs do in a headless browser."""

import unittest

RUN_SECONDS = 120  # at most, on a busy machine
WIDTHS = (390, 1280)  # a phone and a desk
# Widths, and how large text is: at 200 %, each font is twice as large, and the window is not.
SIZES = ((320, 1), (390, 1), (640, 1), (1280, 1), (320, 2), (390, 2), (1280, 2))
LARGER = "document.documentElement.style.fontSize = '{}%'"
# Boxes whose content is larger than they are, but for those that are there to be scrolled: what is in them is cut off,
# or lies on what is beside them.
CUT = """[...document.querySelectorAll('body, body *:not(svg *)')].filter(e => e.clientHeight && e.textContent.trim() &&
  !e.closest('nav, pre, .scroll, select') && (e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1)
  ).map(e => `${e.id || e.className || e.tagName}: ${e.textContent.trim().slice(0, 300)}`)"""
VALUES = "Object.fromEntries(new FormData(document.getElementById('form')))"
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ANSWER = "document.getElementById('{}').textContent"


class LabPage(unittest.IsolatedAsyncioTestCase):
    page = None  # a chromium.Page, from asyncSetUp

    async def text(self, name):
        return await self.page.value(ANSWER.format(name))

    async def sized(self, width, times):
        await self.page.look(width, False)
        await self.page.value(LARGER.format(100 * times))
        await self.page.value(DRAWN)

    async def nothing_is_cut(self, where):
        """At the size that the page has now."""
        self.assertEqual(await self.page.value(CUT), [], where)
        self.assertFalse(await self.page.value(WIDER), f"{where}: wider than the window")

    async def begun(self):
        await self.page.until("document.querySelectorAll('.request').length > 0", RUN_SECONDS)

    async def started(self):
        await self.page.value("document.getElementById('run').click()")
        await self.begun()

    async def ended(self):
        await self.page.until("document.getElementById('stop').disabled", RUN_SECONDS)

    async def run_and_stop_by_keys(self):
        for _ in range(60):
            await self.page.press("Tab")
            if await self.page.value("document.activeElement.id === 'run'"):
                break
        await self.page.press("Enter", "\r")
        await self.begun()
        self.assertEqual(await self.page.value("document.activeElement.id"), "stop")
        await self.page.press("Enter", "\r")
        await self.ended()
        self.assertEqual(await self.page.value("document.activeElement.id"), "run")
