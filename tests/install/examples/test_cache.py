"""cache.c: hits and misses with a real PostgreSQL and Redis, with either away, and both when the server stops."""

import asyncio

import backends
import rig

FIRST = b"fortune: No such file or directory"


class Cache(rig.ExampleTest):
    NAME, PACKAGES = "cache", ("torc-pg", "torc-redis")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.backends = backends.Backends()
        cls.addClassCleanup(cls.backends.stop)

    def setUp(self):
        self.backends.ask_redis("FLUSHALL")

    def start(self, *args):
        return self.serve(*args, env={"PG": self.backends.pg, "REDIS": self.backends.redis})

    async def get(self, service, id):
        return await rig.ask(service.port, "GET", f"/fortune/{id}")

    async def is_hit(self, service, id, text):
        """Asks until the answer is from the cache, where it comes after the first client has its own."""

        async def it_is():
            response = await self.get(service, id)
            self.assertEqual((response.status, response.body), (200, text))
            return response.fields["x-cache"] == "hit"

        await rig.until(it_is)

    async def stopped(self, service):
        await service.ended()

        async def none_are_left():
            return self.backends.connections() == (0, 0)

        await rig.until(none_are_left)

    async def test_a_miss_and_then_hits(self):
        service = await self.start()
        texts = {}
        for id in range(1, 13):
            response = await self.get(service, id)
            self.assertEqual((response.status, response.fields["x-cache"]), (200, "miss"))
            texts[id] = response.body
            await self.is_hit(service, id, texts[id])
        self.assertEqual(texts[1], FIRST)
        self.assertTrue(all(self.backends.connections()), "its connections are not seen")
        for id in ("9999", "x", "1234567890", "1%20"):
            self.assertEqual((await self.get(service, id)).status, 404)
        asked = [1 + i % 12 for i in range(500)]
        for id, response in zip(asked, await asyncio.gather(*(self.get(service, id) for id in asked))):
            self.assertEqual((response.fields["x-cache"], response.body), ("hit", texts[id]))
        service.terminate()
        await self.stopped(service)

    async def test_many_at_once_before_anything_is_cached(self):
        service = await self.start()
        responses = await asyncio.gather(*(self.get(service, 1) for _ in range(300)))
        self.assertEqual({(response.status, response.body) for response in responses}, {(200, FIRST)})
        self.assertIn("miss", {response.fields["x-cache"] for response in responses})
        service.terminate()
        await self.stopped(service)

    async def test_a_text_that_is_replaced(self):
        service = await self.start()
        old = (await self.get(service, 2)).body
        await self.is_hit(service, 2, old)
        for text in ("it's 100 % new: ä".encode(), old):
            self.assertEqual((await rig.ask(service.port, "POST", "/fortune/2", text)).status, 200)
            response = await self.get(service, 2)
            self.assertEqual((response.fields["x-cache"], response.body), ("miss", text))
            await self.is_hit(service, 2, text)
        self.assertEqual((await rig.ask(service.port, "POST", "/fortune/9999", b"text")).status, 404)
        self.assertEqual((await rig.ask(service.port, "POST", "/fortune/2", b"\xff")).status, 502)
        self.assertEqual((await self.get(service, 2)).body, old)
        service.terminate()
        await self.stopped(service)

    async def test_without_the_cache(self):
        service = await self.start()
        await self.get(service, 1)
        self.backends.do("halt", "redis")
        try:
            responses = await asyncio.gather(*(self.get(service, 1) for _ in range(100)))
        finally:
            self.backends.do("restart", "redis")
        self.assertEqual({(r.status, r.fields["x-cache"], r.body) for r in responses}, {(200, "miss", FIRST)})
        await self.is_hit(service, 1, FIRST)
        service.terminate()
        await self.stopped(service)

    async def held(self, service, n):
        """Requests that PostgreSQL, which is paused, does not answer; one that is cached is."""
        await self.get(service, 1)
        await self.is_hit(service, 1, FIRST)
        self.backends.do("pause", "pg")
        self.addCleanup(self.backends.do, "resume", "pg")
        before = self.backends.gets()
        held = [await rig.Connection(service.port).open("GET", f"/fortune/{2 + i % 8}") for i in range(n)]

        async def all_have_begun():
            return self.backends.gets() == before + n

        await rig.until(all_have_begun)
        await self.is_hit(service, 1, FIRST)
        return held

    async def test_a_drain_lets_queries_end(self):
        service = await self.start()
        held = await self.held(service, 20)
        service.terminate()
        await service.drains()
        self.backends.do("resume", "pg")
        responses = [await connection.response() for connection in held]
        self.assertEqual([(r.status, r.fields["x-cache"]) for r in responses], [(200, "miss")] * len(held))
        await self.stopped(service)

    async def test_a_drain_ends_queries_that_do_not(self):
        service = await self.start("--drain-timeout", "300ms")
        held = await self.held(service, 20)
        service.terminate()
        for connection in held:
            self.assertIsNone(await connection.response())
        await service.ended()
        self.backends.do("resume", "pg")
        await self.stopped(service)
