// The service worker, which puts the sources of unchanged pages on one stream.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openPage, openTab } from './browsers.mjs';
import { frame, openStream } from './event-server.mjs';
import { names, startFeeds } from './feeds.mjs';
import { until } from './harness.mjs';
import { allOpen, assertHeard, devtools, read } from './tabs.mjs';

const FEEDS = names(20);

/** Has a page's origin answer by a service worker. */
const register = (page, script = '/.sse/sw.js') => page.evaluate(async (script) => {
  const { serviceWorker } = navigator;
  const before = serviceWorker.controller;
  await serviceWorker.register(script, { type: 'module', scope: '/' });
  if (serviceWorker.controller === before) {
    await new Promise((done) => serviceWorker.addEventListener('controllerchange', done, { once: true }));
  }
}, script);

async function start(t, handlers) {
  const feeds = await startFeeds(t, { handlers });
  const page = await openPage(t, feeds.url);
  await register(page);
  return { ...feeds, page };
}

/** How many errors a page has heard. */
const errors = (page) => page.evaluate(() => Object.values(window.heard).reduce((sum, { errors }) => sum + errors, 0));

test("unchanged pages' sources go over one stream, and lose nothing when it is cut", async (t) => {
  const { origin, relay, page, url, publish, last } = await start(t);
  const tabs = [page, await openTab(page, url)];
  for (const tab of tabs) await read(tab, FEEDS, { client: null });
  for (const tab of tabs) await allOpen(tab);
  publish(FEEDS);
  for (const tab of tabs) await assertHeard(tab, 1, 'through the service worker');
  for (const feed of FEEDS) assert.equal(origin.opened(feed), 1, `${feed} was opened once`);
  assert.ok(relay.open() < 6, 'with room for more, without TLS');

  publish(FEEDS);
  relay.cut();
  publish(FEEDS);
  for (const tab of tabs) await assertHeard(tab, last(), 'after a cut');
  assert.equal(await errors(page), 0, 'of which the page has seen nothing');
});

test('types, ids, refusals and other requests pass through the service worker', async (t) => {
  const { page } = await start(t, {
    '/said': (req, res) => {
      openStream(res);
      res.write(`${frame({ data: 'a\nb', id: '✓ ü' })}${frame({ type: 'update', data: '' })}`);
    },
    '/later': (req, res) => {
      const last = req.headers['last-event-id'];
      openStream(res);
      if (last === undefined) res.end(`retry: 100\n${frame({ id: 'ï', data: 'first' })}`);
      else res.write(frame({ data: Buffer.from(last, 'latin1').toString() }));
    },
    '/moved': (req, res) => res.writeHead(302, { Location: '/said' }).end(),
    '/gone': (req, res) => res.writeHead(204).end(),
    '/text': (req, res) => res.end('text'),
  });
  const seen = await page.evaluate(async () => {
    const log = {};
    for (const path of ['/said', '/later', '/moved', '/gone']) {
      const source = new EventSource(path);
      log[path] = [];
      for (const type of ['message', 'update']) {
        source.addEventListener(type, ({ data, lastEventId }) => log[path].push([type, data, lastEventId]));
      }
      source.onerror = () => { if (source.readyState === 2) log[path].push('closed'); };
    }
    const text = await (await fetch('/text')).text();
    const enough = () => log['/said'].length === 2 && log['/later'].length === 2 && log['/moved'].length === 2 && log['/gone'].length === 1;
    const end = performance.now() + 15_000;
    while (!enough() && performance.now() < end) await new Promise((next) => setTimeout(next, 20));
    return { ...log, text };
  });
  const said = [['message', 'a\nb', '✓ ü'], ['update', '', '✓ ü']];
  assert.deepEqual(seen, {
    '/said': said,
    '/later': [['message', 'first', 'ï'], ['message', 'ï', 'ï']],
    '/moved': said,
    '/gone': ['closed'],
    text: 'text',
  });
});

test('another version of the service worker takes over, and nothing is lost', async (t) => {
  const { page, publish, last } = await start(t);
  await read(page, FEEDS, { client: null });
  await allOpen(page);
  publish(FEEDS);
  await assertHeard(page, 1, 'by the first one');
  // By another address it is another version.
  await register(page, '/.sse/sw.js?2');
  publish(FEEDS);
  await assertHeard(page, last(), 'by the next one');
});

/** Has the browser end all service workers, whatever they are doing. */
const killWorkers = async (page) => {
  const session = await devtools(page);
  await session.send('ServiceWorker.enable');
  await session.send('ServiceWorker.stopAllWorkers');
};

test('a service worker that is killed closes what it answers, and its page is told so', async (t) => {
  const { page, publish } = await start(t);
  await read(page, FEEDS, { client: null });
  await allOpen(page);
  publish(FEEDS);
  await assertHeard(page, 1, 'before');
  await killWorkers(page);
  await until('each source has said that it is closed', () => page.evaluate(() => Object.entries(window.heard).every(
    ([path, { errors }]) => errors === 1 && window.sources[path].readyState === EventSource.CLOSED,
  )));
  // Made again, they are answered by the next worker.
  await page.evaluate(() => { window.heard = {}; window.sources = {}; });
  await read(page, FEEDS, { client: null });
  await allOpen(page);
  publish(FEEDS);
  await until('they hear', () => page.evaluate(() => Object.values(window.heard).every(({ numbers }) => numbers.at(-1) === 2)));
});

test('of a service worker that is killed the sources of a page with the client notice nothing', async (t) => {
  const { page, publish, last } = await start(t);
  await read(page, FEEDS);
  await allOpen(page);
  publish(FEEDS);
  await killWorkers(page);
  publish(FEEDS, 3);
  await assertHeard(page, last(), 'without the service worker');
  assert.equal(await errors(page), 0);
});
