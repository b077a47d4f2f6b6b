"""A client of the WebSocket protocol that loses nothing across restarts: python3 client.py ws://localhost:8080/ws TOKEN lobby

It prints what comes, and publishes each line of its standard input. docs/protocol.md says why it does what it does. It needs the
package websockets, 10 or later.
"""

import asyncio
import json
import random
import sys
import uuid

import websockets


class Client:
    def __init__(self, url, get_token, rooms, on_event, backoff=1.0):
        self.url, self.get_token, self.on_event, self.backoff = url, get_token, on_event, backoff
        self.positions = {room: None for room in rooms}  # of the last message of each room
        self.outbox = {}  # id -> (frame, future): sent again until it is acknowledged, in this order
        self.socket, self.joined = None, asyncio.Event()

    async def publish(self, content, room):
        """Resolves with the position once the message is stored."""
        message_id = uuid.uuid4().hex
        frame = {"type": "chat", "payload": {"room": room, "content": content}, "id": message_id}
        future = asyncio.get_running_loop().create_future()
        self.outbox[message_id] = (frame, future)
        if len(self.outbox) == 1:
            await self.send_first()
        return await future

    async def send(self, frame):
        try:
            if self.socket:
                await self.socket.send(json.dumps(frame))
        except websockets.ConnectionClosed:
            pass  # the next connection sends it again

    async def send_first(self):
        """One at a time, so that messages stay in order."""
        if self.outbox and self.joined.is_set():
            await self.send(next(iter(self.outbox.values()))[0])

    async def run(self):
        """Ends only when the server says that coming back is useless."""
        attempt = 0
        while True:
            code = 1006
            try:
                protocols = ["wsfleet.v1", "bearer." + self.get_token()]
                async with websockets.connect(self.url, subprotocols=protocols) as socket:
                    self.socket = socket
                    try:
                        await self.read(socket)
                    except websockets.ConnectionClosed:
                        pass
                    code, attempt = socket.close_code or 1006, 0
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                pass
            self.socket = None
            self.joined.clear()
            if code == 1008 or code >= 4500:
                return code
            if code not in (1000, 4001):  # 1000: this client moves; 4001: it needs a new token
                await asyncio.sleep(random.random() * min(30, self.backoff * 2**attempt))
                attempt += 1

    async def read(self, socket):
        waiting, loop = set(self.positions), asyncio.get_running_loop()
        async for text in socket:
            frame = json.loads(text)
            kind, payload = frame["type"], frame["payload"]
            if kind == "connected":
                for room, position in self.positions.items():
                    at = {"position": position} if position else {}
                    await self.send({"type": "join_room", "payload": {"room": room, **at}, "id": "join:" + room})
            elif kind == "joined_room":
                if payload["recovery"] != "recovered":
                    self.positions[payload["room"]] = payload["position"]
                waiting.discard(payload["room"])
            elif kind == "left_room":  # the server took it out
                self.positions.pop(payload["room"], None)
            elif kind == "server_shutdown":
                loop.call_later(payload["reconnectInMs"] / 1000, lambda: loop.create_task(socket.close(1000)))
            elif kind == "token_expiring":
                await self.send({"type": "refresh_token", "payload": {"token": self.get_token()}, "id": "refresh"})
            elif kind == "gap":
                self.positions[payload["room"]] = payload["position"]
            elif kind == "message" and "position" in payload:
                known, position = self.positions.get(payload["room"]), payload["position"]
                if known and known["epoch"] == position["epoch"] and position["offset"] <= known["offset"]:
                    continue  # it came before
                self.positions[payload["room"]] = position
            elif frame.get("id") in self.outbox:
                await self.settle(frame)
            if kind == "error" and str(frame.get("id")).startswith("join:"):
                waiting.discard(frame["id"][5:])
            self.on_event(kind, payload)
            if not waiting and not self.joined.is_set():
                self.joined.set()
                await self.send_first()

    async def settle(self, frame):
        """An acknowledged or refused message makes room for the next; what can succeed later is sent again."""
        payload, retry_after = frame["payload"], frame["payload"].get("retryAfter")
        if frame["type"] == "error" and (retry_after or payload.get("uncertain")):
            loop = asyncio.get_running_loop()
            loop.call_later((retry_after or 0) / 1000, lambda: loop.create_task(self.send_first()))
            return
        future = self.outbox.pop(frame["id"])[1]
        if frame["type"] == "error":
            future.set_exception(RuntimeError(payload["code"]))
        else:
            future.set_result(payload["position"])
        await self.send_first()


async def main(url, token, *rooms):
    client = Client(url, lambda: token, rooms, lambda kind, payload: print(json.dumps({kind: payload}), flush=True))

    async def publish_lines():
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async for line in reader:
            await client.publish(line.decode().rstrip("\n"), rooms[0])

    lines = asyncio.create_task(publish_lines())
    print("the server closed for good:", await client.run())
    lines.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
