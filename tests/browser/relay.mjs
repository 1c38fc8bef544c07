// A relay of TCP connections, to count them and to cut them off.

import net from 'node:net';
import { once } from 'node:events';

/** Relays to `target`, an address of the proxy. */
export async function startRelay(t, target) {
  const { hostname, port, protocol } = new URL(target);
  const open = new Set();
  let opened = 0;
  const server = net.createServer((client) => {
    const proxy = net.connect(Number(port), hostname);
    const pair = [client, proxy];
    opened += 1;
    open.add(pair);
    client.pipe(proxy).pipe(client);
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const pair of open) for (const socket of pair) socket.destroy();
  });
  return {
    url: `${protocol}//127.0.0.1:${server.address().port}`,
    open: () => open.size,
    opened: () => opened,
    /** Resets every connection. */
    cut() {
      for (const [client, proxy] of open) {
        client.resetAndDestroy();
        proxy.resetAndDestroy();
      }
    },
  };
}
