// The page's course: ask the origin who it is, listen twice, cut, and tell what happens.

import { Direct, Mux } from './sources.js';
import { Log, Side, Verdict, directText, muxText } from './view.js';

const REFRESH = 200;
const POLL = 1_000;
const POLL_WHILE_DOWN = 250;
const ORIGIN_CUT = 3;
const READER_CUT = 2_000;

const page = document.documentElement;
const find = (id) => document.getElementById(id);
const log = new Log(find('log'));
const verdict = new Verdict(find('verdict'));
const buttons = { origin: find('cut-origin'), reader: find('cut-reader') };

let direct;
let mux;
let directSide;
let muxSide;
let started = null; // the origin's life that this page knows
let up = true;
let cutAt = 0; // what was asked before this is no news
let phase = 'starting';
let heardAt = new Map(); // per feed, what had been heard when the phase began

function enter(next) {
  phase = next;
  page.dataset.phase = next;
  heardAt = new Map(mux.feeds.map((feed) => [feed, feed.heard]));
  const idle = next === 'steady';
  for (const button of Object.values(buttons)) button.setAttribute('aria-disabled', String(!idle));
}

/** Every feed is open and has been heard since the phase began. */
const allHeard = () => mux.feeds.every((feed) => feed.state === 'open' && feed.heard > heardAt.get(feed));

const tell = {
  'direct-open': () => {
    if (direct.open === 6) log.say('plain', 'Straight: six streams are open, the other six get no connection', 'six');
  },
  'direct-broken': () => {
    log.say('bad', 'Straight: the open streams broke; the browser will ask again', 'broken');
  },
  'mux-open': (lastId) => {
    if (lastId !== null) log.say('away', `Back on one connection, after event ${lastId.split(' ')[0]}`);
  },
  'mux-error': () => {
    log.say('bad', 'This page’s connection broke; the browser reconnects with Last-Event-ID', 'mux-error');
    if (phase !== 'starting') enter('catching-up');
  },
  'feed-connecting': () => {
    const lost = mux.feeds.filter((feed) => feed.state === 'connecting').length;
    if (phase === 'starting') return;
    log.say('plain', `Proxy: ${lost} feeds lost their origin and are being reconnected; readers stay`, 'connecting');
  },
  'feed-open': ({ before }) => {
    if (before !== 'connecting' || phase === 'starting') return;
    log.say('good', `Proxy: ${mux.open} of ${mux.feeds.length} feeds are open again`, 'open-again');
  },
  'feed-closed': ({ feed, status }) => log.say('bad', `Proxy: ${feed.name} is closed, status ${status}`),
  gap: ({ feed, missed }) => log.say('bad', `Proxy: ${missed ?? 'some'} events of ${feed} are gone`),
  bye: () => log.say('plain', 'Proxy: goodbye, a planned end'),
};

function settle() {
  if (phase === 'starting' && allHeard()) {
    log.say('good', 'Proxy: twelve feeds are heard on one connection');
    enter('steady');
  } else if ((phase === 'recovering' || phase === 'catching-up') && allHeard()) {
    if (mux.caughtUp && phase === 'catching-up') {
      log.say('away', `${mux.caughtUp} events were missed meanwhile; all of them came at once`);
    }
    const kind = mux.lost + mux.doubled ? 'bad' : 'good';
    log.say(kind, `Every feed goes on: lost ${mux.lost}, doubled ${mux.doubled}`);
    log.chapter();
    page.dataset.trials = Number(page.dataset.trials ?? 0) + 1;
    enter('steady');
  }
}

function judge() {
  if (mux.lost + mux.doubled > 0) {
    return verdict.say('bad', `Lost ${mux.lost}, doubled ${mux.doubled}`, 'The numbers of the events do not follow on.');
  }
  const said = {
    starting: ['wait', 'Connecting', 'to twelve feeds, twice.'],
    steady: ['good', 'Nothing lost, nothing doubled', 'Every feed’s numbers follow on without a break.'],
    'origin-down': ['wait', 'The origin is away', 'The proxy keeps this page, and tries again.'],
    recovering: ['wait', 'The origin is back', 'The proxy is taking its feeds up again.'],
    'reader-away': ['wait', 'This page is away', 'The proxy goes on listening, and keeps what comes.'],
    'catching-up': ['wait', 'Catching up', 'from the last event this page had.'],
  }[phase];
  verdict.say(...said);
}

function refresh() {
  settle();
  judge();
  const { heard, open } = direct;
  directSide.show({ heard, open, unheard: direct.unheard, used: open });
  const { lost, doubled, behind, used, errors, caughtUp } = mux;
  muxSide.show({ heard: mux.heard, open: mux.open, lost, doubled, behind, used });
  Object.assign(page.dataset, { errors, caughtUp, up });
}

async function status() {
  const answer = await fetch('/status', { signal: AbortSignal.timeout(3_000) });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

async function poll() {
  const asked = performance.now();
  try {
    const now = await status();
    if (asked < cutAt) return;
    if (now.started !== started) return location.reload(); // another origin: its counts begin anew
    mux.skew = now.now - Date.now();
    for (const feed of direct.feeds) direct.sent(feed, now.urls[`${feed.path}?direct`]?.sent ?? 0);
    for (const feed of mux.feeds) mux.sent(feed, now.urls[feed.path]?.sent ?? 0);
    if (up && !now.up) log.say('down', 'The origin is away and refuses every stream');
    if (!up && now.up) log.say('plain', 'The origin is up again');
    up = now.up;
    if (!up && phase === 'steady') enter('origin-down'); // somebody else has cut it
    if (up && phase === 'origin-down') enter('recovering');
  } catch {
    // A proxy or origin that is being restarted: the streams tell that story.
  } finally {
    setTimeout(poll, phase === 'origin-down' ? POLL_WHILE_DOWN : POLL);
  }
}

function when(button, then) {
  button.addEventListener('click', () => {
    if (button.getAttribute('aria-disabled') !== 'true') then();
  });
}

when(buttons.origin, async () => {
  log.chapter();
  log.say('down', `You cut the origin for ${ORIGIN_CUT} s`);
  cutAt = Infinity;
  up = false;
  enter('origin-down');
  await fetch(`/cut?seconds=${ORIGIN_CUT}`, { method: 'POST' }).catch(() => {});
  cutAt = performance.now();
});

when(buttons.reader, () => {
  log.chapter();
  log.say('away', `You cut this page’s connection for ${READER_CUT / 1_000} s`);
  enter('reader-away');
  mux.disconnect();
  setTimeout(() => {
    mux.connect();
    enter('catching-up');
  }, READER_CUT);
});

// A page in the back/forward cache would keep its connections, and starve the next page.
addEventListener('pagehide', () => {
  direct?.close();
  mux?.close();
});
addEventListener('pageshow', (event) => event.persisted && location.reload());

async function start() {
  let origin;
  try {
    origin = await status();
  } catch {
    return setTimeout(start, POLL);
  }
  started = origin.started;
  const dispatch = (kind, detail) => tell[kind]?.(detail);
  mux = new Mux(origin.feeds, dispatch);
  direct = new Direct(origin.feeds, origin.address, dispatch);
  muxSide = new Side(find('mux'), mux, muxText);
  directSide = new Side(find('direct'), direct, directText);
  enter('starting');
  setInterval(refresh, REFRESH);
  poll();
}

start();
