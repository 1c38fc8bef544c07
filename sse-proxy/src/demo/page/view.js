// What the page shows, from what the sources have heard. Everything is also in data-* attributes.

import { words } from './feeds.js';
import { Strip } from './strip.js';

const number = new Intl.NumberFormat('en');

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

/** Writes only what differs: most texts stay the same from one round to the next. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function mark(node, values) {
  for (const [name, value] of Object.entries(values)) {
    if (node.dataset[name] !== String(value)) node.dataset[name] = value;
  }
}

/** One side: its figures, and a tile for each of its feeds. */
export class Side {
  constructor(section, source, describe) {
    this.section = section;
    this.source = source;
    this.describe = describe;
    this.tiles = source.feeds.map((feed) => {
      const heard = element('span', { textContent: '0' });
      const parts = {
        name: element('b', { textContent: feed.name }),
        text: element('span', { className: 'text' }),
        strip: element('span', { className: 'strip' }),
        count: element('span', { className: 'heard' }, heard, element('span', { className: 'sr', textContent: ' heard' })),
      };
      const tile = element('li', {}, ...Object.values(parts));
      tile.dataset.feed = feed.name;
      return { feed, tile, heard, ...parts };
    });
    section.querySelector('ol').replaceChildren(...this.tiles.map(({ tile }) => tile));
    new Strip(section.querySelector('canvas'), source.feeds, this.tiles.map(({ strip }) => strip));
  }

  show(figures) {
    for (const { feed, tile, text, heard } of this.tiles) {
      const { state, data, last, lost, doubled } = feed;
      mark(tile, { state, heard: feed.heard, sent: feed.sent, last: last ?? '', lost, doubled });
      write(text, this.describe(feed, data));
      write(heard, number.format(feed.heard));
    }
    for (const [name, value] of Object.entries(figures)) {
      write(this.section.querySelector(`[data-figure="${name}"]`), number.format(value));
    }
    mark(this.section, figures);
    this.section.querySelectorAll('.slots i').forEach((slot, i) => {
      slot.classList.toggle('on', i < figures.used);
    });
  }
}

export const directText = (feed) => ({
  open: feed.sent ? `open: ${number.format(feed.sent)} sent` : 'open, silent',
  waiting: 'waiting in silence',
  broken: 'cut off, retries',
  closed: 'given up',
})[feed.state];

export const muxText = (feed, data) => ({
  connecting: 'proxy reconnects',
  closed: 'closed',
})[feed.state] ?? (data === null ? 'waiting' : words(feed.name, data));

/** The list of what happened, the newest first. An entry with a key replaces the text of its last one. */
export class Log {
  constructor(list) {
    this.list = list;
    this.keys = new Map();
  }

  say(kind, text, key) {
    const known = key && this.keys.get(key);
    if (known) return write(known, text);
    const words = element('span', { textContent: text });
    const time = new Date().toTimeString().slice(0, 8);
    const entry = element('li', { className: kind }, element('time', { textContent: time }), words);
    this.list.prepend(entry);
    if (key) this.keys.set(key, words);
    while (this.list.children.length > 60) this.list.lastChild.remove();
  }

  /** From here on the keyed entries are others. */
  chapter() {
    this.keys.clear();
  }
}

export class Verdict {
  constructor(node) {
    [this.title, this.text] = node.children;
    this.node = node;
  }

  say(kind, title, text) {
    mark(this.node, { kind });
    write(this.title, title);
    write(this.text, text);
  }
}
