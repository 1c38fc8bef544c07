// Who reads which feed, and which stream brings it. Runs where the streams are: in the shared worker,
// in a service worker, or in a page that has neither.

import { Stream } from './stream.js';

/**
 * What a reader is sent: a feed's states, and its events. With `open` come the stream's position and
 * number, with the final states the status if there is one, with an event its type, data, position and
 * last id.
 * @typedef {['open', string, number] | ['connecting'] | ['closed' | 'native', number?]
 *   | ['event', string, string, string, string]} Message
 */

/**
 * Who reads a feed: an EventSource.
 * @typedef {object} Reader
 * @property {string} name The feed's.
 * @property {string} at The position up to which it has all; empty if it begins now.
 * @property {string} last The last id that it has.
 * @property {(message: Message) => void} send
 * @property {boolean} [joined] Whether it is sent what comes.
 * @property {Feed} [feed]
 */

/** A feed on a stream, and its readers. */
class Feed {
  /** @type {'open' | 'connecting' | 'closed' | 'native'} */
  state = 'connecting';
  /** Whether it is its first reader's alone, once that is known. @type {boolean | undefined} */
  isPrivate;
  /** @type {Set<Reader>} */
  readers = new Set();
  stale = false;
  fresh = false;

  /**
   * @param {Stream} stream
   * @param {Reader} reader Its first.
   * @param {(reader: Reader) => void} admit
   */
  constructor(stream, { name, at, last }, admit) {
    this.stream = stream;
    this.name = name;
    this.last = last;
    this.settled = at !== '';
    this.admit = admit;
  }

  /** @type {import('./stream.js').Feed['tell']} */
  tell(state, told) {
    this.state = state;
    if (told) {
      this.isPrivate = told.private ?? false;
      // Those that have come before that was known.
      for (const reader of this.readers) if (!reader.joined) this.admit(reader);
    }
    if (state === 'open') return this.#send(['open', this.stream.cursor, this.stream.number]);
    const isFinal = state !== 'connecting';
    for (const { joined, send } of this.readers) if (joined || isFinal) send(isFinal ? [state, told?.status] : [state]);
  }

  /** @type {import('./stream.js').Feed['hear']} */
  hear(type, data, cursor, id) {
    this.#send(['event', type, data, cursor, id]);
  }

  /** @param {Message} message */
  #send(message) {
    for (const { joined, send } of this.readers) if (joined) send(message);
  }
}

export class Hub {
  /** @type {Set<Stream>} */
  #streams = new Set();
  #url;

  /** @param {string} url The mux. */
  constructor(url) {
    this.#url = url;
  }

  /**
   * Sends a reader what it is due, until the returned function is called.
   * @param {Reader} reader
   */
  subscribe(reader) {
    this.#place(reader);
    return () => this.#leave(reader);
  }

  /** @param {Reader} reader */
  #place(reader) {
    const found = this.#find(reader);
    const feed = found ?? this.#open(reader);
    feed.readers.add(reader);
    reader.feed = feed;
    reader.joined = !found;
    if (found?.isPrivate === false) this.#admit(reader, found);
  }

  /** @param {Reader} reader */
  #leave(reader) {
    const { feed } = reader;
    if (!feed?.readers.delete(reader) || feed.readers.size > 0) return;
    const { stream, name } = feed;
    if (stream.feeds.get(name) === feed) stream.remove(feed);
    if (stream.feeds.size === 0) this.#streams.delete(stream);
  }

  /** A feed that is read already, and may serve this reader too. @param {Reader} reader */
  #find({ name, at, last }) {
    for (const stream of this.#streams) {
      const feed = /** @type {Feed | undefined} */ (stream.feeds.get(name));
      if (!feed || feed.isPrivate || !stream.isOurs) continue;
      if (at ? stream.goBack(at) : !last || (stream.gathering && feed.last === last)) {
        if (at) feed.settled = true;
        return feed;
      }
    }
  }

  /** @param {Reader} reader */
  #open(reader) {
    const stream = this.#withRoom(reader);
    const feed = new Feed(stream, reader, (late) => this.#admit(late, feed));
    stream.add(feed);
    return feed;
  }

  /** @param {{ name: string, at?: string }} reader */
  #withRoom({ name, at }) {
    for (const stream of this.#streams) {
      const { size } = stream.feeds;
      if (size === 0) this.#streams.delete(stream); // all its feeds are closed
      const hasRoom = stream.isOurs && size > 0 && size < stream.limit && !stream.feeds.has(name);
      if (hasRoom && (!at || stream.goBack(at))) return stream;
    }
    const stream = new Stream(this.#url, (feeds) => this.#move(/** @type {Feed[]} */ (feeds)));
    if (at) stream.goBack(at);
    this.#streams.add(stream);
    return stream;
  }

  /** Opens feeds on other streams. @param {Feed[]} feeds */
  #move(feeds) {
    for (const feed of feeds) {
      feed.stream = this.#withRoom(feed);
      feed.settled = false;
      feed.stream.add(feed);
    }
  }

  /**
   * Lets a reader begin that has come to a feed which is open. It gets a feed of its own if this one is
   * private, or if it could not open it itself: somebody else may have signed in since.
   * @param {Reader} reader
   * @param {Feed} feed
   */
  async #admit(reader, feed) {
    const isShared = !feed.isPrivate && (reader.at || (await feed.stream.check()));
    if (reader.joined || !feed.readers.has(reader)) return;
    if (isShared) {
      reader.joined = true;
      if (feed.state === 'open') reader.send(['open', feed.stream.cursor, feed.stream.number]);
    } else {
      this.#leave(reader); // which may have been the last to stay, if those before it are gone
      this.#place(reader);
    }
  }
}
