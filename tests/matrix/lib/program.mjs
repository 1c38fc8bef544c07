// A program that says what it does in JSON lines, and ends with the tests.

import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import readline from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

/** How long anything may take. Nothing waits that long unless it fails. */
export const DEADLINE = 60_000;

/**
 * Runs a program. Each JSON line of its standard output is emitted as 'line', with `.when` the moment it came.
 */
export class Program extends EventEmitter {
  constructor(command, args, env = {}) {
    super();
    this.setMaxListeners(0);
    this.name = [command, ...args].at(-1);
    this.said = [];
    this.child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.exited = once(this.child, 'exit').then(([code, signal]) => {
      this.ended = code ?? signal;
      this.emit('end');
    });
    this.child.stdin.on('error', () => {}); // it has gone: 'end' tells
    readline.createInterface({ input: this.child.stderr }).on('line', (line) => {
      this.said.push(`${line}\n`);
      this.emit('stderr', line);
    });
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.emit('line', { ...JSON.parse(line), when: performance.now() });
    });
  }

  /** What `pick` makes of the first event of `kind` for which it makes anything. Its own words tell why not. */
  until(what, pick, { kind = 'line', deadline = DEADLINE } = {}) {
    return new Promise((resolve, reject) => {
      const settle = (end, value) => {
        clearTimeout(timer);
        this.off(kind, look);
        this.off('end', gone);
        end(value);
      };
      const fail = (why) => settle(reject, new Error(`${this.name} ${why}: ${what}\n${this.said.slice(-20).join('')}`));
      const look = (line) => {
        const found = pick(line);
        if (found !== undefined) settle(resolve, found);
      };
      const gone = () => fail(`ended (${this.ended})`);
      const timer = setTimeout(() => fail(`not within ${deadline} ms`), deadline);
      this.on(kind, look);
      this.on('end', gone);
      if (this.ended !== undefined) gone();
    });
  }

  /** Ends it and what it has started. */
  async stop(...signals) {
    for (const signal of [...signals, 'SIGTERM', 'SIGKILL']) {
      if (this.ended !== undefined) break;
      process.kill(-this.child.pid, signal);
      await Promise.race([this.exited, wait(5000, undefined, { ref: false })]);
    }
    for (const stream of this.child.stdio) stream.destroy();
  }
}
