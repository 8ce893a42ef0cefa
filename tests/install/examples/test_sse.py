"""sse.c: a thousand listeners, of whom some leave, through a drain."""

import asyncio
import re

import rig


class ServerSentEvents(rig.ExampleTest):
    NAME, PACKAGES = "sse", ("torc",)

    async def listen(self, service, n, *fields):
        listeners = []
        while len(listeners) < n:
            some = range(min(100, n - len(listeners)))
            listeners += await asyncio.gather(
                *(rig.Connection(service.port).open("GET", "/events", *fields) for _ in some)
            )
        await self.listening(service, n)
        return listeners

    async def listening(self, service, n):
        async def there_are_so_many():
            return int((await rig.ask(service.port, "GET", "/listeners")).body) == n

        await rig.until(there_are_so_many)

    async def publish(self, service, text):
        response = await rig.ask(service.port, "POST", "/publish", text.encode())
        self.assertEqual(response.status, 200)
        return int(response.body), text

    def received(self, response):
        """The messages of a response, which must have its end."""
        self.assertIsNotNone(response)
        self.assertEqual((response.status, response.fields["content-type"]), (200, "text/event-stream"))
        self.assertTrue(response.complete, "the response is cut off")
        return [(int(id), text) for id, text in re.findall(r"id: (\d+)\ndata: (.*)\n\n", response.body.decode())]

    async def test_every_message_reaches_every_listener(self):
        service = await self.serve()
        listeners = await self.listen(service, rig.clients_that_fit(1000))
        sent = await asyncio.gather(*(self.publish(service, f"message {i}") for i in range(20)))
        leave = len(listeners) // 4
        for i, listener in enumerate(listeners[:leave]):
            listener.reset() if i % 2 else listener.close()
        await self.listening(service, len(listeners) - leave)
        sent.append(await self.publish(service, "the last one"))
        service.terminate()
        for response in await asyncio.gather(*(listener.response() for listener in listeners[leave:])):
            self.assertEqual(self.received(response), sorted(sent))
        await service.ended()

    async def test_a_listener_gets_what_it_has_missed(self):
        service = await self.serve()
        sent = [await self.publish(service, f"message {i}") for i in range(300)]
        [back] = await self.listen(service, 1, "Last-Event-ID: 290")
        service.terminate()
        self.assertEqual(self.received(await back.response()), sent[290:])
        await service.ended()

    async def test_a_listener_far_behind_gets_what_is_kept(self):
        service = await self.serve()
        sent = [await self.publish(service, f"message {i}") for i in range(300)]
        [back] = await self.listen(service, 1, "Last-Event-ID: 1")
        service.terminate()
        self.assertEqual(self.received(await back.response()), sent[-256:])
        await service.ended()

    async def test_a_drain_under_load_loses_nothing(self):
        service = await self.serve(*rig.LOGGED)
        listeners = await self.listen(service, 50)
        load = self.load(service, "--body", "{seq:1} is said", "--rate", "100", "SERVER/publish", connections=8)

        async def many_are_published():
            mine.append(await self.publish(service, "also"))
            return mine[-1][0] > 200

        mine = []
        await rig.until(many_are_published)
        mine.append(await self.publish(service, "the last one"))
        service.terminate()
        for response in await asyncio.gather(*(listener.response() for listener in listeners)):
            received = self.received(response)
            ids = [id for id, _ in received]
            self.assertEqual(ids, list(range(1, len(ids) + 1)))
            self.assertEqual([received[id - 1] for id, _ in mine], mine)
        await service.ended()
        self.assertEqual(service.answers("/publish"), {200: len(mine) + await load.end()})
        self.assertEqual(service.answers("/events"), {200: len(listeners)})

    async def test_the_head_alone_ends(self):
        service = await self.serve()
        response = await rig.ask(service.port, "HEAD", "/events")
        self.assertEqual((response.status, response.fields["content-type"]), (200, "text/event-stream"))
        self.assertEqual(int((await rig.ask(service.port, "GET", "/listeners")).body), 0)
        service.terminate()
        await service.ended()

    async def test_what_is_no_message_is_refused(self):
        service = await self.serve()
        for text, status in ((b"", 400), (b"two\nlines", 400), (b"\0", 400), (b"x" * 1000, 200), (b"x" * 1001, 413)):
            self.assertEqual((await rig.ask(service.port, "POST", "/publish", text)).status, status)
        service.terminate()
        await service.ended()
