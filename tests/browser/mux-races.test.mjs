// The browser's side of multiplexing where much happens at once: nothing is lost, doubled or left behind.

import assert from 'node:assert/strict';
import test from 'node:test';
import { clientFiles } from './client-files.mjs';
import { openPage, openTab } from './browsers.mjs';
import { frame, openStream } from './event-server.mjs';
import { names, startFeeds } from './feeds.mjs';
import { until } from './harness.mjs';
import { allOpen, assertHeard, devtools, read } from './tabs.mjs';

test('what history no longer has comes from the origin, each event once', async (t) => {
  const { url, relay, publish, last } = await startFeeds(t, { more: `
[[route]]
path = "/feed/brief/*"
upstream = "ORIGIN"
stream = "shared"
resume = "origin"
history = { events = 2 }
lag = { events = 2 }
` });
  const page = await openPage(t, url);
  const tabs = [page, await openTab(page, url)];
  const feeds = names(3).map((name) => name.replace('/feed/', '/feed/brief/'));
  for (const tab of tabs) await read(tab, feeds);
  for (const tab of tabs) await allOpen(tab);
  publish(feeds);
  for (const tab of tabs) await assertHeard(tab, 1, 'before');
  for (const cut of [1, 2]) {
    relay.cut();
    publish(feeds, 10);
    for (const tab of tabs) await assertHeard(tab, last(), `after cut ${cut}`);
  }
});

/** A private feed whose requests are answered when they are let go, and how many are open. */
function held() {
  const waiting = [];
  const open = new Set();
  let isFree = false;
  let count = 0;
  const greet = (res) => {
    openStream(res);
    res.write(frame({ data: count += 1 }));
  };
  return {
    asked: () => waiting.length,
    open: () => open.size,
    letGo() {
      isFree = true;
      waiting.forEach(greet);
    },
    handler(req, res) {
      open.add(res);
      res.on('close', () => open.delete(res));
      if (isFree) greet(res);
      else waiting.push(res);
    },
  };
}

/** Has a page open one more source: when it is open, all that the page said before has been heard. */
async function settle(page, path) {
  await read(page, [path]);
  await until(`${path} is open`, () => page.evaluate((path) => window.sources[path].readyState === 1, path));
}

test('a private feed whose first reader leaves before it is open stays for nobody', async (t) => {
  const feed = held();
  const { url } = await startFeeds(t, { handlers: { '/held': feed.handler } });
  const first = await openPage(t, url);
  const second = await openTab(first, url);
  await read(first, ['/held']);
  await until('it is asked for', () => feed.asked() === 1);
  await read(second, ['/held']);
  await settle(second, '/feed/1');
  await first.evaluate(() => window.sources['/held'].close());
  await settle(first, '/feed/2');
  feed.letGo();
  await until('the second page is greeted', () => second.evaluate(() => window.heard['/held'].numbers.length === 1));
  await until('one is open', () => feed.open() === 1);
  await second.evaluate(() => window.sources['/held'].close());
  await until('none is open', () => feed.open() === 0);
});

test('closed and opened in the same moment, over and over, the last one is read and no other', async (t) => {
  const feed = held();
  feed.letGo();
  const { url, publish } = await startFeeds(t, { handlers: { '/held': feed.handler } });
  const page = await openPage(t, url);
  await read(page, names(2));
  await allOpen(page);
  const greetings = await page.evaluate(async () => {
    const heard = [];
    let source;
    for (let round = 0; round < 60; round += 1) {
      source?.close();
      source = new EventSource('/held');
      source.onmessage = ({ target }) => heard.push(target === source);
      if (round % 5 === 0) await new Promise((next) => setTimeout(next, 7));
    }
    const end = performance.now() + 10_000;
    while (heard.at(-1) !== true && performance.now() < end) await new Promise((next) => setTimeout(next, 10));
    await new Promise((next) => setTimeout(next, 100));
    return heard;
  });
  assert.ok(greetings.length > 0 && greetings.every(Boolean), `no closed one hears: ${greetings}`);
  assert.equal(greetings.at(-1), true);
  await until('one is open at the origin', () => feed.open() === 1);
  publish(names(2));
  await assertHeard(page, 1, 'those that stay');
});

test('the worker dies while sources are being opened and closed: they open, and lose nothing', async (t) => {
  const { url, publish, last } = await startFeeds(t);
  const first = await openPage(t, url);
  const page = await openTab(first, url);
  await read(first, names(1));
  await read(page, names(20));
  await allOpen(page);
  publish(names(20));
  await assertHeard(page, 1, 'before');
  const crashed = first.waitForEvent('crash');
  const late = names(20, 101);
  const opening = read(page, late);
  (await devtools(first)).send('Page.crash').catch(() => {});
  await page.evaluate(() => window.sources['/feed/20'].close());
  await Promise.all([crashed, opening]);
  await page.evaluate(() => { delete window.sources['/feed/20']; delete window.heard['/feed/20']; });
  publish(names(19));
  await allOpen(page);
  publish(names(19));
  const numbers = () => page.evaluate(() => Object.entries(window.heard).map(([path, { numbers }]) => [path, numbers]));
  await until('those that were open have heard all', async () => {
    const old = (await numbers()).filter(([path]) => Number(path.split('/')[2]) < 100);
    return old.every(([, heard]) => heard.length >= 3);
  });
  publish(late);
  await until('the late ones hear', async () => (await numbers()).every(([, heard]) => heard.length > 0));
  for (const [path, heard] of await numbers()) {
    assert.deepEqual(heard, Number(path.split('/')[2]) < 100 ? [1, 2, 3] : [1], path);
  }
  assert.equal(last(), 1);
});

test('pages of two versions of the client have a worker each, and lose nothing', async (t) => {
  const { url, relay, publish, last } = await startFeeds(t, {
    // As it is named when what pages and worker say to each other has changed.
    handlers: clientFiles('/next', (text) => text.replace('`sse 1 ', '`sse 2 ')),
  });
  const page = await openPage(t, url);
  const tabs = [page, await openTab(page, url)];
  const feeds = names(20);
  await read(tabs[0], feeds);
  await read(tabs[1], feeds, { client: '/next/mux.js' });
  for (const tab of tabs) await allOpen(tab);
  publish(feeds);
  relay.cut();
  publish(feeds);
  for (const tab of tabs) await assertHeard(tab, last(), 'each version');
});
