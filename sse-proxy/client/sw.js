// A service worker that puts the EventSources of unchanged pages on one stream.

import { Hub } from './hub.js';

const scope = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const hub = new Hub(new URL('mux', location.href).pathname);
/** How much may wait for a page: one that is slower comes back for the rest, as it would natively. */
const MOST = 2 ** 20;

/** Ends what is being answered, each its own. @type {Set<() => void>} */
const ends = new Set();
/**
 * The last ids of what has ended here and comes back, by page and feed: Chromium does not show
 * `Last-Event-ID` to workers. @type {Map<string, string>}
 */
const lasts = new Map();
/** How many of them are kept: some pages never come back. */
const MOST_LASTS = 4096;
/** What is not for the mux: the browser does better without us. @type {Set<string>} */
const elsewhere = new Set();
const MOST_ELSEWHERE = 1024;
/** Whether another version of this worker takes over. */
let isReplaced = false;

scope.addEventListener('install', () => scope.skipWaiting());
scope.addEventListener('activate', (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener('fetch', (event) => {
  const { method, headers, url } = event.request;
  const { origin, pathname, search } = new URL(url);
  const isFeed = method === 'GET' && headers.get('Accept') === 'text/event-stream' && origin === location.origin;
  const name = pathname + search;
  // What is ours by name is the mux itself.
  const isOurs = isFeed && !isReplaced && !pathname.startsWith('/.sse/') && !elsewhere.has(name);
  if (isOurs) event.respondWith(answer(event, name));
});

// What is still being answered when a worker goes is closed for good by Chromium, and what has ended is
// not: its page comes back with its last id, to the next worker.
scope.registration.addEventListener('updatefound', () => {
  const next = scope.registration.installing;
  if (!next || scope.serviceWorker.state !== 'activated') return; // it is this one
  next.addEventListener('statechange', () => {
    isReplaced ||= next.state === 'installed' || next.state === 'activating';
    if (!isReplaced) return;
    for (const end of ends) end();
    next.postMessage({ lasts });
  });
});
scope.addEventListener('message', ({ data, source }) => {
  if (!(source instanceof ServiceWorker)) return;
  for (const [key, last] of data.lasts) lasts.set(key, last);
});

/**
 * @param {FetchEvent} event
 * @param {string} name
 * @returns {Promise<Response>}
 */
function answer({ request, clientId }, name) {
  const key = `${clientId} ${name}`;
  let last = lastEventId(request) || (lasts.get(key) ?? '');
  lasts.delete(key);
  const encoder = new TextEncoder();
  /** @type {ReadableStreamDefaultController<Uint8Array>} */
  let controller;
  let unsubscribe = () => {};
  let isOpen = false;
  let hasIds = false;
  /** @type {(response: Response | Promise<Response>) => void} */
  let respond = () => {};
  const leave = () => {
    ends.delete(end);
    unsubscribe();
  };
  const end = () => {
    leave();
    if (!isOpen) return respond(fetch(request));
    if (last && lasts.size < MOST_LASTS) lasts.set(key, last);
    controller.close();
  };
  ends.add(end);

  const body = new ReadableStream({
    start: (it) => { controller = it; },
    cancel: leave,
  }, new ByteLengthQueuingStrategy({ highWaterMark: MOST }));
  const headers = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' };
  const write = (/** @type {string} */ text) => {
    if (!isOpen) respond(new Response(body, { headers }));
    isOpen = true;
    controller.enqueue(encoder.encode(text));
    if ((controller.desiredSize ?? 0) < 0) end();
  };
  const send = (/** @type {import('./hub.js').Message} */ message) => {
    const [kind] = message;
    if (kind === 'event') {
      const [, type, data, cursor, id] = message;
      hasIds ||= id !== '';
      // Without an id of its own the position is one, for the proxy to find it again.
      last = hasIds ? id : cursor;
      write(block(type, data, last));
    } else if (kind === 'open') {
      write(':\n\n');
    } else if (kind !== 'connecting') {
      const [, status = 404] = message;
      const isElsewhere = kind === 'native' || status === 404 || status === 400 || (status > 299 && status < 400);
      if (isElsewhere && elsewhere.size < MOST_ELSEWHERE) elsewhere.add(name);
      if (isOpen || isElsewhere) return end();
      leave();
      respond(new Response(null, { status }));
    }
  };
  return new Promise((resolve) => {
    respond = resolve;
    unsubscribe = hub.subscribe({ name, at: '', last, send });
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
