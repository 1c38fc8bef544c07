// A service worker that puts the EventSources of unchanged pages on one stream.

import { Hub } from './hub.js';

const scope = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const hub = new Hub(new URL('mux', location.href).pathname);
/** How much may wait for a page: one that is slower comes back for the rest, as it would natively. */
const MOST = 2 ** 20;

scope.addEventListener('install', () => scope.skipWaiting());
scope.addEventListener('activate', (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener('fetch', (event) => {
  const { method, headers, url } = event.request;
  const { origin, pathname, search } = new URL(url);
  const isFeed = method === 'GET' && headers.get('Accept') === 'text/event-stream' && origin === location.origin;
  // What is ours by name is the mux itself.
  if (isFeed && !pathname.startsWith('/.sse/')) event.respondWith(answer(event.request, pathname + search));
});

/**
 * @param {Request} request
 * @param {string} name
 * @returns {Promise<Response>}
 */
function answer(request, name) {
  const last = lastEventId(request);
  const encoder = new TextEncoder();
  /** @type {ReadableStreamDefaultController<Uint8Array>} */
  let controller;
  let leave = () => {};
  let hasIds = false;
  const body = new ReadableStream({
    start: (it) => { controller = it; },
    cancel: () => leave(),
  }, new ByteLengthQueuingStrategy({ highWaterMark: MOST }));
  const end = () => {
    leave();
    controller.close();
  };

  return new Promise((resolve) => {
    const headers = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' };
    let isOpen = false;
    const open = () => {
      if (!isOpen) resolve(new Response(body, { headers }));
      isOpen = true;
    };
    const send = (/** @type {import('./hub.js').Message} */ message) => {
      const [kind] = message;
      if (kind === 'event') {
        const [, type, data, cursor, id] = message;
        open();
        hasIds ||= id !== '';
        // Without an id of its own the position is one, for the proxy to find it again.
        controller.enqueue(encoder.encode(block(type, data, hasIds ? id : cursor)));
        if ((controller.desiredSize ?? 0) < 0) end();
      } else if (kind === 'open') {
        open();
      } else if (kind !== 'connecting') {
        const [, status = 404] = message;
        if (isOpen) end();
        else if (kind === 'native' || status === 404 || status === 400 || (status > 299 && status < 400)) resolve(fetch(request));
        else resolve(new Response(null, { status }));
      }
    };
    leave = hub.subscribe({ name, at: '', last, send });
  });
}

/** @param {string} type @param {string} data @param {string} id */
function block(type, data, id) {
  const lines = data.split('\n').map((line) => `data: ${line}\n`);
  return `id: ${id}\nevent: ${type}\n${lines.join('')}\n`;
}

/** The header's bytes are UTF-8, which `Headers` gives as characters of one byte each. @param {Request} request */
function lastEventId({ headers }) {
  const bytes = headers.get('Last-Event-ID') ?? '';
  return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
}
