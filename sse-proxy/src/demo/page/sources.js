// The two ways to listen, and what each has heard. No DOM here.

import { level } from './feeds.js';

/** How long an event stays in a feed's picture, in milliseconds. */
export const SPAN = 24_000;
/** A browser that lost a stream asks again after 3 s (Chromium) or 5 s (Firefox). */
const RETRY = 5_500;

function feed(name) {
  return {
    name,
    path: `/feed/${name}`,
    state: 'waiting',
    heard: 0, // events that reached a listener
    sent: 0, // events the origin has sent since this page came, as it says itself
    total: null, // its own count of all
    behind: 0, // of those, not here a status later
    last: null, // number of the last event heard
    lost: 0,
    doubled: 0,
    data: null,
    marks: [], // { at, level, late }: events to draw
    bands: [], // { from, to, kind }: times without a stream
  };
}

function beginBand(feed, kind) {
  if (feed.bands.at(-1)?.to !== null) feed.bands.push({ from: Date.now(), to: null, kind });
}

function endBand(feed) {
  const band = feed.bands.at(-1);
  if (band?.to === null) band.to = Date.now();
}

/** Drops what has left the picture. */
function trim(feed) {
  const since = Date.now() - SPAN - 1_000;
  while (feed.marks.length && feed.marks[0].at < since) feed.marks.shift();
  while (feed.bands.length && feed.bands[0].to !== null && feed.bands[0].to < since) feed.bands.shift();
}

const count = (feeds, state) => feeds.filter((feed) => feed.state === state).length;
const sum = (feeds, field) => feeds.reduce((total, feed) => total + feed[field], 0);

/** One plain EventSource for each feed, straight to the origin. */
export class Direct {
  constructor(names, address, tell) {
    this.tell = tell;
    this.feeds = names.map(feed);
    this.sources = this.feeds.map((feed) => this.#listen(feed, `${address}${feed.path}?direct`));
  }

  #listen(feed, url) {
    const source = new EventSource(url);
    const hear = () => {
      feed.heard += 1;
      feed.marks.push({ at: Date.now(), level: 1, late: false });
    };
    source.addEventListener('message', hear);
    source.addEventListener('update', hear);
    source.addEventListener('open', () => {
      feed.state = 'open';
      endBand(feed);
      this.tell('direct-open');
    });
    source.addEventListener('error', () => {
      const wasOpen = feed.state === 'open';
      feed.state = source.readyState === EventSource.CLOSED ? 'closed' : 'broken';
      if (wasOpen) {
        beginBand(feed, 'down');
        this.tell('direct-broken');
      }
      // By then the browser has asked again, and asks in silence, as there is no connection to spare.
      clearTimeout(feed.timer);
      if (feed.state === 'broken') feed.timer = setTimeout(() => this.#wait(feed), RETRY);
    });
    return source;
  }

  #wait(feed) {
    if (feed.state !== 'broken') return;
    feed.state = 'waiting';
    endBand(feed);
  }

  /** What the origin says it has sent; `since` is what it had sent when the page came. */
  sent(feed, total) {
    const more = total - (feed.total ?? total);
    feed.total = total;
    feed.sent += more;
    // The status is asked for once a second: spread what came meanwhile.
    for (let i = 0; i < more; i += 1) {
      feed.marks.push({ at: Date.now() - (1_000 * (more - i - 0.5)) / more, level: 0, ghost: true });
    }
    trim(feed);
  }

  get heard() { return sum(this.feeds, 'heard'); }
  get unheard() { return sum(this.feeds, 'sent') - this.heard; }
  get open() { return count(this.feeds, 'open'); }
  get waiting() { return count(this.feeds, 'waiting'); }
  close() { for (const source of this.sources) source.close(); }
}

/** All feeds on one EventSource, through the proxy. */
export class Mux {
  constructor(names, tell) {
    this.tell = tell;
    this.feeds = names.map(feed);
    this.skew = 0; // the origin's clock minus this page's, in milliseconds
    this.lastId = null;
    this.errors = 0; // error events at the reader
    this.caughtUp = 0; // missed events that came after the last coming back
    this.back = 0; // when the connection was last opened anew
    this.connect();
  }

  /** Opens the one connection, after the last event heard if there is one. */
  connect() {
    const query = this.feeds.map((feed) => `feed=${encodeURIComponent(feed.path)}`);
    if (this.lastId !== null) query.push(`lastEventId=${encodeURIComponent(this.lastId)}`);
    const source = new EventSource(`/.sse/mux?${query.join('&')}`);
    this.source = source;
    const on = (type, then) => source.addEventListener(type, then);
    on('open', () => this.#opened());
    on('error', () => this.#failed(source));
    on('mux/feed', (event) => this.#changed(JSON.parse(event.data)));
    on('mux/gap', (event) => this.tell('gap', JSON.parse(event.data)));
    on('mux/bye', () => this.tell('bye'));
    for (const feed of this.feeds) {
      on(feed.path, (event) => this.#hear(feed, event));
      on(`${feed.path}#update`, (event) => this.#hear(feed, event));
    }
  }

  /** Lets go of the connection, and of nothing else. */
  disconnect() {
    this.source.close();
    this.#away();
  }

  #opened() {
    this.back = this.lastId === null ? 0 : Date.now();
    this.caughtUp = 0;
    this.tell('mux-open', this.lastId);
  }

  #failed(source) {
    this.errors += 1;
    this.#away();
    this.tell('mux-error');
    // A browser asks again by itself, with Last-Event-ID, unless the answer was an HTTP error.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => source === this.source && this.connect(), 2_000);
    }
  }

  #away() {
    for (const feed of this.feeds) {
      feed.state = 'away';
      endBand(feed);
      beginBand(feed, 'away');
    }
  }

  #changed({ feed: path, state, reason, status }) {
    const feed = this.feeds.find((feed) => feed.path === path);
    if (!feed || feed.state === state) return;
    const before = feed.state;
    feed.state = state;
    endBand(feed);
    if (state !== 'open' && before !== 'waiting') beginBand(feed, 'down');
    this.tell(`feed-${state}`, { feed, before, reason, status });
  }

  #hear(feed, event) {
    const data = JSON.parse(event.data);
    const n = Number(event.lastEventId.split(' ')[1]);
    this.#changed({ feed: feed.path, state: 'open' });
    if (feed.last !== null && n <= feed.last) feed.doubled += 1;
    else if (feed.last !== null) feed.lost += n - feed.last - 1;
    feed.last = Math.max(n, feed.last);
    feed.heard += 1;
    feed.data = data;
    this.lastId = event.lastEventId;
    const at = data.at - this.skew;
    const late = at < this.back;
    if (late) this.caughtUp += 1;
    feed.marks.push({ at, level: level(feed.name, data), late });
    trim(feed);
  }

  /** What the origin says it has sent on this feed's URL. */
  sent(feed, total) {
    // Of what it had sent a status ago all should be here by now.
    feed.behind = feed.last === null ? 0 : Math.max(0, (feed.total ?? 0) - feed.last);
    feed.total = total;
    trim(feed);
  }

  get heard() { return sum(this.feeds, 'heard'); }
  get lost() { return sum(this.feeds, 'lost'); }
  get doubled() { return sum(this.feeds, 'doubled'); }
  get behind() { return sum(this.feeds, 'behind'); }
  get open() { return count(this.feeds, 'open'); }
  get used() { return this.source.readyState === EventSource.OPEN ? 1 : 0; }
  close() { this.source.close(); }
}
