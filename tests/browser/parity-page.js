// What an EventSource does, as functions that run in a page or worker. Each gets the class, and returns
// what it has seen. Addresses are of tests/browser/parity-server.mjs, which serves this file too.

/** All cases at once, each with an instance of its own of `'native'` EventSource or of the client's. */
export async function runAll(kind, other) {
  const ES = kind === 'native' ? EventSource : (await import('/.sse/mux.js')).MuxEventSource;
  const run = async ([name, act]) => [name, await act(ES, other).catch((error) => String(error))];
  return Object.fromEntries(await Promise.all(Object.entries(cases).map(run)));
}

/** Keeps what happens to a source: `[what, readyState, more]`. */
function watch(source, types = []) {
  const log = [];
  const note = (event) => {
    const { type, data, lastEventId } = event;
    log.push(event instanceof MessageEvent ? [type, source.readyState, data, lastEventId] : [type, source.readyState]);
  };
  for (const type of ['open', 'message', 'error', ...types]) source.addEventListener(type, note);
  return log;
}

/** Waits until `test` is true; what is not true in time shows in the log. */
async function when(test, patience = 10_000) {
  const end = performance.now() + patience;
  while (!test() && performance.now() < end) await new Promise((next) => setTimeout(next, 5));
}

/** Long enough that what must not happen would have happened. */
const quiet = () => new Promise((next) => setTimeout(next, 150));

/** The log of a source until it has `count` entries, and what comes soon after. */
async function logOf(ES, path, count, types, init) {
  const source = new ES(path, init);
  const log = watch(source, types);
  await when(() => log.length >= count || log.at(-1)?.[2] === 'last');
  await quiet();
  source.close();
  return log;
}

const failure = (act) => {
  try {
    act();
    return 'no error';
  } catch (error) {
    return `${error.constructor.name} ${error.name}`;
  }
};

