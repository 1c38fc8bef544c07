// The browser's side of multiplexing on all kinds of pages: what they do, and what they lack.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openFirefox, openPage, openTab } from './browsers.mjs';
import { clientFiles } from './client-files.mjs';
import { frame, openStream, startEventServer } from './event-server.mjs';
import { names, startFeeds } from './feeds.mjs';
import { until } from './harness.mjs';
import { allOpen, assertHeard, read } from './tabs.mjs';

/** How long the page waits for another resource, in milliseconds; `null` if it waits in vain. */
const fetchTime = (page) => page.evaluate(async () => {
  const begin = performance.now();
  const answer = fetch('/page/other', { cache: 'no-store' }).then(() => performance.now() - begin);
  return Promise.race([answer, new Promise((done) => setTimeout(done, 1500, null))]);
});

test('without TLS, twenty sources leave no room for anything else, and with the client they do', async (t) => {
  const { url, publish } = await startFeeds(t);
  const feeds = names(20);

  const native = await openPage(t, url);
  await read(native, feeds, { client: null });
  const open = () => native.evaluate(() => Object.values(window.sources).filter(({ readyState }) => readyState === 1).length);
  await until('six are open', async () => await open() === 6);
  assert.equal(await fetchTime(native), null, 'a fetch hangs');
  assert.equal(await open(), 6);

  const page = await openPage(t, url);
  await read(page, feeds);
  await allOpen(page);
  let fastest = Infinity;
  await until('a fetch is answered in less than 100 ms', async () => {
    const time = await fetchTime(page);
    assert.notEqual(time, null, 'no fetch hangs');
    fastest = Math.min(fastest, time);
    return fastest < 100;
  });
  publish(feeds);
  await assertHeard(page, 1, 'on a connection without TLS');
});

for (const [browser, open] of [['Chromium', openPage], ['Firefox', openFirefox]]) {
  test(`over HTTP/2, an unchanged page has hundreds of sources on one connection: ${browser}`, async (t) => {
    const { url, relay, publish, last } = await startFeeds(t, { tls: true });
    const page = await open(t, url);
    const feeds = names(250);
    await read(page, feeds, { client: null });
    await allOpen(page);
    assert.notEqual(await fetchTime(page), null, 'no fetch hangs');
    publish(feeds, 2);
    await assertHeard(page, last(), 'over HTTP/2');
    assert.equal(relay.open(), 1);
  });
}

test('sources that come and go while the stream goes on: those that stay lose nothing', async (t) => {
  const { origin, url, publish } = await startFeeds(t);
  const page = await openPage(t, url);
  const staying = names(10);
  await read(page, staying);
  await allOpen(page);
  let last = 0;
  const publishing = setInterval(() => { for (const feed of staying) last = origin.publish(feed); }, 20);
  t.after(() => clearInterval(publishing));
  // 300 changes, some in one moment and some apart; the last one of each address stays.
  const opened = await page.evaluate(async () => {
    let opened = 0;
    const coming = {};
    for (let round = 0; round < 300; round += 1) {
      const path = `/feed/coming-${round % 7}`;
      coming[path]?.close();
      coming[path] = new EventSource(path);
      coming[path].onopen = () => { opened += 1; };
      if (round % 3 === 0) await new Promise((next) => setTimeout(next, 10));
    }
    const all = Object.values(coming);
    while (all.some(({ readyState }) => readyState !== 1)) await new Promise((next) => setTimeout(next, 10));
    for (const source of all.slice(1)) source.close();
    return opened;
  });
  assert.ok(opened >= 7, `${opened} were open for a while`);
  clearInterval(publishing);
  await assertHeard(page, last, 'those that stay');
  for (const feed of staying) assert.equal(origin.opened(feed), 1, `${feed} was opened once`);
  const errors = await page.evaluate(() => Object.values(window.heard).reduce((sum, { errors }) => sum + errors, 0));
  assert.equal(errors, 0);
});

test('more feeds than a stream may have go on several', async (t) => {
  const { url, publish } = await startFeeds(t, { more: '\n[mux]\nmax_feeds = 20\n' });
  const page = await openPage(t, url);
  const feeds = names(50);
  await read(page, feeds);
  await allOpen(page);
  publish(feeds);
  await assertHeard(page, 1, 'on several streams');
});

