// TCP between two programs, so that a connection can break: with a reset, as a NAT or a dying host does.

import { once } from 'node:events';
import net from 'node:net';

/** What has been closed in good order is reset so much later, in milliseconds: whoever still writes to it is told. */
const LAST_MOMENT = 100;

/**
 * Stands in for the server at `port`. `cut(run)` resets both halves of what carries the requests of that run, `cutAll`
 * those of all connections, which are counted: of TLS, no more is to be seen. `idle` (milliseconds) resets what has brought the client nothing for so long, as many a load balancer does.
 */
export async function startRelay(port, { idle, tls = false } = {}) {
  let accepted = 0;
  const carried = new Map(); // reset both halves -> the run of their last request
  const asked = new Map(); // run -> requests
  const relay = net.createServer((client) => {
    accepted += 1;
    const server = net.connect(port, '127.0.0.1');
    const reset = () => {
      for (const half of [client, server]) {
        // Node never closes a socket that is reset while its end is on its way.
        if (half.writableEnded) half.destroy();
        else half.resetAndDestroy();
      }
      carried.delete(reset);
    };
    carried.set(reset, undefined);
    client.on('data', (data) => {
      const run = /[?&]run=([\w.-]+)/.exec(data.toString('latin1'))?.[1];
      if (!run) return;
      carried.set(reset, run);
      asked.set(run, (asked.get(run) ?? 0) + 1);
    });
    if (idle) server.setTimeout(idle, reset);
    for (const [half, other] of [[client, server], [server, client]]) {
      half.setNoDelay(true);
      half.pipe(other);
      half.on('error', reset);
      half.on('close', () => setTimeout(reset, LAST_MOMENT));
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return {
    port: relay.address().port,
    tls,
    asked: (run) => asked.get(run) ?? 0,
    accepted: () => accepted,
    cut(run) {
      for (const [reset, its] of [...carried]) if (its === run) reset();
    },
    cutAll() {
      for (const reset of [...carried.keys()]) reset();
    },
    close() {
      relay.close();
      this.cutAll();
    },
  };
}
