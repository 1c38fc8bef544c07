// The live page: one table, written anew each second from our own stream.

const $ = (id) => document.getElementById(id);
let feeds = [];

function element(name, text = '', className = '') {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

/** A cell with a note below it for each further line. */
function cell(text, notes = [], className = '') {
  const made = element('td', text, className);
  for (const [note, kind] of notes) made.append(element('div', note, kind));
  return made;
}

const number = (value) => cell(value.toLocaleString('en'), [], 'number');

function row(feed) {
  const made = element('tr');
  const hints = feed.set ? [[`repair = ${feed.set} would mend ${feed.hints.join(', ')}`, 'hint']] : [];
  made.append(
    cell(feed.path, [[`${feed.route}, ${feed.stream}`, 'note']], 'path'),
    number(feed.readers),
    number(feed.rate),
    number(feed.events),
    number(feed.lag),
    number(feed.gaps),
    cell(feed.origin, feed.last_error ? [[feed.last_error, 'note']] : [], feed.origin),
    cell(feed.repairs.join(', '), hints),
  );
  return made;
}

function show() {
  const wanted = $('filter').value.toLowerCase();
  const shown = feeds.filter((feed) => `${feed.route} ${feed.path}`.toLowerCase().includes(wanted));
  shown.sort((a, b) => b.readers - a.readers || b.rate - a.rate || (a.path < b.path ? -1 : 1));
  $('rows').replaceChildren(...shown.map(row));
}

function say(state, text = state) {
  $('state').textContent = text;
  $('state').dataset.state = state;
}

const source = new EventSource('api/live');
source.onmessage = ({ data }) => {
  const state = JSON.parse(data);
  feeds = state.feeds;
  $('readers').textContent = state.readers.toLocaleString('en');
  $('feeds').textContent = feeds.filter((feed) => feed.origin !== 'gone').length;
  $('rate').textContent = feeds.reduce((sum, feed) => sum + feed.rate, 0).toLocaleString('en');
  say(state.draining ? 'draining' : 'live');
  show();
};
source.onerror = () => say('lost', 'connection lost');
$('filter').oninput = show;
