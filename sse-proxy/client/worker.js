// The shared worker: one hub for all tabs of an origin.

import { Hub } from './hub.js';
import { serve } from './port.js';

const scope = /** @type {SharedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
// Pages give the worker the mux as the last word of its name.
const hub = new Hub(scope.name.split(' ').at(-1) ?? '');

// Nobody is told when a worker or a tab dies, but the locks that it held become free.
const lock = `sse worker ${crypto.randomUUID()}`;
const isHeld = new Promise((/** @type {(_?: void) => void} */ resolve) => {
  navigator.locks.request(lock, () => {
    resolve();
    return new Promise(() => {});
  });
});

scope.addEventListener('connect', ({ ports: [port] }) => {
  if (!port) return;
  const end = serve(hub, port);
  port.addEventListener('message', async ({ data: { tab } }) => {
    if (!tab) return;
    navigator.locks.request(tab, end);
    await isHeld;
    port.postMessage({ worker: lock });
  });
});
