// Everything that an EventSource does, asked of the browser's own and of MuxEventSource.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openFirefox, openPage } from './browsers.mjs';
import { startEventServer } from './event-server.mjs';
import { startConfigured } from './harness.mjs';
import { parityHandlers } from './parity-server.mjs';

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

const inPage = async (args) => (await import('/parity/page.js')).runAll(...args);
const inWorker = (args) => new Promise((resolve, reject) => {
  const worker = new Worker('/parity/worker.js', { type: 'module' });
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage(args);
});

/** Where the two differ, and how it is meant. */
const DIFFERENCES = {
  // Firefox drops it, against the rules.
  'a NUL is a character': (log) => assert.deepEqual(log, [['open', 1], ['message', 1, 'a\0b', '']]),
  // The proxy asks a failing origin again, while its readers stay.
  'a failure when it comes back closes it for good': (log) => {
    assert.deepEqual(log.slice(0, 2), [['open', 1], ['message', 1, 'before', '5']]);
    assert.ok(log.length > 2 && log.slice(2).every(([type, state]) => type === 'error' && state === 0), JSON.stringify(log));
  },
};

for (const [browser, open] of [['Chromium', openPage], ['Firefox', openFirefox]]) {
  for (const [place, run] of [['a page', inPage], ['a dedicated worker', inWorker]]) {
    test(`MuxEventSource does what EventSource does, in ${place} of ${browser}`, async (t) => {
      const { proxy, other } = await start(t);
      const page = await open(t, `${proxy.url}/`);
      const native = await page.evaluate(run, ['native', other.url]);
      const mux = await page.evaluate(run, ['mux', other.url]);
      for (const [name, expected] of Object.entries(native)) {
        await t.test(name, () => {
          if (DIFFERENCES[name]) DIFFERENCES[name](mux[name]);
          else assert.deepEqual(mux[name], expected);
        });
      }
    });
  }
}
