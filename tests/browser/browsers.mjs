// Browsers that a test drives: Chromium by Playwright, Firefox by WebDriver BiDi. Their pages have the same
// `goto`, `evaluate` and `close`.

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';
import { DEADLINE } from './harness.mjs';

/** A page of a fresh Chromium. */
export async function openPage(t, url, { args = [], ...options } = {}) {
  const browser = await chromium.launch({
    ...options,
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--ignore-certificate-errors', // of workers too, which the context's setting does not cover
      ...args,
    ],
  });
  t.after(() => browser.close());
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE);
  page.streams = []; // URLs of the EventSource requests it made
  page.on('request', (request) => {
    if (request.resourceType() === 'eventsource') page.streams.push(request.url());
  });
  await page.goto(url);
  return page;
}

/** A page of a fresh Firefox, with these preferences. */
export async function openFirefox(t, url, preferences = {}) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    acceptInsecureCerts: true,
    extraPrefsFirefox: preferences,
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(DEADLINE);
  await page.goto(url);
  return page;
}

/** Another tab beside `page`. */
export async function openTab(page, url) {
  const tab = await (page.context?.() ?? page.browserContext()).newPage();
  tab.setDefaultTimeout(DEADLINE);
  await tab.goto(url);
  return tab;
}
