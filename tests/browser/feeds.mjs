// Numbered feeds at an origin, a proxy that shares them, and a relay before it: what tests of many feeds begin with.

import { startEventServer } from './event-server.mjs';
import { startConfigured } from './harness.mjs';
import { startRelay } from './relay.mjs';

/** Names of feeds. */
export const names = (count, from = 1) => Array.from({ length: count }, (_, i) => `/feed/${from + i}`);

/**
 * Starts all of them. Without `tls` browsers have six connections. `handlers` are the origin's, `more`
 * is configuration, where `ORIGIN` stands for the origin's address.
 */
export async function startFeeds(t, { tls = false, handlers, more = '' } = {}) {
  const origin = await startEventServer(t, handlers);
  const proxy = await startConfigured(t, `
[[listener]]
address = "ADDRESS"
${tls ? 'tls = "self-signed"' : ''}

[[route]]
path = "/feed/*"
upstream = "ORIGIN"
stream = "shared"

[[route]]
path = "/*"
upstream = "ORIGIN"
${more}`.replaceAll('ORIGIN', origin.url));
  const relay = await startRelay(t, proxy.url);
  let last = 0;
  return {
    origin, proxy, relay,
    url: `${relay.url}/`,
    /** The number of the newest events. */
    last: () => last,
    /** One more event of each feed, some times over. */
    publish(feeds, rounds = 1) {
      for (let round = 0; round < rounds; round += 1) {
        for (const feed of feeds) last = origin.publish(feed);
      }
    },
  };
}
