// The service worker, which puts the sources of unchanged pages on one stream.

import assert from 'node:assert/strict';
import test from 'node:test';
import { frame, openStream, startEventServer } from './event-server.mjs';
import { openPage, startConfigured, until } from './harness.mjs';
import { startRelay } from './relay.mjs';
import { allOpen, assertHeard, openTab, read } from './tabs.mjs';

const FEEDS = Array.from({ length: 20 }, (_, i) => `/feed/${i + 1}`);

async function start(t, handlers) {
  const origin = await startEventServer(t, handlers);
  const proxy = await startConfigured(t, `
[[listener]]
address = "ADDRESS"

[[route]]
path = "/feed/*"
upstream = "${origin.url}"
stream = "shared"

[[route]]
path = "/*"
upstream = "${origin.url}"
`);
  const relay = await startRelay(t, proxy.url);
  const page = await openPage(t, `${relay.url}/`);
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('/.sse/sw.js', { type: 'module', scope: '/' });
    if (!navigator.serviceWorker.controller) {
      await new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done, { once: true }));
    }
  });
  return { origin, relay, page, url: `${relay.url}/` };
}

test("unchanged pages' sources go over one stream, and lose nothing when it is cut", async (t) => {
  const { origin, relay, page, url } = await start(t);
  const tabs = [page, await openTab(page, url)];
  for (const tab of tabs) await read(tab, FEEDS, { client: null });
  for (const tab of tabs) await allOpen(tab);
  const publish = () => FEEDS.map((feed) => origin.publish(feed)).at(-1);
  publish();
  for (const tab of tabs) await assertHeard(tab, 1, 'through the service worker');
  for (const feed of FEEDS) assert.equal(origin.opened(feed), 1, `${feed} was opened once`);
  assert.ok(relay.open() < 6, 'with room for more, without TLS');

  publish();
  relay.cut();
  const last = publish();
  for (const tab of tabs) await assertHeard(tab, last, 'after a cut');
  const errors = await page.evaluate(() => Object.values(window.heard).reduce((sum, { errors }) => sum + errors, 0));
  assert.equal(errors, 0, 'of which the page has seen nothing');
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
