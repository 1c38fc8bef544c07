// EventSource over one connection: what a page imports.

import { open } from './link.js';

const NativeEventSource = globalThis.EventSource;
const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/** @type {Required<import('./mux.js').Options>} */
const options = {
  path: '/.sse/mux',
  hints: /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname),
};

let lacksMux = false;

/** @type {Promise<typeof import('./hints.js')> | undefined} */
let hints;

/** Says something on the console, if hints are wanted. @param {(_: typeof import('./hints.js')) => void} say */
const hint = (say) => { if (options.hints) (hints ??= import('./hints.js')).then(say); };

/** @param {import('./mux.js').Options} [wanted] */
export function install(wanted) {
  Object.assign(options, wanted);
  globalThis.EventSource = /** @type {any} */ (MuxEventSource);
}

export class MuxEventSource extends EventTarget {
  #url;
  #withCredentials;
  #readyState = CONNECTING;
  #wasOpen = false;
  /** Whether an `error` event is being handled. */
  #isFailing = false;
  /** What somebody has ever listened to. */
  #types = new Set(['open', 'error', 'message']);
  /** Those set as `onopen` and so on. @type {Record<string, unknown>} */
  #handlers = {};
  /** What stands in where the mux has no answer. @type {EventSource | undefined} */
  #native;
  /** The last status that the proxy gave. @type {number | undefined} */
  #status;
  #disconnect = () => {};

  /**
   * @param {string | URL} url
   * @param {EventSourceInit} [init]
   */
  constructor(url, init = undefined) {
    super();
    if (arguments.length === 0) throw new TypeError('An EventSource needs a URL');
    if (init != null && typeof init !== 'object' && typeof init !== 'function') {
      throw new TypeError("An EventSource's options are an object");
    }
    this.#url = parse(`${url}`);
    this.#withCredentials = Boolean(init?.withCredentials);
    hint(({ created }) => created(this.url, init ?? {}));
    const { origin, username, password, pathname, search } = this.#url;
    if (lacksMux || origin !== globalThis.origin || username || password) {
      this.#goNative();
    } else {
      const source = { name: pathname + search, last: '', at: '', place: { at: '' }, receive: this.#receive };
      this.#disconnect = open(source, options.path);
    }
  }

  get url() { return this.#url.href; }
  get withCredentials() { return this.#withCredentials; }
  get readyState() { return this.#native?.readyState ?? this.#readyState; }

  close() {
    if (this.#isFailing && this.readyState === CONNECTING) hint(({ givenUp }) => givenUp(this.url));
    this.#readyState = CLOSED;
    this.#native?.close();
    this.#disconnect();
  }

  /** @type {EventTarget['addEventListener']} */
  addEventListener(type, listener, options) {
    super.addEventListener(type, listener, options);
    if (listener) this.#listenTo(`${type}`);
  }

  /** @param {string} type */
  #listenTo(type) {
    if (!this.#types.has(type)) this.#native?.addEventListener(type, this.#repeat);
    this.#types.add(type);
  }

  /** @param {import('./port.js').Message} message */
  #receive = (message) => {
    if (this.#readyState === CLOSED) return;
    const [kind] = message;
    if (kind === 'event') {
      const [, type, data, , lastEventId] = message;
      this.#opened();
      if (this.#readyState !== OPEN) return; // closed by who heard that it is open
      const { origin } = this.#url;
      this.#fire(new MessageEvent(type, { data, origin, lastEventId }));
    } else if (kind === 'open') {
      this.#opened();
    } else if (kind === 'connecting') {
      this.#readyState = CONNECTING;
      this.#fail();
    } else {
      const [, status] = message;
      this.#status = status;
      if (kind === 'native') lacksMux = true;
      if (kind === 'native' || (!this.#wasOpen && mayBeAlone(status))) return this.#goNative();
      this.#readyState = CLOSED;
      this.#fail();
    }
  };

  #opened() {
    if (this.#readyState === OPEN) return;
    this.#readyState = OPEN;
    this.#wasOpen = true;
    this.#fire(new Event('open'));
  }

  #fail() {
    const isFinal = this.readyState === CLOSED;
    if (isFinal) hint(({ refused }) => refused(this.url, this.#status));
    const event = new Event('error');
    this.#fire(isFinal && this.#status ? Object.assign(event, { status: this.#status }) : event);
  }

  /** @param {Event} event */
  #fire(event) {
    const isHeard = this.#types.has(event.type);
    if (!isHeard) hint(({ unheard }) => unheard(this.url, event.type));
    this.#isFailing = event.type === 'error';
    this.dispatchEvent(event);
    this.#isFailing = false;
  }

  #goNative() {
    this.#native = new NativeEventSource(this.#url, { withCredentials: this.#withCredentials });
    for (const type of this.#types) this.#native.addEventListener(type, this.#repeat);
  }

  /** Fires an event of the native source as our own. @param {Event} event */
  #repeat = (event) => {
    if (event instanceof MessageEvent) {
      const { type, data, origin, lastEventId } = event;
      this.#fire(new MessageEvent(type, { data, origin, lastEventId }));
    } else if (event.type === 'open') {
      this.#fire(new Event('open'));
    } else {
      this.#fail();
    }
  };

  get [Symbol.toStringTag]() { return 'EventSource'; }

  static {
    for (const type of ['open', 'message', 'error']) {
      Object.defineProperty(this.prototype, `on${type}`, {
        /** @this {MuxEventSource} */
        get() { return this.#handlers[type] ?? null; },
        /** @this {MuxEventSource} @param {unknown} handler */
        set(handler) { this.#handle(type, handler); },
        enumerable: true,
        configurable: true,
      });
    }
  }

  /** @param {string} type @param {unknown} handler */
  #handle(type, handler) {
    const isNew = !this.#handlers[type];
    this.#handlers[type] = typeof handler === 'function' || typeof handler === 'object' ? handler : null;
    if (!this.#handlers[type]) this.removeEventListener(type, this.#callHandler);
    else if (isNew) super.addEventListener(type, this.#callHandler);
  }

  /** @param {Event} event */
  #callHandler = (event) => {
    const handler = this.#handlers[event.type];
    if (typeof handler === 'function') handler.call(this, event);
  };
}

// As an interface of the browser has them.
for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSED })) {
  for (const holder of [MuxEventSource, MuxEventSource.prototype]) {
    Object.defineProperty(holder, name, { value, enumerable: true });
  }
}
for (const name of ['url', 'withCredentials', 'readyState', 'close', 'addEventListener']) {
  Object.defineProperty(MuxEventSource.prototype, name, { enumerable: true });
}

/** @param {string} url */
function parse(url) {
  try {
    return new URL(url, globalThis.document?.baseURI ?? location.href);
  } catch {
    throw new DOMException(`Cannot open an EventSource to '${url}'. The URL is invalid.`, 'SyntaxError');
  }
}

/**
 * Whether a feed that the mux cannot carry may be had alone: one of a route that is not for the mux, or
 * that is somewhere else.
 * @param {number} [status]
 */
function mayBeAlone(status = 404) {
  return status === 400 || status === 404 || status === 503 || (status >= 300 && status < 400);
}
