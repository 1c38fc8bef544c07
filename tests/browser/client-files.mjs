// The client's files, for those who look at them or serve them from elsewhere.

import fs from 'node:fs';
import path from 'node:path';

export const CLIENT = path.join(import.meta.dirname, '../../sse-proxy/client');

/** Names of its modules. */
export const MODULES = fs.readdirSync(CLIENT).filter((name) => name.endsWith('.js'));

export const clientText = (name) => fs.readFileSync(path.join(CLIENT, name), 'utf8');

/** Handlers of an event server that serves the modules below `folder`, each changed by `change`. */
export const clientFiles = (folder, change = (text) => text) => Object.fromEntries(MODULES.map((name) => [
  `${folder}/${name}`,
  (req, res) => res.writeHead(200, { 'Content-Type': 'text/javascript' }).end(change(clientText(name))),
]));
