// What came out, as a table: a row for each server, a column for each client.

const LEGEND = `Each cell: by how many milliseconds the first event comes later through the proxy than straight; after how many a
server knows that its client has left; whether a broken connection was resumed with nothing lost or doubled (r) or,
where the client cannot, was told (t); - where all comes at the end. o: comments kept
the connection while nothing came. Medians; ~ the
quickest, because the machine was too busy for medians.`;

function text({ later, left, resumed, outlived, fault, busy } = {}) {
  if (fault) return `FAILED: ${fault}`;
  if (outlived) return 'o';
  const number = (value) => value?.toFixed(0) ?? '-';
  return later === undefined ? '' : `${busy ? '~' : ''}${number(later)} ${number(left)} ${{ true: 'r', false: 't' }[resumed] ?? '-'}`;
}

export class Table {
  constructor(rows, columns) {
    this.rows = rows;
    this.columns = columns;
    this.cells = new Map();
  }

  cell(row, column) {
    const key = `${row}\n${column}`;
    if (!this.cells.has(key)) this.cells.set(key, {});
    return this.cells.get(key);
  }

  print() {
    const head = ['', ...this.columns];
    const lines = this.rows.map((row) => [row, ...this.columns.map((column) => text(this.cell(row, column)))]);
    const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => line[i].length)));
    for (const line of [head, ...lines]) console.log(line.map((one, i) => one.padEnd(widths[i])).join('  '));
    console.log(LEGEND);
  }
}
