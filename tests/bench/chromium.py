"""A headless Chromium that is driven by its DevTools protocol."""

import asyncio
import base64
import contextlib
import os
import signal
import tempfile
from pathlib import Path

import aiohttp
import context  # noqa: F401
from lib.lab.browser import OPTIONS, find

SECONDS = 60  # for anything it is asked
LOOK_SECONDS = 0.05


class Page:
    """One tab: what its scripts complain of is in `complaints`."""

    def __init__(self, socket):
        self.socket, self.last, self.waiting, self.complaints = socket, 0, {}, []
        self.reader = asyncio.ensure_future(self._read())

    async def _read(self):
        async for message in self.socket:
            found = message.json()
            if "id" in found:
                self.waiting.pop(found["id"]).set_result(found)
            elif found["method"] == "Runtime.exceptionThrown":
                self.complaints.append(found["params"]["exceptionDetails"])
            elif found["method"] == "Log.entryAdded" and found["params"]["entry"]["level"] == "error":
                self.complaints.append(found["params"]["entry"])

    async def ask(self, method, **params):
        self.last += 1
        self.waiting[self.last] = answer = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": self.last, "method": method, "params": params})
        found = await asyncio.wait_for(answer, SECONDS)
        if "error" in found:
            raise AssertionError(f"{method}: {found['error']}")
        return found["result"]

    async def value(self, script):
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    async def until(self, script, seconds=SECONDS):
        """Waits until an expression is true; its value."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not (found := await self.value(script)):
            if loop.time() > end:
                raise AssertionError(f"not within {seconds} s: {script}; the page says: {await self.value(TEXT)}")
            await asyncio.sleep(LOOK_SECONDS)
        return found

    async def press(self, key, text=""):
        more = {"key": key, "code": key, "windowsVirtualKeyCode": 13 if key == "Enter" else 9}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **more)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **more)

    async def go(self, url):
        await self.ask("Page.navigate", url="about:blank")
        await self.ask("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def look(self, width, dark, height=900):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path):
        """Of the whole page."""
        found = await self.ask("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        Path(path).write_bytes(base64.b64decode(found["data"]))


TEXT = "document.body.innerText.slice(0, 2000)"


@contextlib.asynccontextmanager
async def page():
    """A browser with a tab; it ends with the context."""
    with tempfile.TemporaryDirectory(prefix="torc-chromium-", ignore_cleanup_errors=True) as directory:
        options = [*OPTIONS, "--hide-scrollbars"]
        words = [find(), *options, "--remote-debugging-port=0", f"--user-data-dir={directory}", "about:blank"]
        devnull = asyncio.subprocess.DEVNULL
        # A group of its own: what is started may be a script, which the browser outlives.
        browser = await asyncio.create_subprocess_exec(*words, stdout=devnull, stderr=devnull, start_new_session=True)
        try:
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(await _tab(session, Path(directory)), max_msg_size=0) as socket:
                    found = Page(socket)
                    for domain in ("Page", "Runtime", "Log"):
                        await found.ask(f"{domain}.enable")
                    yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            await browser.wait()


async def _tab(session, directory):
    """The address of the tab's socket."""
    for _ in range(int(SECONDS / LOOK_SECONDS)):
        with contextlib.suppress(OSError, IndexError, ValueError, aiohttp.ClientError, StopIteration):
            port = int((directory / "DevToolsActivePort").read_text().splitlines()[0])
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                return next(one["webSocketDebuggerUrl"] for one in await answer.json() if one["type"] == "page")
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError("the browser does not start")
