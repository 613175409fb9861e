"""A TCP proxy that can be told to cut, to delay and to swallow."""
import asyncio
import threading

CHUNK = 1 << 18
# Chunks of one direction that wait for their time; a full line is what a full window is: the sender waits.
LINE = 64


class Proxy:
    """Listens on a port of its own and forwards to `target` (host, port). All of it runs on one thread's event loop."""

    def __init__(self, name, target=None):
        self.name = name
        self.target = target
        self.delay = 0.0
        self.links = set()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._serve, args=(ready,), daemon=True).start()
        if not ready.wait(10):
            raise RuntimeError(f"proxy {name} does not listen")

    def _serve(self, ready):
        asyncio.set_event_loop(self.loop)
        self.open = asyncio.Event()
        self.open.set()
        server = self.loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    def _call(self, body):
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (body(), done.set()))
        if not done.wait(10):
            raise RuntimeError(f"proxy {self.name} does not answer")

    def cut(self):
        """Ends all connections by reset; new ones are served."""
        self._call(self._abort)

    def slow(self, seconds):
        """Each byte arrives so much later, both ways."""
        self.delay = seconds

    def swallow(self):
        """Accepts, takes, and forwards nothing, until `heal`."""
        self._call(self.open.clear)

    def heal(self, late=True):
        """All flows again. What was taken meanwhile arrives late, as from a network that was away; or never."""
        self.delay = 0.0

        def body():
            if not late and not self.open.is_set():
                self._abort()
            self.open.set()

        self._call(body)

    def _abort(self):
        for link in list(self.links):
            for task in link.tasks:
                task.cancel()
            for writer in link.writers:
                writer.transport.abort()

    async def _accept(self, reader, writer):
        link = Link()
        link.writers.append(writer)
        link.tasks.append(asyncio.current_task())
        self.links.add(link)
        try:
            await self.open.wait()
            upstream_reader, upstream = await asyncio.open_connection(*self.target, limit=CHUNK)
            link.writers.append(upstream)
            for source, sink in ((reader, upstream), (upstream_reader, writer)):
                line = asyncio.Queue(LINE)
                link.tasks.append(self.loop.create_task(self._take(source, line)))
                link.tasks.append(self.loop.create_task(self._give(line, sink)))
            # A direction that ended ends the other: both peers here close whole connections only.
            await asyncio.wait([link.tasks[2], link.tasks[4]], return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.links.discard(link)
            for task in link.tasks[1:]:
                task.cancel()
            for each in link.writers:
                each.close()

    async def _take(self, source, line):
        try:
            while data := await source.read(CHUNK):
                await line.put((self.loop.time() + self.delay, data))
        except OSError:
            pass
        await line.put((0.0, b""))

    async def _give(self, line, sink):
        try:
            while True:
                due, data = await line.get()
                wait = due - self.loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                await self.open.wait()
                if not data:
                    return
                sink.write(data)
                await sink.drain()
        except OSError:
            pass


class Link:
    """One connection's two ends and the tasks between them."""

    def __init__(self):
        self.writers = []
        self.tasks = []