const cases = {
  'the class is as the browser has it': async (ES) => {
    const source = new ES('/parity/silent');
    const described = (holder, name) => {
      const { value, writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(holder, name) ?? {};
      return [name, value, writable, enumerable, configurable];
    };
    const accessor = (name) => {
      const { get, set, enumerable, configurable } = Object.getOwnPropertyDescriptor(ES.prototype, name) ?? {};
      return [name, Boolean(get), Boolean(set), enumerable, configurable];
    };
    const keys = [];
    for (const key in source) keys.push(key);
    const seen = {
      constants: [ES, ES.prototype].map((holder) => ['CONNECTING', 'OPEN', 'CLOSED'].map((name) => described(holder, name))),
      accessors: ['url', 'withCredentials', 'readyState', 'onopen', 'onmessage', 'onerror'].map(accessor),
      keys: keys.sort(),
      parent: Object.getPrototypeOf(ES) === EventTarget,
      tag: Object.prototype.toString.call(source),
      length: ES.length,
      isSource: source instanceof ES,
      own: Object.keys(source),
      constructor: source.constructor === ES,
    };
    source.close();
    return seen;
  },
  'the constructor refuses what is wrong': async (ES) => ({
    withoutNew: failure(() => ES('/parity/silent')),
    nothing: failure(() => new ES()),
    badUrl: failure(() => new ES('http://[')),
    badPort: failure(() => new ES('http://host:99999/')),
    symbol: failure(() => new ES(Symbol('x'))),
    badInit: failure(() => new ES('/parity/silent', 1)),
    badString: failure(() => new ES('/parity/silent', 'x')),
    getter: failure(() => new ES('/parity/silent', { get withCredentials() { throw new RangeError('x'); } })),
    badReceiver: failure(() => Object.getOwnPropertyDescriptor(ES.prototype, 'url').get.call({})),
  }),
  'attributes say what was asked for': async (ES) => {
    const made = [
      ['/parity/silent?a=b c#frag'], ['parity/../parity/silent'], ['//127.0.0.1:1/x'], [new URL('/parity/silent', location.href)],
      ['/parity/silent', undefined], ['/parity/silent', null], ['/parity/silent', {}], ['/parity/silent', () => {}],
      ['/parity/silent', { withCredentials: true }], ['/parity/silent', { withCredentials: 'yes' }], ['/parity/silent', { withCredentials: 0 }],
    ];
    return made.map((args) => {
      const source = new ES(...args);
      const seen = [source.url, source.withCredentials, source.readyState, source.onopen, source.onmessage, source.onerror];
      source.close();
      return [...seen, source.readyState];
    });
  },
  'attributes cannot be set': async (ES) => {
    const source = new ES('/parity/silent');
    const before = source.url;
    const seen = ['url', 'withCredentials', 'readyState'].map((name) => failure(() => {
      'use strict';
      source[name] = 'x';
    }));
    const same = source.url === before;
    source.close();
    return [seen, same];
  },
  'states go from connecting to open to closed, and open comes before messages': async (ES) => {
    const source = new ES('/parity/greeting');
    const states = [source.readyState];
    const log = watch(source);
    await when(() => log.length >= 3);
    source.close();
    states.push(source.readyState);
    source.close();
    return [states, log, source.readyState];
  },
  'events have the shape that they have': async (ES) => {
    const source = new ES('/parity/greeting');
    const seen = [];
    const shape = (event) => {
      const { bubbles, cancelable, composed, eventPhase, defaultPrevented, origin, ports, target, currentTarget } = event;
      const isOurs = target === source && currentTarget === source;
      const name = event.constructor.name;
      const from = origin === undefined ? undefined : origin === location.origin;
      seen.push({ name, bubbles, cancelable, composed, eventPhase, defaultPrevented, from, ports: ports?.length, source: event.source, isOurs });
    };
    source.onopen = shape;
    source.onmessage = shape;
    await when(() => seen.length >= 2);
    source.close();
    return seen.slice(0, 2);
  },
  'fields become events by the rules': (ES) => logOf(ES, '/parity/fields', 99, ['update', 'a b', 'ping', 'ünï']),
  'a NUL is a character': (ES) => logOf(ES, '/parity/nul', 2),
  'ids stay, are emptied, and may be of any characters': (ES) => logOf(ES, '/parity/ids', 9),
  'line ends and a mark of byte order': (ES) => logOf(ES, '/parity/lines', 5),
  'a type that nobody listens to is not a message': (ES) => logOf(ES, '/parity/fields', 99),
  'types named open and error are messages': (ES) => logOf(ES, '/parity/reserved', 4),
  'handlers are called in the order in which they were set': async (ES) => {
    const source = new ES('/parity/greeting');
    const calls = [];
    source.addEventListener('message', () => calls.push('first'));
    source.onmessage = () => calls.push('replaced');
    source.addEventListener('message', { handleEvent() { calls.push('object'); } });
    source.onmessage = function handler() { calls.push(this === source ? 'handler' : 'handler of another'); };
    source.addEventListener('message', () => calls.push('once'), { once: true });
    const removed = () => calls.push('removed');
    source.addEventListener('message', removed);
    source.removeEventListener('message', removed);
    source.onopen = () => calls.push('open');
    await when(() => calls.length >= 8);
    const handlers = [typeof source.onmessage];
    for (const value of [null, 5, 'x', undefined, {}, () => {}]) {
      source.onmessage = value;
      handlers.push(source.onmessage === null ? 'null' : typeof source.onmessage);
    }
    source.close();
    return [calls, handlers];
  },
  'a handler that is set anew after null comes last': async (ES) => {
    const source = new ES('/parity/greeting');
    const calls = [];
    source.onmessage = () => calls.push('handler');
    source.onmessage = null;
    source.addEventListener('message', () => calls.push('listener'));
    source.onmessage = () => calls.push('handler again');
    await when(() => calls.length >= 2);
    source.close();
    return calls.slice(0, 2);
  },
  'a handler that throws hinders nobody': async (ES) => {
    const source = new ES('/parity/greeting');
    const calls = [];
    const hush = (event) => { calls.push(event.error.message); event.preventDefault(); };
    addEventListener('error', hush);
    source.onmessage = () => { throw new Error('thrown'); };
    source.addEventListener('message', ({ data }) => calls.push(data));
    await when(() => calls.length >= 4);
    removeEventListener('error', hush);
    source.close();
    return calls;
  },
  'promises are settled between two events': async (ES) => {
    const source = new ES('/parity/greeting');
    const calls = [];
    source.onmessage = async ({ data }) => {
      calls.push(data);
      for (let hop = 1; hop < 4; hop += 1) await null;
      calls.push(`after ${data}`);
    };
    await when(() => calls.length >= 4);
    source.close();
    return calls;
  },
  'closed when it opens, it hears nothing': async (ES) => {
    const source = new ES('/parity/greeting');
    const log = watch(source);
    source.onopen = () => source.close();
    await when(() => log.length >= 1);
    await quiet();
    return log;
  },
  'closed in a message, it hears no other': async (ES) => {
    const source = new ES('/parity/greeting');
    const log = watch(source);
    source.onmessage = () => source.close();
    await when(() => log.length >= 2);
    await quiet();
    return log;
  },
  'closed at once, it hears nothing': async (ES) => {
    const source = new ES('/parity/greeting');
    const log = watch(source);
    source.close();
    await quiet();
    return [log, source.readyState];
  },
  'closed in an error, it stays closed': async (ES) => {
    const source = new ES('/parity/ends');
    const log = watch(source);
    source.onerror = () => source.close();
    await when(() => log.length >= 3);
    await quiet();
    return log;
  },
  'others may dispatch on it': async (ES) => {
    const source = new ES('/parity/silent');
    const log = [];
    source.onmessage = ({ data, isTrusted }) => log.push([data, isTrusted]);
    source.dispatchEvent(new MessageEvent('message', { data: 'own' }));
    source.close();
    source.dispatchEvent(new MessageEvent('message', { data: 'later' }));
    return log;
  },
  'a class may extend it': async (ES) => {
    class Mine extends ES {
      constructor(path) {
        super(path);
        this.heard = [];
        this.addEventListener('message', ({ data }) => this.heard.push(data));
      }
    }
    const source = new Mine('/parity/greeting');
    await when(() => source.heard.length >= 2);
    source.close();
    return [source.heard, source instanceof Mine, source instanceof ES, source.constructor.name];
  },
  'no content closes it for good': (ES) => logOf(ES, '/parity/status?204', 1),
  'not found closes it for good': (ES) => logOf(ES, '/parity/status?404', 1),
  'not allowed closes it for good': (ES) => logOf(ES, '/parity/status?403', 1),
  'a fault of the server closes it for good': (ES) => logOf(ES, '/parity/status?500', 1),
  'another type closes it for good': (ES) => logOf(ES, '/parity/type', 1),
  'moved for good': (ES) => logOf(ES, '/parity/redirect?301', 3),
  'found elsewhere': (ES) => logOf(ES, '/parity/redirect?302', 3),
  'see other': (ES) => logOf(ES, '/parity/redirect?303', 3),
  'moved for now': (ES) => logOf(ES, '/parity/redirect?307', 3),
  'moved for good, by the strict status': (ES) => logOf(ES, '/parity/redirect?308', 3),
  'a stream that ends is resumed with the last id': (ES) => logOf(ES, '/parity/ends', 5),
  'a stream that breaks off is resumed with the last id': (ES) => logOf(ES, '/parity/breaks', 5),
  'an id of any characters is sent back': (ES) => logOf(ES, '/parity/ends?id=%C3%BCnï-✓', 5),
  'no content when it comes back closes it for good': (ES) => logOf(ES, '/parity/ends-for-good', 4),
  'a failure when it comes back closes it for good': (ES) => logOf(ES, '/parity/fails-later', 4),
  'an unfinished event is not dispatched': (ES) => logOf(ES, '/parity/unfinished', 5),
  'a large event': async (ES) => {
    const source = new ES('/parity/large');
    const lengths = [];
    source.onmessage = ({ data }) => lengths.push(data.length);
    await when(() => lengths.length >= 2);
    source.close();
    return lengths;
  },
  'two of one address are two': async (ES) => {
    const [one, other] = [new ES('/parity/ticking'), new ES('/parity/ticking')];
    const [first, second] = [watch(one), watch(other)];
    await when(() => first.length >= 3 && second.length >= 3);
    one.close();
    const [length, before] = [first.length, second.length];
    await when(() => second.length >= before + 2);
    const seen = [first[0], second[0], first.length === length, second.length > before, one.readyState, other.readyState];
    other.close();
    return seen;
  },
  'closed and made again, it begins again': async (ES) => {
    const logs = [];
    for (let round = 0; round < 3; round += 1) logs.push(await logOf(ES, '/parity/greeting?again', 3));
    return logs;
  },
  'cross-origin without leave': (ES, other) => logOf(ES, `${other}/parity/greeting`, 1),
  'cross-origin with leave': (ES, other) => logOf(ES, `${other}/parity/cors`, 3),
  'cross-origin with credentials, without leave for them': (ES, other) => logOf(ES, `${other}/parity/cors`, 1, [], { withCredentials: true }),
  'cross-origin with leave for credentials': (ES, other) => logOf(ES, `${other}/parity/cors-credentials`, 3, [], { withCredentials: true }),
  'from one origin to the other': (ES) => logOf(ES, `/parity/redirect-to-other`, 3),
};
