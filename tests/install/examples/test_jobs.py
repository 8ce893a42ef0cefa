"""jobs.c: many short jobs, long ones that nobody waits for any more, and both when the server stops."""

import asyncio
import json
import re
import sqlite3
import urllib.request

import rig

ENDLESS = 10**15


class Jobs(rig.ExampleTest):
    NAME, PACKAGES = "jobs", ("torc", "sqlite3")

    def setUp(self):
        self.database = self.folder() / "notes.db"

    def start(self, *args):
        return self.serve("--db", str(self.database), "--admin", "127.0.0.1:0", *args)

    async def reaches(self, service, **wanted):
        """Waits until so many jobs run and wait."""
        port = re.search(r"admin http://127\.0\.0\.1:(\d+)", service.said())[1]

        async def it_does():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats.json", timeout=rig.LIMIT_SECONDS) as stats:
                found = json.load(stats)["work"]
            return all(found[name] == value for name, value in wanted.items())

        await rig.until(it_does)

    async def stopped(self, service):
        """Its connections are closed: SQLite then removes the files beside the database."""
        await service.ended()
        self.assertEqual([path.name for path in self.database.parent.iterdir()], ["notes.db"])

    def rows(self):
        connection = sqlite3.connect(self.database)
        try:
            return dict(connection.execute("SELECT id, text FROM notes"))
        finally:
            connection.close()

    async def test_many_at_once(self):
        service = await self.start()
        texts = [b"note %d " % i + bytes([0, i]) * i for i in range(200)]
        posted = await asyncio.gather(*(rig.ask(service.port, "POST", "/notes", text) for text in texts))
        self.assertEqual([response.status for response in posted], [201] * len(texts))
        ids = [int(response.body) for response in posted]
        self.assertEqual(sorted(ids), list(range(1, 201)))
        found = await asyncio.gather(*(rig.ask(service.port, "GET", f"/notes/{id}") for id in ids))
        self.assertEqual([response.body for response in found], texts)
        sums = await asyncio.gather(*(rig.ask(service.port, "GET", f"/sum/{n}") for n in range(1, 100)))
        self.assertEqual([int(response.body) for response in sums], [n * (n + 1) // 2 for n in range(1, 100)])
        for path in ("/notes/999", "/notes/x", "/notes/1x", "/sum/-"):
            self.assertEqual((await rig.ask(service.port, "GET", path)).status, 404)
        self.assertEqual((await rig.ask(service.port, "POST", "/notes")).status, 201)
        self.assertEqual((await rig.ask(service.port, "GET", "/notes/201")).body, b"")
        await self.reaches(service, busy=0, queued=0, cancelled=0)
        service.terminate()
        await self.stopped(service)
        self.assertEqual(self.rows(), dict(zip(ids, texts)) | {201: b""})

    async def test_jobs_of_clients_that_leave_are_cancelled(self):
        service = await self.start("--work-threads", "2")
        asked = [await rig.Connection(service.port).open("GET", f"/sum/{ENDLESS}") for _ in range(8)]
        await self.reaches(service, busy=2, queued=6)
        for i, connection in enumerate(asked):
            connection.reset() if i % 2 else connection.close()
        await self.reaches(service, busy=0, queued=0, cancelled=8)
        self.assertEqual((await rig.ask(service.port, "POST", "/notes", b"it goes on")).status, 201)
        service.terminate()
        await self.stopped(service)

    async def test_more_jobs_than_may_wait(self):
        service = await self.start("--work-threads", "1", "--work-queue", "1")
        running = await rig.Connection(service.port).open("GET", f"/sum/{ENDLESS}")
        await self.reaches(service, busy=1)
        waiting = await rig.Connection(service.port).open("GET", f"/sum/{ENDLESS}")
        await self.reaches(service, queued=1)
        for method, path in (("GET", "/sum/1"), ("GET", "/notes/1"), ("POST", "/notes")):
            response = await rig.ask(service.port, method, path)
            self.assertEqual((response.status, response.fields["retry-after"]), (503, "1"))
        running.close()
        waiting.close()
        await self.reaches(service, busy=0, queued=0)
        service.terminate()
        await self.stopped(service)

    async def test_a_drain_ends_long_jobs(self):
        service = await self.start("--work-threads", "2", "--drain-timeout", "300ms")
        asked = [await rig.Connection(service.port).open("GET", f"/sum/{ENDLESS}") for _ in range(4)]
        await self.reaches(service, busy=2, queued=2)
        service.terminate()
        for connection in asked:
            self.assertIsNone(await connection.response())
        await service.ended()

    async def test_a_drain_under_load_loses_nothing(self):
        service = await self.start(*rig.LOGGED)
        load = self.load(service, "--body", "note {rand:1:1000000}", "--expect-status", "201", "SERVER/notes")
        long = self.load(service, "--expect-body", "5000050000", "SERVER/sum/100000", connections=4)

        async def many_are_stored():
            return int((await rig.ask(service.port, "POST", "/notes", b"mine")).body) > 300

        mine = 1
        while not await many_are_stored():
            mine += 1
        service.terminate()
        await self.stopped(service)
        self.assertEqual(len(self.rows()), mine + await load.end())
        self.assertEqual(service.answers("/notes"), {201: len(self.rows())})
        self.assertEqual(service.answers("/sum"), {200: await long.end()})

    async def test_a_drain_lets_short_jobs_end(self):
        service = await self.start()
        texts = [b"note %d" % i for i in range(100)]
        first = await rig.ask(service.port, "POST", "/notes", texts[0])
        begun = [
            await rig.Connection(service.port).open(
                "POST", "/notes", f"Content-Length: {len(text)}", "Expect: 100-continue"
            )
            for text in texts[1:]
        ]
        for connection in begun:
            self.assertEqual(await connection.reader.readuntil(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        service.terminate()
        for connection, text in zip(begun, texts[1:]):
            await connection.send(text)
        posted = [first] + [await connection.response() for connection in begun]
        self.assertEqual([response.status for response in posted], [201] * len(texts))
        await self.stopped(service)
        self.assertEqual(self.rows(), {int(response.body): text for response, text in zip(posted, texts)})
