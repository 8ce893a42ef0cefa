"""The server of the page, on loopback. The first part of every path is a token that only the printed address has."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Any, Awaitable, Callable, Sequence

import yarl
from aiohttp import http_exceptions, web

from .. import explain, load
from ..ending import ENDING_SIGNALS
from ..lab.claim import Claim
from ..lab.clients import SOURCES
from ..lab.stage import ASYNCHRONOUS
from ..options import TOP
from ..subject import Place
from ..subjects import known
from . import guesses, link, sources

HERE = Path(__file__).parent
SHOWN = ("page.css", "page.js", "waterfall.js", "pictures.js", "trace.js", "visit.js")
SHARED = {name: TOP / "src/lab/page" / name for name in ("shared.css", "shared.js")}  # with the page of torc-lab
FILES = {"": HERE / "page.html", **{name: HERE / name for name in SHOWN}, **SHARED, "fetch.js": SOURCES / "fetch.js"}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
MOST_SECONDS = 180  # of a run
END_SECONDS = 20  # that a run is given to end its servers
BEAT_SECONDS = 0.5  # after so long without an event it is looked whether the page is still there
BODY_MAX = 2048
LINE_MAX = 1 << 20
VISITS = b'{"event": "visit"'
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# The frame that asks the server of an experiment: only that one origin.
VISIT = (
    "default-src 'none'; script-src 'self'; connect-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refused(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=why + "\n")


PROGRAM = (sys.executable, "-B", str(TOP / "bench/torc-bench"))


class Run:
    """The process of a run. It ends with whoever asked for it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.reading: asyncio.Future[bytes] | None = None
        self.subject: str | None = None  # the origin that the page's browser was asked to visit

    @classmethod
    async def start(cls, asked: link.Link, build: Path, page: str) -> Run:
        words = [*PROGRAM, "lab", "--run", str(asked), "--build", str(build), "--page", page]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # A session of its own: Ctrl-C is for the server, which ends it.
        more = {"start_new_session": True, "limit": LINE_MAX}
        return cls(await asyncio.create_subprocess_exec(*words, **streams, **more))

    async def line(self) -> bytes | None:
        """The next event, or None when there is none for a while; b"" at the end."""
        assert self.process.stdout is not None
        self.reading = self.reading or asyncio.ensure_future(self.process.stdout.readline())
        done, _ = await asyncio.wait([self.reading], timeout=BEAT_SECONDS)
        if not done:
            return None
        found, self.reading = self.reading.result(), None
        if found.startswith(VISITS):
            self.subject = str(yarl.URL(json.loads(found)["url"]).origin())
        return found

    async def tell(self, answer: Any) -> None:
        """What the page's browser saw; it is asked once for each visit."""
        assert self.process.stdin is not None
        self.subject = None
        with contextlib.suppress(ConnectionError):
            self.process.stdin.write(json.dumps(answer).encode() + b"\n")
            await self.process.stdin.drain()

    async def complaint(self) -> str | None:
        """What it said last when it ended badly."""
        assert self.process.stderr is not None
        text = (await self.process.stderr.read()).decode("utf-8", "replace").strip()
        status = await self.process.wait()
        said = text.splitlines()[-1].removeprefix("torc-bench: ") if text else f"the run ended with {status}"
        return said if status else None

    async def end(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), END_SECONDS)
            except asyncio.TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self.process.kill()  # the kernel ends its children with it
                await self.process.wait()


