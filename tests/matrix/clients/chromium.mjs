// Chromium's own EventSource, on a page of the origin that it reads.

import { chromium } from 'playwright-core';
import { serve } from './jobs.mjs';

const browser = await chromium.launch({
  handleSIGTERM: false,
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
process.once('SIGTERM', () => browser.close().finally(() => process.exit()));
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const pages = new Map();

/** A page of that origin. The origin is not asked for it. */
async function pageOf(origin) {
  if (pages.has(origin)) return pages.get(origin);
  const page = await context.newPage();
  await page.route(`${origin}/page`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.goto(`${origin}/page`);
  await page.unrouteAll();
  await page.exposeFunction('tell', (...words) => page.told(...words));
  pages.set(origin, page);
  return page;
}

/** Runs in the page. */
function read({ url, take, types }) {
  const start = performance.now();
  const source = new EventSource(url);
  let heard = 0;
  for (const type of types) {
    source.addEventListener(type, ({ lastEventId, data }) => {
      if (heard >= take) return;
      heard += 1;
      if (heard >= take) source.close();
      tell('event', type, lastEventId, data, performance.now() - start);
    });
  }
  source.addEventListener('error', () => tell(source.readyState === EventSource.CLOSED ? 'failed' : 'error'));
}

await serve(async (job, hear, trouble) => {
  const page = await pageOf(new URL(job.url).origin);
  await new Promise((resolve, reject) => {
    page.told = (what, ...event) => {
      if (what === 'failed') reject(what);
      else if (what === 'error') trouble(what);
      else if (hear(...event)) resolve();
    };
    page.evaluate(read, job).catch(reject);
  });
});
