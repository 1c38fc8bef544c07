// Hints for developers: usual mistakes, told on the console.

/** @param {string} url @param {string} text */
const say = (url, text) => console.warn(`EventSource ${new URL(url).pathname}: ${text}`);

/** How often what nobody listens to has come, by URL and type. @type {Map<string, number>} */
const unheardCounts = new Map();

/** @param {string} url @param {object} init */
export function created(url, init) {
  for (const name of Object.keys(init)) {
    if (name === 'withCredentials') continue;
    say(url, `the option "${name}" has no effect. To say who you are, use a cookie or the URL's query.`);
  }
}

/** An event that nobody listens to. @param {string} url @param {string} type */
export function unheard(url, type) {
  if (type === 'mux/gap') return say(url, 'events were missed that the proxy no longer has. Listen to "mux/gap" to know.');
  const key = `${url} ${type}`;
  const count = (unheardCounts.get(key) ?? 0) + 1;
  unheardCounts.set(key, count);
  if (!/^10*$/.test(String(count))) return;
  const events = count === 1 ? 'an event' : `${count} events`;
  say(url, `${events} of type "${type}", and no listener. onmessage hears only events without a type: use addEventListener("${type}", ...).`);
}

/** A source closed by its own handler of errors. @param {string} url */
export function givenUp(url) {
  say(url, 'close() inside onerror while it was reconnecting: it would have come back by itself. Close it only if readyState is CLOSED, or never.');
}

/** @param {string} url @param {number} [status] */
export function refused(url, status) {
  if (status !== 204) say(url, `closed for good${status ? ` by the status ${status}` : ''}: it does not reconnect by itself.`);
}
