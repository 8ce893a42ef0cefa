"""What tests of the pages of both labs do in a headless browser."""

import unittest

RUN_SECONDS = 120  # at most, on a busy machine
WIDTHS = (390, 1280)  # a phone and a desk
VALUES = "Object.fromEntries(new FormData(document.getElementById('form')))"
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ANSWER = "document.getElementById('{}').textContent"


class LabPage(unittest.IsolatedAsyncioTestCase):
    page = None  # a chromium.Page, from asyncSetUp

    async def text(self, name):
        return await self.page.value(ANSWER.format(name))

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