class Lab:
    def __init__(self, build: Path) -> None:
        self.build = build
        self.token = secrets.token_urlsafe(18)
        self.busy = False
        self.run: Run | None = None
        self.port = 0
        place = Place(build, build, build)
        engines = [name for name in ASYNCHRONOUS if known()[name].refusal(place) is None]
        plain = [about(claim, engines) for claim in explain.CLAIMS.values()]
        self.experiments = json.dumps(plain, ensure_ascii=False)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self.guard], client_max_size=BODY_MAX)
        app.router.add_get("/{token}/experiments.json", self.listed)
        app.router.add_post("/{token}/run", self.ran)
        app.router.add_post("/{token}/visited", self.visited)
        app.router.add_get("/{token}/visit.html", self.visit)
        app.router.add_get("/{token}/{name:.*}", self.file)
        return app

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Nothing for other pages, for other names of this address, or without the token."""
        names = [f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")]
        origin = request.headers.get("Origin")
        if request.headers.getall("Host", []) not in [[name] for name in names]:
            return refused(403, "the host must be the one of the address that torc-bench lab printed")
        if origin is not None and origin not in [f"http://{name}" for name in names]:
            return refused(403, "only the page of this server may ask")
        token = request.path.split("/")[1]
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return refused(403, "open the address that torc-bench lab printed: it has a token")
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            answer = refused(error.status, error.reason)
        if not answer.prepared:
            answer.headers.update({**HEADERS, **answer.headers})
        return answer

    async def file(self, request: web.Request) -> web.StreamResponse:
        path = FILES.get(request.match_info["name"])
        if path is None:
            return refused(404, "no such file")
        return web.Response(text=path.read_text("utf-8"), content_type=TYPES[path.suffix], charset="utf-8")

    async def listed(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=self.experiments, content_type="application/json")

    async def visit(self, _: web.Request) -> web.StreamResponse:
        if self.run is None or self.run.subject is None:
            return refused(404, "no run asks for it")
        policy = {"Content-Security-Policy": VISIT.format(self.run.subject)}
        text = (HERE / "visit.html").read_text("utf-8")
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=policy)

    async def visited(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            return refused(415, "takes application/json")
        try:
            answer = await request.json()
        except ValueError:
            return refused(400, 'takes {"spans": [[asked, sent, answered], ...]} or {"error": WHY}')
        if self.run is None or self.run.subject is None:
            return refused(409, "no run asks for it")
        await self.run.tell(answer)
        return web.Response(status=204)

    async def ran(self, request: web.Request) -> web.StreamResponse:
        """A JSON object a line for each event; an empty line says that it still runs."""
        if request.content_type != "application/json":
            return refused(415, "takes application/json")
        try:
            body = await request.json()
            asked = link.parse(body["link"] if isinstance(body["link"], str) else "")
        except (ValueError, KeyError, TypeError):
            return refused(400, 'takes {"link": "EXPERIMENT?NAME=NUMBER"}')
        except link.LinkError as error:
            return refused(400, str(error))
        if self.busy:
            return refused(409, "a run is in progress, and each would spoil the other's figures: end it first")
        self.busy = True
        try:
            self.run = await Run.start(asked, self.build, f"http://{request.host}")
            return await self._stream(request, self.run)
        finally:
            await asyncio.shield(asyncio.ensure_future(self.ended()))

    async def ended(self) -> None:
        """No process is left then."""
        if self.run is not None:
            await self.run.end()
        self.run, self.busy = None, False

    async def _stream(self, request: web.Request, run: Run) -> web.StreamResponse:
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "application/x-ndjson; charset=utf-8"})
        await response.prepare(request)
        deadline = asyncio.get_running_loop().time() + MOST_SECONDS
        with contextlib.suppress(ConnectionError):  # the page has gone, and so goes its run
            while (line := await run.line()) != b"":
                await response.write(line or b"\n")
                if request.transport is None or request.transport.is_closing():
                    return response
                if asyncio.get_running_loop().time() > deadline:
                    await run.end()
                    await response.write(failure(f"the run took longer than {MOST_SECONDS} s and was ended"))
                    return response
            if why := await run.complaint():
                await response.write(failure(why))
            await response.write_eof()
        return response


def failure(text: str) -> bytes:
    return json.dumps({"event": "failed", "text": text}).encode() + b"\n"


def about(claim: Claim, engines: Sequence[str]) -> dict[str, Any]:
    """What the page has of an experiment before it has run."""
    texts = {"name": claim.name, "title": claim.title, "question": claim.question, "template": claim.template}
    parameters = [
        {"name": one.name, "label": one.label, "usual": one.usual, "low": one.low, "high": link.highest(one)}
        for one in claim.parameters
    ]
    more = {
        "seconds": claim.lasts or claim.seconds * explain.QUICKLY,
        "lacks": claim.needs(),
        "guess": guesses.of(claim).plain(),
    }
    more["engines"] = engines if claim.on_engine else ()
    return {**texts, **more, "parameters": parameters, "sources": sources.of(claim.name)}


def show(url: str) -> None:
    """In a browser, where there is a desktop."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)


def _is_told(record: logging.LogRecord) -> bool:
    """Not a request that is no HTTP, as a scan of ports sends it: its sender gets 400."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, http_exceptions.HttpProcessingError)


def runner_of(lab: Lab) -> web.AppRunner:
    log = logging.getLogger("torc-bench.lab")
    log.addFilter(_is_told)
    return web.AppRunner(lab.application(), logger=log, access_log=None, handle_signals=False)


async def _serve(lab: Lab, listener: socket.socket, asked: link.Link | None, opens: bool) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    for number in ENDING_SIGNALS:
        loop.add_signal_handler(number, lambda number=number: ended.done() or ended.set_result(number))
    runner = runner_of(lab)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    url = f"http://127.0.0.1:{lab.port}/{lab.token}/" + (f"#{asked}" if asked else "")
    print(f"{url}\nopen it in a browser on this machine; Ctrl-C ends it", flush=True)
    if opens:
        await loop.run_in_executor(None, show, url)
    number = await ended
    await lab.ended()
    await runner.cleanup()
    return number


def serve(build: Path, port: int, asked: link.Link | None, opens: bool) -> int:
    """Until a signal asks to end; its number."""
    load.program(build)  # before anybody waits for it
    lab = Lab(build)
    with socket.create_server(("127.0.0.1", port)) as listener:
        lab.port = listener.getsockname()[1]
        before = [(number, signal.getsignal(number)) for number in ENDING_SIGNALS]
        try:
            return asyncio.run(_serve(lab, listener, asked, opens))
        finally:
            for number, handler in before:
                signal.signal(number, handler)
