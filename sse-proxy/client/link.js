// A page's way to the hub that reads its feeds: in a shared worker, or here where there is none.

import { distance, weight } from './message.js';

/**
 * A source, as the link sees it.
 * @typedef {object} Source
 * @property {string} name Of its feed: path and query.
 * @property {string} last The last id that came with an event.
 * @property {string} at The position of its last event.
 * @property {{ at: string }} place The position up to which its stream has brought all.
 * @property {(message: import('./port.js').Message) => void} receive
 */

/** How long the worker may take to say that it is there, in milliseconds. */
const PATIENCE = 10_000;
/** How much is read before the hub hears of it. */
const OFTEN = 2 ** 16;

/** @type {Map<number, Source>} */
const sources = new Map();
let count = 0;
let mux = '';
let isShared = 'SharedWorker' in globalThis && 'locks' in navigator;
/** Which of all connections to a hub is the one that counts. */
let current = 0;
/** It, when it is ready. @type {MessagePort | undefined} */
let port;
/** Gives up the lock that says that this page lives. */
let release = () => {};

/**
 * Connects a source, and returns what disconnects it.
 * @param {Source} source
 * @param {string} url The mux.
 */
export function open(source, url) {
  const id = ++count;
  sources.set(id, source);
  if (!mux) connect((mux = url));
  else port?.postMessage({ open: [wanted(id, source)] });
  return () => {
    if (sources.delete(id)) port?.postMessage({ close: id });
  };
}

/**
 * What a source wants, and from where.
 * @param {number} id
 * @param {Source} source
 */
function wanted(id, { name, last, at, place }) {
  return [id, name, distance(at, place.at) > 0 ? at : place.at, last];
}

/** Begins with a hub, with all the sources that there are. @param {unknown} [_] */
function connect(_) {
  disconnect();
  const mine = current;
  if (isShared) {
    try {
      return connectShared(() => mine === current);
    } catch {
      isShared = false; // a policy forbids it
    }
  }
  connectHere(() => mine === current);
}

/** @param {() => boolean} isCurrent */
function connectShared(isCurrent) {
  const worker = new SharedWorker(new URL('./worker.js', import.meta.url), { type: 'module', name: `sse 1 ${mux}` });
  const again = () => { if (isCurrent()) connect(); };
  const patience = setTimeout(again, PATIENCE);
  worker.onerror = () => {
    isShared = false;
    again();
  };
  // The hub is told of the sources when it can see the page's end, and not before.
  const lock = `sse tab ${crypto.randomUUID()}`;
  navigator.locks.request(lock, () => isCurrent() && new Promise((resolve) => {
    release = () => resolve(undefined);
    worker.port.postMessage({ tab: lock });
    begin(worker.port, (theirs) => {
      clearTimeout(patience);
      // Granted when the worker is gone.
      navigator.locks.request(theirs, { mode: 'shared' }, again);
    });
  }));
}

/** @param {() => boolean} isCurrent */
async function connectHere(isCurrent) {
  const [{ Hub }, { serve }] = await Promise.all([import('./hub.js'), import('./port.js')]);
  if (!isCurrent()) return;
  const { port1, port2 } = new MessageChannel();
  serve(new Hub(mux), port2);
  begin(port1);
}

/**
 * @param {MessagePort} newPort
 * @param {(lock: string) => void} [watch] Takes the lock that the hub holds while it lives.
 */
function begin(newPort, watch) {
  port = newPort;
  /** @type {{ at: string }[]} By the streams' numbers. */
  const places = [];
  let read = 0;
  const openAll = () => newPort.postMessage({ open: [...sources].map(([id, source]) => wanted(id, source)) });
  newPort.onmessage = ({ data }) => {
    if (data.worker) return watch?.(data.worker);
    if (data === 'lagged') return openAll();
    const [id, ...message] = /** @type {[number, ...import('./port.js').Message]} */ (data);
    read += weight(message);
    if (read > OFTEN) {
      newPort.postMessage({ read });
      read = 0;
    }
    const source = sources.get(id);
    if (source) receive(id, source, message, places);
  };
  openAll();
}

/** @type {(id: number, source: Source, message: import('./port.js').Message, places: { at: string }[]) => void} */
function receive(id, source, message, places) {
  const [kind] = message;
  if (kind === 'open') {
    const [, at, number] = message;
    source.place = places[number] ??= { at };
    source.place.at = at;
    source.at ||= at; // what is sent again for another page is not for one that came later
  } else if (kind === 'event') {
    const [, , , at, last] = message;
    if (distance(at, source.at) <= 0) return; // for another page, that had not seen it
    if (at) source.at = source.place.at = at;
    source.last = last;
  } else if (kind !== 'connecting') {
    sources.delete(id);
  }
  source.receive(message);
}

function disconnect() {
  current += 1;
  port?.postMessage({ bye: true });
  port?.close();
  port = undefined;
  release();
}

// A page in the back-forward cache reads nothing, and goes on where it was when it is shown again.
addEventListener('pagehide', () => { if (mux) disconnect(); });
addEventListener('pageshow', ({ persisted }) => { if (mux && persisted) connect(); });