test('feeds that come to a stream which is full go on others', async (t) => {
  const { url, publish } = await startFeeds(t, { more: '\n[mux]\nmax_feeds = 20\n' });
  const page = await openPage(t, url);
  const feeds = names(70);
  for (const [from, to] of [[0, 15], [15, 50], [50, 70]]) {
    await read(page, feeds.slice(from, to));
    await allOpen(page);
  }
  publish(feeds);
  await assertHeard(page, 1, 'on several streams');
});

test('without a shared worker each page has a stream of its own', async (t) => {
  const { url, relay, publish } = await startFeeds(t);
  const first = await openPage(t, url);
  await first.context().addInitScript(() => { delete globalThis.SharedWorker; });
  const pages = [await openTab(first, url), await openTab(first, url)];
  const feeds = names(20);
  for (const page of pages) await read(page, feeds);
  for (const page of pages) await allOpen(page);
  publish(feeds);
  for (const page of pages) await assertHeard(page, 1, 'without a worker');
  relay.cut();
  publish(feeds);
  for (const page of pages) await assertHeard(page, 2, 'without a worker');
});

test('where there is no mux, sources are the browser\'s own', async (t) => {
  const origin = await startEventServer(t, clientFiles('/client'));
  const page = await openPage(t, `${origin.url}/`);
  const feeds = names(3);
  await read(page, feeds, { client: '/client/mux.js' });
  await allOpen(page);
  assert.equal(page.streams.length, 3, 'a request each, by the browser');
  for (const feed of feeds) origin.publish(feed);
  await assertHeard(page, 1, 'natively');
});

test('a feed that is not for the mux is the browser\'s own, and others are not', async (t) => {
  const { url, publish } = await startFeeds(t, { more: `
[[route]]
path = "/feed/alone"
upstream = "ORIGIN"
mux = false
` });
  const page = await openPage(t, url);
  const feeds = ['/feed/alone', '/feed/1'];
  await read(page, feeds);
  await allOpen(page);
  assert.deepEqual(page.streams, [`${url}feed/alone`]);
  publish(feeds);
  await assertHeard(page, 1, 'one of each kind');
});

test('a source that is refused says by which status', async (t) => {
  const statuses = [204, 401, 403, 404, 500];
  const answers = Object.fromEntries(statuses.map((status) => [`/refused/${status}`, (req, res) => res.writeHead(status).end()]));
  const { url } = await startFeeds(t, { handlers: answers });
  const page = await openPage(t, url);
  await read(page, Object.keys(answers));
  const told = () => page.evaluate(() => Object.values(window.heard).map(({ statuses }) => statuses));
  await until('all are refused', async () => (await told()).every(({ length }) => length === 1));
  assert.deepEqual(await told(), statuses.map((status) => [status]));
});

test('two sources of a private feed are two at the origin, as natively', async (t) => {
  let count = 0;
  const handlers = {
    '/private/greeting': (req, res) => {
      count += 1;
      openStream(res);
      res.write(frame({ data: count }));
    },
  };
  const { url } = await startFeeds(t, { handlers });
  const page = await openPage(t, url);
  const tabs = [page, await openTab(page, url), await openTab(page, url)];
  for (const tab of tabs) await read(tab, ['/private/greeting']);
  const numbers = (tab) => tab.evaluate(() => window.heard['/private/greeting'].numbers);
  await until('all are greeted', async () => (await Promise.all(tabs.map(numbers))).every(({ length }) => length > 0));
  assert.deepEqual((await Promise.all(tabs.map(numbers))).flat().sort(), [1, 2, 3]);
});

test('who has signed in since hears nothing of what another may hear', async (t) => {
  const users = new Map(); // user -> responses
  const handlers = {
    '/user': (req, res) => {
      const user = /user=(\w+)/.exec(req.headers.cookie ?? '')?.[1] ?? 'nobody';
      openStream(res);
      users.set(user, [...users.get(user) ?? [], res]);
    },
  };
  const { url } = await startFeeds(t, { handlers, more: `
[[route]]
path = "/user"
upstream = "ORIGIN"
stream = "shared"
share_by = ["cookie:user"]
` });
  const page = await openPage(t, url);
  await page.evaluate(() => { document.cookie = 'user=1'; });
  await read(page, ['/user']);
  await allOpen(page);
  const tab = await openTab(page, url);
  await tab.evaluate(() => { document.cookie = 'user=2'; });
  await read(tab, ['/user']);
  await allOpen(tab);
  for (const [user, responses] of users) for (const res of responses) res.write(frame({ data: user }));
  const numbers = (one) => one.evaluate(() => window.heard['/user'].numbers);
  await until('both have heard', async () => (await numbers(page)).length > 0 && (await numbers(tab)).length > 0);
  assert.deepEqual([await numbers(page), await numbers(tab)], [[1], [2]]);
});

