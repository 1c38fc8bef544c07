// The proxy under test: the real program, with a private and a shared route to each server.

import fs from 'node:fs';
import paths from 'node:path';
import { Program } from './program.mjs';

/** The proxy's program. The client in Rust is built beside it. */
export const binary = paths.resolve(process.env.SSE_PROXY ?? paths.join(import.meta.dirname, '../../../target/debug/sse-proxy'));

/** How long the proxy goes on reading for nobody. */
export const LINGER = 500;

const routes = ({ slug, path, relay, keepAlive, repair = 'safe' }) => ['private', 'shared'].map((stream) => `
[[route]]
path = "/${stream}/${slug}${path}"
upstream = "http://127.0.0.1:${relay.port}${path.replace('/*', '')}"
stream = "${stream}"
repair = "${repair}"
keep_alive = "${keepAlive}"
linger = "${LINGER}ms"
`).join('');

export const startProxy = (servers, scratch) => runProxy(servers.map(routes).join(''), scratch);

/** Runs the proxy with these routes. */
export async function runProxy(routes, scratch) {
  const file = paths.join(scratch, 'sse-proxy.toml');
  fs.writeFileSync(file, `[[listener]]\naddress = "127.0.0.1:0"\n${routes}`);
  const program = new Program(binary, ['run', '--config', file]);
  const find = (line) => /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
  const port = program.until('its address', find, { kind: 'stderr' });
  await program.until('ready', (line) => (line.trim() === 'ready' ? true : undefined), { kind: 'stderr' });
  return { port: Number(await port), program, stop: () => program.stop() };
}
