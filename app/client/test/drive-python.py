"""Runs docs/examples/client.py for a test: commands as JSON lines on standard input, what becomes of them on standard output."""

import asyncio
import itertools
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "docs/examples"))
from client import Client  # noqa: E402

url, rooms, tokens = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])


def say(**line):
    print(json.dumps(line), flush=True)


def handle_event(kind, payload):
    if kind == "message":
        say(message=payload)
    elif kind == "joined_room":
        say(joined=payload["room"])


async def publish(client, content, room):
    try:
        say(resolved=await client.publish(content, room))
    except RuntimeError as error:
        say(rejected=str(error))


async def main():
    # A fixed token, or another one each time.
    counter = itertools.count()
    get_token = (lambda: tokens) if isinstance(tokens, str) else (lambda: f"t{next(counter)}")
    client = Client(url, get_token, rooms, handle_event, backoff=0.02)
    running = asyncio.create_task(client.run())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey():
        published = set()
        async for line in reader:
            task = asyncio.create_task(publish(client, *json.loads(line)["chat"]))
            published.add(task)
            task.add_done_callback(published.discard)

    obeying = asyncio.create_task(obey())
    await asyncio.wait([running, obeying], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        say(away=running.result())
    running.cancel()


asyncio.run(main())
