// One multiplexed stream: any number of feeds over one POST, changed while it goes on, and resumed
// when it breaks.

import { distance } from './message.js';
import { createParser } from './eventsource-parser.js';

/**
 * What a stream knows of a feed, and tells it.
 * @typedef {object} Feed
 * @property {string} name Path and query.
 * @property {string} last The origin's id of its newest event.
 * @property {boolean} settled Whether the stream's cursor speaks for it: not before it is live.
 * @property {boolean} stale Whether what comes under its name is meant for its predecessor.
 * @property {boolean} fresh Whether nothing can have been missed of it, as it begins only now.
 * @property {(state: 'open' | 'connecting' | 'closed' | 'native', more?: Told) => void} tell
 * @property {(type: string, data: string, cursor: string, id: string) => void} hear
 */

/** What comes with a state. @typedef {{ status?: number, private?: boolean }} Told */
/** @typedef {{ id?: string, event?: string, data: string }} Block */

/** What is asked for within such a time goes in one request, in milliseconds. */
const MOMENT = 10;
/** The proxy says something every 15 seconds: a stream that is silent for longer is dead. */
const SILENCE = 45_000;
const LONGEST_PAUSE = 30_000;
/** The status of a feed that is added to a stream which has as many as it may. */
const FULL = 409;
/** Statuses of a server that has no mux. */
const NO_MUX = [400, 404, 405, 501];

let count = 0;

export class Stream {
  number = ++count;
  /** The feeds that are wanted, by name. @type {Map<string, Feed>} */
  feeds = new Map();
  /** The most feeds that it takes. */
  limit = 256;
  /** Whether it takes others at all: not when the client is no longer who it was when it began. */
  isOurs = true;
  /** The position up to which all has come. */
  cursor = '';
  /** The position that was asked for when the stream was opened. */
  #from = '';
  /** What the server was told to send. @type {Map<string, Feed>} */
  #told = new Map();
  /** @type {((isOurs: boolean) => void)[]} */
  #checks = [];
  /** The server's name for the stream, while it is open. */
  #sid = '';
  #aborter = new AbortController();
  /** Whether the next request is still to be made, so that all can go in it. */
  gathering = true;
  #changing = false;
  /** Whether the next request names all feeds, as changes are not possible. */
  #whole = false;
  #wasOpen = false;
  #retry = 3000;
  #failures = 0;
  #url;
  #onmove;

  /**
   * @param {string} url
   * @param {(feeds: Feed[]) => void} onmove Takes feeds that this stream cannot have.
   */
  constructor(url, onmove) {
    this.#url = url;
    this.#onmove = onmove;
  }

  /** @param {Feed} feed */
  add(feed) {
    this.feeds.set(feed.name, feed);
    if (this.feeds.size === 1) this.#run();
    else this.#change();
  }

  /** Without its last feed the stream ends. @param {Feed} feed */
  remove(feed) {
    this.feeds.delete(feed.name);
    if (this.feeds.size === 0) this.#aborter.abort();
    else this.#change();
  }

  /** Resolves to whether the stream was opened with the credentials that the client has now. */
  check() {
    return new Promise((/** @type {(isOurs: boolean) => void} */ resolve) => {
      this.#checks.push(resolve);
      this.#change();
    });
  }

  /**
   * Has everything after `cursor` sent, which may be once more. Returns whether that is possible: not
   * if it is a position in another log.
   * @param {string} cursor
   */
  goBack(cursor) {
    const ahead = distance(cursor, this.cursor || cursor);
    if (Number.isNaN(ahead)) return false;
    if (ahead < 0 || !this.cursor) this.cursor = cursor;
    if (!this.gathering) this.#reopen();
    return true;
  }