test('a page that comes back from the cache of pages has missed nothing', async (t) => {
  const { url, publish } = await startFeeds(t);
  const page = await openPage(t, url, { ignoreDefaultArgs: ['--disable-back-forward-cache'] });
  const feeds = names(5);
  await read(page, feeds);
  await allOpen(page);
  publish(feeds);
  await assertHeard(page, 1, 'before it leaves');
  await page.goto(`${url}page/next`);
  publish(feeds);
  await page.evaluate(() => { history.back(); }).catch(() => {});
  await page.waitForFunction(() => window.heard); // as it was left
  await assertHeard(page, 2, 'when it is back');
});

test('usual mistakes are told on the console, where that is wanted', async (t) => {
  const handlers = {
    '/mistakes/named': (req, res) => {
      openStream(res);
      res.write(frame({ type: 'update', data: 'x' }));
    },
    '/mistakes/ends': (req, res) => {
      openStream(res);
      res.end(`retry: 5000\n${frame({ data: 'x' })}`);
    },
    '/mistakes/gone': (req, res) => res.writeHead(403).end(),
  };
  const { url } = await startFeeds(t, { handlers });
  const page = await openPage(t, url);
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  const make = (hints) => page.evaluate(async (hints) => {
    (await import('/.sse/mux.js')).install(hints === undefined ? {} : { hints });
    const named = new EventSource('/mistakes/named', { headers: { Authorization: 'secret' } });
    let heard = 0;
    named.onmessage = () => { heard += 1; };
    const ending = new EventSource('/mistakes/ends');
    const gone = new EventSource('/mistakes/gone');
    await new Promise((done) => {
      ending.onerror = () => {
        ending.close();
        done();
      };
    });
    while (gone.readyState !== 2 || named.readyState !== 1) await new Promise((next) => setTimeout(next, 10));
    named.close();
    return heard;
  }, hints);

  await make(false);
  assert.deepEqual(said.filter((text) => text.startsWith('EventSource')), [], 'none where they are not wanted');
  await make(true);
  for (const [path, expected] of [
    ['/mistakes/named', /an event of type "update", and no listener.*addEventListener\("update"/],
    ['/mistakes/named', /"headers" has no effect/],
    ['/mistakes/ends', /close\(\) inside onerror while it was reconnecting/],
    ['/mistakes/gone', /closed for good by the status 403/],
  ]) {
    await until(`${path}: ${expected}`, () => said.some((text) => text.startsWith(`EventSource ${path}:`) && expected.test(text)));
  }
  assert.ok(said.every((text) => !text.includes('secret')));
});

test('on a host that is not this machine, nothing is told on the console', async (t) => {
  const named = (req, res) => {
    openStream(res);
    res.write(frame({ type: 'update', data: 'x' }));
  };
  const { url } = await startFeeds(t, { handlers: { '/mistakes/named': named } });
  const said = async (address, args) => {
    const page = await openPage(t, address, { args });
    const texts = [];
    page.on('console', (message) => texts.push(message.text()));
    await page.evaluate(async () => {
      (await import('/.sse/mux.js')).install();
      const source = new EventSource('/mistakes/named', { headers: {} });
      while (source.readyState !== 1) await new Promise((next) => setTimeout(next, 10));
      // As long as it takes to have hints, if they are wanted.
      await import('/.sse/hints.js');
      await new Promise((next) => setTimeout(next, 300));
      source.close();
    });
    return texts.filter((text) => text.startsWith('EventSource'));
  };
  assert.ok((await said(url)).length > 0, 'here they are');
  const elsewhere = url.replace('127.0.0.1', 'app.example');
  assert.deepEqual(await said(elsewhere, ['--host-resolver-rules=MAP app.example 127.0.0.1']), []);
});
