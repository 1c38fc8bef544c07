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

export const startProxy = (servers, scratch, tls) => runProxy(servers.map(routes).join(''), scratch, tls);

/** Runs the proxy with these routes; over TLS, if there is a certificate for it. */
export async function runProxy(routes, scratch, tls) {
  const file = paths.join(scratch, 'sse-proxy.toml');
  const shown = tls ? `tls = { certificate = "${tls.certificate}", key = "${tls.key}" }\n` : '';
  fs.writeFileSync(file, `[[listener]]\naddress = "127.0.0.1:0"\n${shown}${routes}`);
  const program = new Program(binary, ['run', '--config', file]);
  const find = (line) => /listening on https?:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
  const port = program.until('its address', find, { kind: 'stderr' });
  await program.until('ready', (line) => (line.trim() === 'ready' ? true : undefined), { kind: 'stderr' });
  return { port: Number(await port), program, stop: () => program.stop() };
}
