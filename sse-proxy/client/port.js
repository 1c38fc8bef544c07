// What a page and the hub that serves it say to each other.

import { weight } from './message.js';

/**
 * @typedef {import('./hub.js').Message} Message
 *
 * What a page says. `open`: number, feed, position and last id of each source. `read`: how much it has
 * taken in. `tab`: the name of the lock that it holds while it lives.
 * @typedef {{ open: [number, string, string, string][] } | { close: number } | { read: number }
 *   | { tab: string } | { bye: true }} Said
 *
 * What it is told: a source's number and a message; or the name of the lock that the hub holds while it
 * lives; or that it has read too slowly, and nothing more comes until it opens its sources again.
 * @typedef {[number, ...Message] | { worker: string } | 'lagged'} Told
 */

/** How much may be on its way to a page, as {@link weight} has it. A frozen page takes nothing in. */
const MOST = 16 * 2 ** 20;

/**
 * Serves a page behind a port. Returns what ends that.
 * @param {import('./hub.js').Hub} hub
 * @param {MessagePort} port
 */
export function serve(hub, port) {
  /** @type {Map<number, () => void>} */
  const leave = new Map();
  let unread = 0;

  const end = () => {
    for (const one of leave.values()) one();
    leave.clear();
    unread = 0;
  };

  port.addEventListener('message', ({ data }) => {
    for (const [id, name, at, last] of data.open ?? []) {
      const send = (/** @type {Message} */ message) => {
        port.postMessage([id, ...message]);
        unread += weight(message);
        if (unread <= MOST) return;
        end();
        port.postMessage('lagged');
      };
      leave.set(id, hub.subscribe({ name, at, last, send }));
    }
    leave.get(data.close)?.();
    leave.delete(data.close);
    unread -= data.read ?? 0;
    if (data.bye) end();
  });
  port.start();
  return end;
}
