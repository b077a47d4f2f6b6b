// Publishes a message to a room: API=http://127.0.0.1:9200 SECRET=... node publish.mjs lobby hello order-7
import { setTimeout as delay } from 'node:timers/promises';

const { API, SECRET } = process.env;
const [room, content, id] = process.argv.slice(2);

/** After a lost answer, 429 or 503 the message is sent again. The id makes sure that it is stored once. */
async function publish(message) {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(`${API}/v1/publish`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${SECRET}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(5000),
    }).catch(() => undefined);
    if (response?.ok) return await response.json();
    const again = response === undefined || response.status === 429 || response.status >= 500;
    if (!again || attempt === 5) throw new Error(response ? await response.text() : 'no answer');
    await delay(Math.random() * 2 ** attempt * 200);
  }
}

console.log(JSON.stringify(await publish({ room, content, id })));
