"""api.c: what it answers, who may ask, what it says of errors, and a SIGTERM while it is asked by many."""

import asyncio
import json
import re

import rig

KEY = "Authorization: Bearer secret"


class Api(rig.ExampleTest):
    NAME, PACKAGES = "api", ("torc", "jansson")

    def start(self, *args):
        return self.serve("--token", "secret", *args)

    async def ask(self, service, method, path, value=None, *fields):
        body = b"" if value is None else json.dumps(value).encode()
        response = await rig.ask(service.port, method, path, body, *(fields or (KEY,)))
        self.assertTrue(response.complete)
        return response.status, json.loads(response.body) if response.body else None

    async def test_notes(self):
        service = await self.start()
        self.assertEqual(await self.ask(service, "GET", "/api/notes"), (200, []))
        texts = [f'note "{i}" \u00e4' for i in range(50)]
        posted = await asyncio.gather(*(self.ask(service, "POST", "/api/notes", {"text": text}) for text in texts))
        self.assertEqual([status for status, _ in posted], [201] * 50)
        self.assertEqual(sorted(note["id"] for _, note in posted), list(range(1, 51)))
        self.assertEqual([note["text"] for _, note in posted], texts)
        _, listed = await self.ask(service, "GET", "/api/notes")
        self.assertEqual(
            sorted(listed, key=lambda note: note["id"]), sorted((n for _, n in posted), key=lambda n: n["id"])
        )
        self.assertEqual(
            await self.ask(service, "PUT", "/api/notes/7", {"text": "new"}), (200, {"id": 7, "text": "new"})
        )
        self.assertEqual(await self.ask(service, "GET", "/api/notes/7"), (200, {"id": 7, "text": "new"}))
        self.assertEqual(await self.ask(service, "DELETE", "/api/notes/7"), (204, None))
        for method, value in (("GET", None), ("DELETE", None), ("PUT", {"text": "new"})):
            self.assertEqual(await self.ask(service, method, "/api/notes/7", value), (404, {"error": "Not Found"}))
        response = await rig.ask(service.port, "POST", "/api/notes", b'{"text":"a"}', KEY)
        self.assertEqual(response.fields["location"], "/api/notes/51")
        self.assertEqual(response.fields["content-type"], "application/json")
        service.terminate()
        await service.ended()

    async def test_errors_are_json(self):
        service = await self.start("--max-body", "1k")
        wrong = [None, {}, {"text": 1}, {"text": "a", "more": 1}, []]
        for value in wrong:
            status, error = await self.ask(service, "POST", "/api/notes", value)
            self.assertEqual((status, list(error)), (400, ["error"]), value)
        for method, path, status, message in (
            ("GET", "/api/none", 404, "Not Found"),
            ("GET", "/none", 404, "Not Found"),
            ("DELETE", "/api/notes", 405, "Method Not Allowed"),
        ):
            self.assertEqual(await self.ask(service, method, path), (status, {"error": message}))
        status, error = await self.ask(service, "POST", "/api/notes", {"text": "x" * 2000})
        self.assertEqual((status, error), (413, {"error": "Content Too Large"}))
        service.terminate()
        await service.ended()

    async def test_who_may_ask(self):
        service = await self.start()
        for field in ("X-None: 1", "Authorization: Bearer secreT", "Authorization: Bearer", "Authorization: secret"):
            response = await rig.ask(service.port, "GET", "/api/notes", b"", field)
            self.assertEqual((response.status, response.body), (401, b'{"error":"Unauthorized"}\n'))
            self.assertEqual(response.fields["www-authenticate"], "Bearer")
            self.assertEqual(response.fields["access-control-allow-origin"], "*")
        response = await rig.ask(service.port, "GET", "/api/notes", b"", "Authorization: bearer secret")
        self.assertEqual((response.status, response.fields["access-control-allow-origin"]), (200, "*"))
        response = await rig.ask(service.port, "OPTIONS", "/api/notes/1")
        self.assertEqual(response.status, 204)
        self.assertIn("PUT", response.fields["access-control-allow-methods"])
        self.assertIn("Authorization", response.fields["access-control-allow-headers"])
        service.terminate()
        await service.ended()
        self.assertRegex(service.said(), r"GET /api/notes 401, 25 bytes, [\d.]+ ms, done\n")
        self.assertRegex(service.said(), r"OPTIONS /api/notes/1 204, 0 bytes, [\d.]+ ms, done\n")

    async def test_nobody_may_ask_without_a_token(self):
        service = await self.serve()
        response = await rig.ask(service.port, "GET", "/api/notes", b"", "Authorization: Bearer ")
        self.assertEqual(response.status, 401)
        service.terminate()
        await service.ended()

    async def test_a_drain_under_load_loses_nothing(self):
        service = await self.start(*rig.LOGGED)
        load = self.load(
            service,
            "--header",
            KEY,
            "--body",
            '{"text":"{rand:1:1000000}"}',
            "--expect-status",
            "201",
            "SERVER/api/notes",
        )

        async def many_are_stored():
            return len(re.findall("^POST .* 201,", service.said(), re.M)) > 500

        await rig.until(many_are_stored)
        service.terminate()
        await service.ended()
        stored = re.findall(r"^POST /api/notes (\d+), \d+ bytes, [\d.]+ ms, (.*)$", service.said(), re.M)
        self.assertEqual(set(stored), {("201", "done")})
        self.assertEqual(await load.end(), len(stored))
        self.assertEqual(service.answers("/api/notes"), {201: len(stored)})
