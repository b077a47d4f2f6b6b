"""Publishes a message to a room: API=http://127.0.0.1:9200 SECRET=... python3 publish.py lobby hello order-7"""

import json
import os
import random
import sys
import time
import urllib.error
import urllib.request


def publish(message):
    """After a lost answer, 429 or 503 the message is sent again. The id makes sure that it is stored once."""
    request = urllib.request.Request(
        os.environ["API"] + "/v1/publish",
        data=json.dumps(message).encode(),
        headers={"Authorization": "Bearer " + os.environ["SECRET"], "Content-Type": "application/json"},
    )
    for attempt in range(6):
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code != 429 and error.code < 500:
                raise SystemExit(error.read().decode())
        except OSError:
            pass
        time.sleep(random.random() * 2**attempt * 0.2)
    raise SystemExit("no answer")


room, content, message_id = sys.argv[1:]
print(json.dumps(publish({"room": room, "content": content, "id": message_id})))
