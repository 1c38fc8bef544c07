// Everything that an EventSource does, asked of the browser's own and of MuxEventSource.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { startEventServer } from './event-server.mjs';
import { openPage, startConfigured } from './harness.mjs';
import { parityHandlers } from './parity-server.mjs';

const PAGE = fs.readFileSync(path.join(import.meta.dirname, 'parity-page.js'), 'utf8');

/** A proxy before an origin that misbehaves in all ways, and the address that is not the proxy's. */
async function start(t) {
  const other = await startEventServer(t, parityHandlers());
  const origin = await startEventServer(t, parityHandlers(other.url));
  const proxy = await startConfigured(t, `
[[listener]]
address = "ADDRESS"
tls = "self-signed"

[[route]]
path = "/*"
upstream = "${origin.url}"
`);
  return { proxy, other };
}

/** All cases at once, each with an instance of its own of the page's class. */
const script = (other, Class) => `(async () => {
  const other = ${JSON.stringify(other)};
  const ES = ${Class === 'native' ? 'EventSource' : "(await import('/.sse/mux.js')).MuxEventSource"};
  ${PAGE}
  const run = async ([name, act]) => [name, await act(ES).catch((error) => String(error))];
  return Object.fromEntries(await Promise.all(Object.entries(cases).map(run)));
})()`;

/** Where the two differ, and how it is meant. */
const DIFFERENCES = {
  // The proxy asks a failing origin again, while its readers stay.
  'a failure when it comes back closes it for good': (log) => {
    assert.deepEqual(log.slice(0, 2), [['open', 1], ['message', 1, 'before', '5']]);
    assert.ok(log.length > 2 && log.slice(2).every(([type, state]) => type === 'error' && state === 0), JSON.stringify(log));
  },
};

test('MuxEventSource does what EventSource does', async (t) => {
  const { proxy, other } = await start(t);
  const page = await openPage(t, `${proxy.url}/`);
  const native = await page.evaluate(script(other.url, 'native'));
  const mux = await page.evaluate(script(other.url, 'mux'));
  for (const [name, expected] of Object.entries(native)) {
    await t.test(name, () => {
      if (DIFFERENCES[name]) DIFFERENCES[name](mux[name]);
      else assert.deepEqual(mux[name], expected);
    });
  }
});
