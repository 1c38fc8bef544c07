// Pages of another site, at routes whose `cors` lets them in: by themselves and on the mux.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openFirefox, openPage } from './browsers.mjs';
import { frame, openStream, startEventServer } from './event-server.mjs';
import { startConfigured } from './harness.mjs';

/** Says once who asks, and goes on from there for who comes back. The origin knows nothing of other sites. */
const greet = (req, res) => {
  const user = /user=(\w+)/.exec(req.headers.cookie ?? '')?.[1] ?? 'nobody';
  const last = req.headers['last-event-id'];
  openStream(res);
  res.write('retry: 100\n');
  if (last) res.write(frame({ data: `${user} after ${last}` }));
  else res.end(frame({ id: 7, data: user }));
};

/** A proxy that names the site of `page`, and the page itself, at another address of this machine. */
async function start(t) {
  const page = await startEventServer(t);
  const site = page.url.replace('127.0.0.1', 'localhost');
  const origin = await startEventServer(t, Object.fromEntries(['named', 'public', 'closed'].map((name) => [`/${name}`, greet])));
  const route = (name, cors) => `
[[route]]
path = "/${name}"
upstream = "${origin.url}"
${cors}`;
  const proxy = await startConfigured(t, `
[[listener]]
address = "ADDRESS"
${route('named', `cors = { origins = ["${site}"], credentials = true }`)}
${route('public', 'cors = { origins = ["*"] }')}
${route('closed', 'cors = { origins = ["https://other.example"] }')}
`);
  // A site is told from another by its name, and not by its port: only so are these cookies sent along.
  return { page: `${site}/`, proxy: proxy.url.replace('127.0.0.1', 'localhost') };
}

/** What a page hears of a feed, until it has heard twice or is closed. */
const hear = (page, url, withCredentials) => page.evaluate(([url, withCredentials]) => new Promise((done) => {
  const heard = [];
  const source = new EventSource(url, { withCredentials });
  const end = () => {
    source.close();
    done(heard);
  };
  source.onmessage = ({ data }) => { if (heard.push(data) === 2) end(); };
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return;
    heard.push('closed');
    end();
  };
}), [url, withCredentials]);

for (const [browser, open] of [['Chromium', openPage], ['Firefox', openFirefox]]) {
  test(`in ${browser}, a page of another site reads what its site may read, with cookies where that is allowed`, async (t) => {
    const { page: address, proxy } = await start(t);
    const page = await open(t, address);
    await page.evaluate(() => { document.cookie = 'user=ann'; });
    assert.deepEqual(await hear(page, `${proxy}/named`, true), ['ann', 'ann after 7'], 'with cookies');
    assert.deepEqual(await hear(page, `${proxy}/named`, false), ['nobody', 'nobody after 7'], 'without');
    assert.deepEqual(await hear(page, `${proxy}/public`, false), ['nobody', 'nobody after 7'], 'what is public');
    assert.deepEqual(await hear(page, `${proxy}/public`, true), ['closed'], 'not as a user');
    assert.deepEqual(await hear(page, `${proxy}/closed`, false), ['closed'], 'where another site is named');
  });

  test(`in ${browser}, a page of another site asks first, and then sends what is not simple`, async (t) => {
    const { page: address, proxy } = await start(t);
    const page = await open(t, address);
    const ask = (path) => page.evaluate(async ([url]) => {
      const headers = { 'Last-Event-ID': '7', 'Content-Type': 'application/json' };
      const aborter = new AbortController();
      try {
        const answer = await fetch(url, { method: 'POST', body: '{}', headers, credentials: 'include', signal: aborter.signal });
        return answer.status;
      } catch {
        return 'refused';
      } finally {
        aborter.abort();
      }
    }, [`${proxy}${path}`]);
    assert.equal(await ask('/named'), 200);
    assert.equal(await ask('/closed'), 'refused');
  });
}
