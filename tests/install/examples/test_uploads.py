"""uploads.c: uploads that are completed, broken off, looked at, and in progress when the server stops."""

import asyncio
import random

import rig

MIB = 1 << 20


class Uploads(rig.ExampleTest):
    NAME, PACKAGES = "uploads", ("torc",)

    def setUp(self):
        self.files = self.folder()
        self.random = random.Random(1)

    def names(self):
        return sorted(path.name for path in self.files.iterdir())

    async def progress(self, service):
        text = (await rig.ask(service.port, "GET", "/progress")).body.decode()
        return {line.split()[0]: line.split()[1:] for line in text.splitlines()}

    async def begun(self, service, name, data, size=None):
        """An upload of `size` bytes, of which `data` has arrived."""
        length = f"Content-Length: {size}" if size else "Transfer-Encoding: chunked"
        upload = await rig.Connection(service.port).open("PUT", "/files/" + name, length)
        await upload.send(data if size else b"%x\r\n%s\r\n" % (len(data), data))

        async def is_written():
            return (await self.progress(service)).get(name) == [str(len(data))]

        await rig.until(is_written)
        return upload

    async def form(self, service, parts, kind="multipart/form-data; boundary=cut"):
        """Sends parts: the lines of each head, and its content."""
        body = b"".join(b"--cut\r\n%s\r\n\r\n%s\r\n" % (head.encode(), data) for head, data in parts) + b"--cut--\r\n"
        return await rig.ask(service.port, "POST", "/files", body, "Content-Type: " + kind)

    async def whole(self, service, name, data, chunked):
        if not chunked:
            return await rig.ask(service.port, "PUT", "/files/" + name, data)
        upload = await rig.Connection(service.port).open("PUT", "/files/" + name, "Transfer-Encoding: chunked")
        for at in range(0, len(data), 100_000):
            piece = data[at : at + 100_000]
            await upload.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await upload.send(b"0\r\n\r\n")
        return await upload.response()

    async def broken_off(self, service, name, how):
        upload = await self.begun(service, name, self.random.randbytes(200_000), MIB if how != "chunked" else None)
        if how == "reset":
            upload.reset()
        else:
            upload.close()

    async def none_in_progress(self, service):
        async def is_empty():
            return not await self.progress(service)

        await rig.until(is_empty)

    async def test_many_at_once_of_which_some_are_broken_off(self):
        service = await self.serve("--dir", str(self.files))
        sent = {f"file-{i}": self.random.randbytes(self.random.randrange(2 * MIB)) for i in range(30)}
        responses, _ = await asyncio.gather(
            asyncio.gather(*(self.whole(service, name, data, len(data) % 2) for name, data in sent.items())),
            asyncio.gather(
                *(
                    self.broken_off(service, f"broken-{how}-{i}", how)
                    for how in ("reset", "end", "chunked")
                    for i in range(7)
                )
            ),
        )
        self.assertEqual([response.status for response in responses], [201] * len(sent))
        await self.none_in_progress(service)
        self.assertEqual(self.names(), sorted(sent))
        for name, data in sent.items():
            self.assertEqual((await rig.ask(service.port, "GET", "/files/" + name)).body, data)
        service.terminate()
        await service.ended()

    async def test_a_second_one_replaces_the_first_when_it_is_complete(self):
        service = await self.serve("--dir", str(self.files))
        self.assertEqual((await self.whole(service, "a", b"old", False)).status, 201)
        upload = await self.begun(service, "a", b"ne", 3)
        self.assertEqual((self.files / "a").read_bytes(), b"old")
        await upload.send(b"w")
        self.assertEqual((await upload.response()).status, 201)
        self.assertEqual((self.files / "a").read_bytes(), b"new")
        service.terminate()
        await service.ended()

    async def test_forms(self):
        service = await self.serve("--dir", str(self.files))
        sent = {f"file-{i}": self.random.randbytes(self.random.randrange(MIB)) for i in range(10)}
        parts = [(f'Content-Disposition: form-data; name="f"; filename="{name}"', data) for name, data in sent.items()]
        parts.insert(3, ('Content-Disposition: form-data; name="remark"', b"no file"))
        response = await self.form(service, parts)
        self.assertEqual((response.status, response.body), (201, b"10 files\n"))
        self.assertEqual({name: (self.files / name).read_bytes() for name in self.names()}, sent)
        self.assertEqual((await self.form(service, parts, "text/plain")).status, 415)
        parts = [('Content-Disposition: form-data; name="f"; filename="../a"', b"text")]
        self.assertEqual((await self.form(service, parts)).status, 400)
        self.assertEqual((await self.form(service, [("Content-Type: text/plain", b"nameless")])).status, 400)
        self.assertEqual(self.names(), sorted(sent))
        service.terminate()
        await service.ended()

    async def test_a_drain_under_load_loses_nothing(self):
        service = await self.serve("--dir", str(self.files), *rig.LOGGED)
        size = 50_000
        load = self.load(service, "--method", "PUT", "--body-size", str(size), "SERVER/files/load-{seq:1}")
        form = b"--cut\r\nContent-Disposition: form-data; name=f; filename=form\r\n\r\n%s\r\n--cut--\r\n" % bytes(size)
        (self.files / ".form").write_bytes(form)
        forms = self.load(
            service,
            "--header",
            "Content-Type: multipart/form-data; boundary=cut",
            "--body-file",
            str(self.files / ".form"),
            "--expect-body",
            "1 files\n",
            "SERVER/files",
            connections=8,
        )

        async def many_are_stored():
            return len(self.names()) > 200 and "form" in self.names()

        await rig.until(many_are_stored)
        service.terminate()
        await service.ended()
        files = [path for path in self.files.iterdir() if path.name != ".form"]
        self.assertEqual({path.stat().st_size for path in files}, {size})
        self.assertEqual(len(files), await load.end() + 1)
        self.assertEqual(service.answers("/files/"), {201: len(files) - 1})
        self.assertEqual(service.answers("/files"), {201: len(files) - 1 + await forms.end()})

    async def test_names_that_lead_elsewhere(self):
        service = await self.serve("--dir", str(self.files))
        for name in (".hidden", "a%2fb", "%2fetc%2fpasswd", "a%0ab", "a%5cb", "x" * 101):
            response = await self.whole(service, name, b"text", False)
            self.assertEqual((response.status, response.body), (400, b"not a name for a file\n"), name)
        self.assertEqual((await self.whole(service, "%2e%2e", b"text", False)).status, 404)
        self.assertEqual((await self.whole(service, "a%20b", b"text", False)).status, 400)
        self.assertEqual((await self.whole(service, "%c3%a4", b"text", False)).status, 201)
        self.assertEqual(self.names(), ["ä"])
        service.terminate()
        await service.ended()

    async def test_a_drain_lets_uploads_end(self):
        service = await self.serve("--dir", str(self.files))
        data = self.random.randbytes(MIB)
        upload = await self.begun(service, "last", data[:1000], MIB)
        service.terminate()
        await service.drains()
        await upload.send(data[1000:])
        self.assertEqual((await upload.response()).status, 201)
        await service.ended()
        self.assertEqual((self.files / "last").read_bytes(), data)

    async def test_a_drain_ends_uploads_that_do_not(self):
        service = await self.serve("--dir", str(self.files), "--drain-timeout", "300ms")
        stuck = [await self.begun(service, f"stuck-{i}", b"some", MIB) for i in range(10)]
        service.terminate()
        await service.ended()
        for upload in stuck:
            upload.close()
        self.assertEqual(self.names(), [])
