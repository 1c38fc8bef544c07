// A real browser, a real Express server of the old kind, and the proxy between them.

import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { openPage } from './browsers.mjs';
import { heard, listen, scratch, startOrigin, startProxy, until } from './harness.mjs';

const TWELVE = Array.from({ length: 12 }, (_, i) => `/feed/${i + 1}`);
const OPEN = 1;
const CONNECTING = 0;

const muxUrl = (feeds) => `/.sse/mux?${feeds.map((feed) => `feed=${feed}`).join('&')}`;
const muxTypes = (feeds) => ['mux/open', 'mux/feed', 'mux/gap', 'mux/bye', ...feeds.map((feed) => `${feed}#update`)];
const count = (all, state) => all.filter((one) => one.state === state).length;

/** The origin's ids of one feed, from `EPOCH.SEQ ID`. */
function idsOf(mux, feed) {
  return mux.events.filter(({ type }) => type === `${feed}#update`).map(({ id }) => Number(id.split(' ')[1]));
}

function assertConsecutive(ids, what) {
  assert.deepEqual(ids, ids.map((_, i) => ids[0] + i), `${what}: each id follows on the one before`);
}

test('a browser hears nothing of a legacy origin, and everything through the proxy', async (t) => {
  const origin = await startOrigin(t, { interval: 100 });
  const proxy = await startProxy(t, origin);

  const direct = await openPage(t, `${origin.url}/`);
  await listen(direct, ['/feed/direct'], ['update', 'message']);
  await until('the origin has sent ten events', async () => (await origin.status()).sent['/feed/direct'] >= 10);
  const [deaf] = await heard(direct);
  assert.equal(deaf.state, OPEN);
  assert.deepEqual(deaf.events, []);

  const page = await openPage(t, `${proxy}/`);
  await listen(page, ['/feed/mended'], ['update', 'message']);
  const [mended] = await until('five events', async () => {
    const all = await heard(page);
    return all[0].events.length >= 5 && all;
  });
  for (const { type, id, data } of mended.events) {
    assert.equal(type, 'update');
    assert.deepEqual(JSON.parse(data), { n: Number(id), path: '/feed/mended' });
  }
  assertConsecutive(mended.events.map(({ id }) => Number(id)), 'mended');
  assert.equal(mended.errors, 0);
});

test('twelve plain EventSources: six open, six wait in silence', async (t) => {
  const origin = await startOrigin(t, { interval: 100 });
  const page = await openPage(t, `${origin.url}/`);
  await listen(page, TWELVE, ['update', 'message']);
  await until('six are open', async () => count(await heard(page), OPEN) === 6);
  const before = (await origin.status()).sent;
  await until('the open ones were sent ten more events', async () => {
    const { sent } = await origin.status();
    return Object.keys(before).every((feed) => sent[feed] >= before[feed] + 10);
  });
  const all = await heard(page);
  assert.equal(count(all, OPEN), 6);
  assert.equal(count(all, CONNECTING), 6);
  assert.equal(all.reduce((sum, { errors }) => sum + errors, 0), 0, 'not even an error is told');
  assert.equal(Object.keys((await origin.status()).opened).length, 6, 'six never reached the origin');
});

test('twelve feeds on one connection', async (t) => {
  const origin = await startOrigin(t, { interval: 100 });
  const proxy = await startProxy(t, origin);
  const page = await openPage(t, `${proxy}/`);
  await listen(page, [muxUrl(TWELVE)], muxTypes(TWELVE));
  const [mux] = await until('five events of each feed', async () => {
    const all = await heard(page);
    return TWELVE.every((feed) => idsOf(all[0], feed).length >= 5) && all;
  });
  for (const feed of TWELVE) {
    assertConsecutive(idsOf(mux, feed), feed);
    for (const { data } of mux.events.filter(({ type }) => type === `${feed}#update`)) {
      assert.equal(JSON.parse(data).path, feed);
    }
  }
  assert.equal(mux.errors, 0);
  assert.equal(mux.events.filter(({ type }) => type === 'mux/gap').length, 0);
  assert.equal(page.streams.length, 1, 'one request at the browser');
  const { connections, opened } = await origin.status();
  const once = Object.fromEntries(TWELVE.map((feed) => [feed, 1]));
  assert.deepEqual(connections, once, 'one connection of each feed at the origin');
  assert.deepEqual(opened, once, 'and never another');
});

test('an origin killed and restarted under open pages: nothing lost, nothing doubled, no error', async (t) => {
  const feeds = TWELVE.slice(0, 4);
  const origin = await startOrigin(t, { interval: 250, counters: path.join(scratch(t), 'counters.json') });
  const proxy = await startProxy(t, origin);
  const page = await openPage(t, `${proxy}/`);
  const urls = [muxUrl(feeds), feeds[0]];
  await listen(page, urls, ['update', ...muxTypes(feeds)]);

  /** Ids heard so far: of each feed on the mux, and of the one that is also heard alone. */
  const ids = async () => {
    const [mux, alone] = await heard(page);
    return [...feeds.map((feed) => idsOf(mux, feed)), alone.events.map(({ id }) => Number(id))];
  };
  await until('three events of each', async () => (await ids()).every((list) => list.length >= 3));

  /** How often the page was told that a feed lost its origin. */
  const losses = async () => {
    const [mux] = await heard(page);
    const told = mux.events.filter(({ type }) => type === 'mux/feed').map(({ data }) => JSON.parse(data));
    return told.filter(({ state }) => state === 'connecting').length;
  };

  for (const round of [1, 2]) {
    const [before, lossesBefore] = [await ids(), await losses()];
    await origin.kill();
    await until(`the page is told, round ${round}`, async () => await losses() >= lossesBefore + feeds.length);
    await origin.start();
    await until(`five more events of each, round ${round}`, async () => {
      return (await ids()).every((list, i) => list.length >= before[i].length + 5);
    });
  }

  const lists = await ids();
  lists.forEach((list, i) => assertConsecutive(list, feeds[i] ?? `${feeds[0]} alone`));
  const [mux, alone] = await heard(page);
  assert.equal(mux.errors + alone.errors, 0, 'readers never noticed');
  assert.equal(mux.events.filter(({ type }) => type === 'mux/gap').length, 0);
  assert.equal(page.streams.length, urls.length, 'nor came back');
});