  #reopen() {
    this.gathering = true;
    this.#sid = '';
    this.#aborter.abort();
  }

  async #run() {
    while (this.feeds.size > 0) {
      this.gathering = true;
      await pause(MOMENT);
      if (this.feeds.size === 0) return;
      this.gathering = false;
      this.#aborter = new AbortController();
      // A stream that breaks off is resumed like one that ends.
      await this.#read(this.#aborter).catch(() => {});
      this.#sid = '';
      if (this.gathering) continue; // given up to be opened anew, which is nobody's concern
      for (const feed of this.feeds.values()) feed.tell('connecting');
      await pause(Math.random() * Math.min(this.#retry * 2 ** this.#failures, LONGEST_PAUSE));
      this.#failures += 1;
    }
  }

  /** @param {AbortController} aborter */
  async #read(aborter) {
    const { signal } = aborter;
    const all = [...this.feeds.values()];
    // What is not settled is added as soon as the stream is open: it does not begin at the cursor.
    const settled = all.filter((feed) => feed.settled);
    const feeds = this.#whole || !this.cursor || settled.length === 0 ? all : settled;
    const isNew = settled.length === 0 || feeds.some((feed) => !feed.settled && feed.last);
    if (isNew) this.cursor = '';
    this.#from = this.cursor;
    this.#told = new Map(feeds.map((feed) => [feed.name, feed]));
    for (const feed of feeds) {
      feed.stale = false;
      feed.fresh = !feed.settled && !feed.last;
    }

    const response = await this.#post('', { feeds: feeds.map(wanted), cursor: this.cursor || undefined }, signal);
    const isStream = response.headers.get('Content-Type')?.startsWith('text/event-stream');
    if (!response.ok || !isStream || !response.body) return this.#refused(response, feeds);
    const parser = createParser({
      onEvent: (/** @type {Block} */ { id = '', event = '', data }) => this.#receive(id, event, data),
      onRetry: (/** @type {number} */ retry) => { this.#retry = retry; },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const silence = setTimeout(() => aborter.abort(), SILENCE);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      signal.throwIfAborted();
      if (done) return;
      parser.feed(value);
    }
  }

  /** @param {Response} response @param {Feed[]} feeds */
  #refused(response, feeds) {
    response.body?.cancel();
    if (response.status === 400 && feeds.length > 1) {
      this.limit = Math.ceil(feeds.length / 2);
      this.#moveAway([...this.feeds.values()].slice(this.limit));
      this.gathering = true;
    } else if (!this.#wasOpen && (response.ok || NO_MUX.includes(response.status))) {
      const all = [...this.feeds.values()];
      this.feeds.clear();
      for (const feed of all) feed.tell('native');
    }
  }

  /**
   * Moves the feeds away that the stream has no room for. Returns whether there are others that it has.
   * @param {Feed} feed The first of them: those that were asked for after it fit no better.
   */
  #overflows(feed) {
    const told = [...this.#told.values()];
    const room = told.indexOf(feed);
    if (room === 0) return false;
    this.limit = room;
    this.#told.delete(feed.name);
    this.#moveAway(told.slice(room).filter((feed) => this.feeds.get(feed.name) === feed));
    this.#change();
    return true;
  }

  /** @param {Feed[]} feeds */
  #moveAway(feeds) {
    for (const { name } of feeds) this.feeds.delete(name);
    if (this.feeds.size === 0) this.#aborter.abort();
    this.#onmove(feeds);
  }

  /** @param {string} id @param {string} event @param {string} data */
  #receive(id, event, data) {
    if (event.startsWith('mux/')) return this.#control(event.slice(4), JSON.parse(data), id);
    const [name, type] = cut(event, '#');
    const [cursor, last = ''] = cut(id, ' ');
    // What the origin has sent again stands where this stream began, or nowhere.
    const isAgain = cursor === this.#from || cursor.endsWith('.0');
    const isNews = !isAgain && !(distance(cursor, this.cursor) <= 0);
    if (isNews) this.cursor = cursor;
    const feed = this.feeds.get(name);
    if (!feed || feed.stale || this.#told.get(name) !== feed) return;
    if (isNews) feed.settled = true; // what it had to catch up with is through
    feed.last = last;
    feed.hear(type ?? 'message', data, isAgain ? '' : cursor, last);
  }

  /** @param {string} event @param {any} data @param {string} id */
  #control(event, data, id) {
    if (event === 'open') {
      this.#sid = data.sid;
      this.#failures = 0;
      this.#wasOpen = true;
      this.#whole = false;
      const told = [...this.#told.values()];
      // Nothing that is to be caught up with: this is where we are.
      if (!this.cursor && id && !told.some((feed) => feed.last)) this.cursor = id;
      for (const feed of told) feed.settled = true;
      this.isOurs = true;
      for (const resolve of this.#checks.splice(0)) resolve(true);
      this.#change();
      return;
    }
    const feed = this.feeds.get(data.feed);
    if (!feed || this.#told.get(data.feed) !== feed) return;
    if (event === 'feed') {
      if (data.status === FULL && this.#overflows(feed)) return;
      feed.stale = feed.fresh = false;
      // What comes after it was said to be open is not to be lost.
      if (data.state === 'open') feed.settled ||= !feed.last;
      // The server still knows a closed feed by its name, until it is told to forget it.
      if (data.state === 'closed') this.remove(feed);
      feed.tell(data.state, data);
    } else if (event === 'gap' && !feed.stale && !feed.fresh) {
      feed.hear('mux/gap', JSON.stringify(data), '', feed.last);
    }
  }

  /** Tells the server what has changed, until it knows all. */
  async #change() {
    if (this.#changing) return;
    this.#changing = true;
    while (this.#sid) {
      const sid = this.#sid;
      const add = [...this.feeds.values()].filter((feed) => this.#told.get(feed.name) !== feed);
      const remove = [...this.#told].filter(([name, feed]) => this.feeds.get(name) !== feed).map(([name]) => name);
      const checks = this.#checks.splice(0);
      if (add.length + remove.length + checks.length === 0) break;
      for (const name of remove) this.#told.delete(name);
      for (const feed of add) {
        feed.stale = remove.includes(feed.name);
        this.#told.set(feed.name, feed);
      }
      const change = { add: add.map(wanted), remove };
      const answer = await this.#post(`/${sid}`, change, this.#aborter.signal).catch(() => undefined);
      const isMade = answer?.status === 204;
      this.isOurs &&= answer?.status !== 403;
      if (isMade || !this.isOurs) for (const resolve of checks) resolve(isMade);
      else this.#checks.push(...checks);
      if (isMade) {
        for (const feed of add) feed.settled ||= !feed.last;
      } else if (!this.isOurs) {
        this.#moveAway(add);
      } else if (sid === this.#sid) {
        // Another node's, or gone: one that is opened anew has everything.
        this.#whole = true;
        this.#reopen();
      }
    }
    this.#changing = false;
  }

  /** @param {string} path @param {object} body @param {AbortSignal} signal */
  #post(path, body, signal) {
    const headers = { 'Content-Type': 'application/json', Accept: 'text/event-stream' };
    return fetch(this.#url + path, { method: 'POST', headers, body: JSON.stringify(body), cache: 'no-store', signal });
  }
}

/** @param {Feed} feed */
const wanted = ({ name, last }) => [name, last || null];

/**
 * What is before and after the first `mark`.
 * @param {string} text
 * @param {string} mark
 * @returns {[string, string?]}
 */
function cut(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
