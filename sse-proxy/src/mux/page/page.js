// Shows the feeds of the multiplexed streams that this browser has open.

const link = document.querySelector('#link');
const streams = document.querySelector('#streams');

/** What was shown last of each feed, by stream and name. */
let known = new Map();

/** @param {string} id */
const copy = (id) => document.querySelector(`#${id}`).content.firstElementChild.cloneNode(true);

/** @param {number} bytes */
const size = (bytes) => (bytes < 1e4 ? `${bytes} bytes` : bytes < 1e7 ? `${Math.round(bytes / 1e3)} kB` : `${Math.round(bytes / 1e6)} MB`);

/** Events a second, as they came in the last seconds. */
function rate(before, events, now) {
  const samples = [...(before?.samples ?? []), { events, now }].filter((one) => now - one.now < 5000);
  const first = before && samples.length === 1 ? before.samples.at(-1) : samples[0];
  const seconds = (now - first.now) / 1000;
  return { samples, perSecond: seconds > 0 ? (events - first.events) / seconds : 0 };
}

function row(key, name, feed, now, shown) {
  const before = known.get(key);
  const { samples, perSecond } = rate(before, feed.events, now);
  shown.set(key, { samples, events: feed.events });
  const tr = copy('feed');
  const cell = (selector) => tr.querySelector(selector);
  const state = feed.state || 'connecting';
  cell('.name').textContent = cell('.name').title = name;
  cell('.state').classList.add(state);
  cell('.state').textContent = cell('.state').title = [state, feed.why, feed.gaps ? `${feed.gaps} gaps` : ''].filter(Boolean).join(' · ');
  cell('.events').textContent = feed.events;
  cell('.rate').textContent = perSecond.toFixed(perSecond < 10 ? 1 : 0);
  cell('.last b').textContent = feed.events ? feed.kind : '';
  cell('.last code').textContent = feed.data;
  cell('.last').title = feed.id;
  if (before && before.events !== feed.events) tr.classList.add('news');
  return tr;
}

function section(stream, now, shown) {
  const card = copy('stream');
  const feeds = Object.entries(stream.feeds);
  card.querySelector('h2').textContent = `Stream ${stream.number} · ${feeds.length} feeds · ${size(stream.bytes)}`;
  const rows = feeds.map(([name, feed]) => row(`${stream.number} ${name}`, name, feed, now, shown));
  card.querySelector('tbody').append(...rows);
  return card;
}

const source = new EventSource('/.sse/page/events');
source.onmessage = ({ data }) => {
  const shown = new Map();
  const now = performance.now();
  streams.replaceChildren(...JSON.parse(data).map((stream) => section(stream, now, shown)));
  known = shown;
};
source.onopen = source.onerror = () => {
  const isOpen = source.readyState === EventSource.OPEN;
  link.className = isOpen ? 'open' : '';
  link.value = isOpen ? 'live' : 'connecting';
};
