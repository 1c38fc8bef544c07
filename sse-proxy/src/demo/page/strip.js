// The picture of a side: one strip for each feed on a common time axis, drawn on one canvas.

import { SPAN } from './sources.js';

/** Frames a second; calm, and kind to small machines. */
const RATE = 30;
const STILL_RATE = 2;
/** How long a new event shines, in milliseconds. */
const FRESH = 500;

export class Strip {
  /** `cells` are the rows' places in the layout, in the order of `feeds`. */
  constructor(canvas, feeds, cells) {
    this.canvas = canvas;
    this.pen = canvas.getContext('2d');
    this.feeds = feeds;
    this.cells = cells;
    this.rows = [];
    this.last = 0;
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#colours());
    new ResizeObserver(() => this.#measure()).observe(canvas.parentElement);
    this.#colours();
    this.#measure();
    const frame = (time) => {
      requestAnimationFrame(frame);
      if (time - this.last < 1_000 / (this.still.matches ? STILL_RATE : RATE)) return;
      this.last = time;
      this.#draw();
    };
    requestAnimationFrame(frame);
  }

  #colours() {
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.colour = {
      bar: colour('--bar'), fresh: colour('--fresh'), late: colour('--late'), ghost: colour('--ghost'),
      line: colour('--flat'), down: colour('--down'), away: colour('--away'),
    };
  }

  #measure() {
    const first = this.cells[0].getBoundingClientRect();
    const last = this.cells.at(-1).getBoundingClientRect();
    const around = this.canvas.parentElement.getBoundingClientRect();
    const scale = devicePixelRatio;
    const { canvas } = this;
    canvas.style.left = `${first.left - around.left}px`;
    canvas.style.top = `${first.top - around.top}px`;
    canvas.style.width = `${first.width}px`;
    canvas.style.height = `${last.bottom - first.top}px`;
    canvas.width = Math.round(first.width * scale);
    canvas.height = Math.round((last.bottom - first.top) * scale);
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.width = first.width;
    this.thick = Math.min(2.5, Math.max(1, first.width / 150)); // of a bar
    this.rows = this.cells.map((cell) => {
      const { top, height } = cell.getBoundingClientRect();
      return { top: top - first.top, height };
    });
    this.#draw();
  }

  #draw() {
    const { pen, width } = this;
    const now = Date.now();
    pen.clearRect(0, 0, width, this.canvas.height);
    this.feeds.forEach((feed, i) => {
      const { top, height } = this.rows[i];
      this.#bands(feed, now, top, height);
      this.#line(feed, top, height);
      this.#marks(feed, now, top, height);
    });
  }

  #x(at, now) {
    return this.width - ((now - at) / SPAN) * this.width;
  }

  #bands(feed, now, top, height) {
    for (const { from, to, kind } of feed.bands) {
      const x = Math.max(0, this.#x(from, now));
      this.pen.fillStyle = this.colour[kind];
      this.pen.fillRect(x, top, this.#x(to ?? now, now) - x, height);
    }
  }

  #line(feed, top, height) {
    const { pen, width } = this;
    pen.strokeStyle = this.colour.line;
    pen.lineWidth = 1;
    pen.setLineDash(feed.state === 'open' ? [] : [1, 4]);
    pen.beginPath();
    pen.moveTo(0, Math.round(top + height - 6) + 0.5);
    pen.lineTo(width, Math.round(top + height - 6) + 0.5);
    pen.stroke();
    pen.setLineDash([]);
  }

  #marks(feed, now, top, height) {
    const { pen, colour, thick } = this;
    const bottom = Math.round(top + height - 6);
    const room = height - 14;
    const heard = feed.marks.filter((mark) => !mark.ghost);
    const low = Math.min(...heard.map((mark) => mark.level));
    const high = Math.max(...heard.map((mark) => mark.level));
    for (const { at, level, late, ghost } of feed.marks) {
      const x = this.#x(at, now);
      if (x < -3) continue;
      if (ghost) {
        pen.fillStyle = colour.ghost;
        pen.fillRect(x - thick, bottom - 5, thick * 0.6, 5);
        continue;
      }
      const part = high > low ? (level - low) / (high - low) : 0.5;
      const tall = 4 + part * room;
      pen.fillStyle = late ? colour.late : now - at < FRESH ? colour.fresh : colour.bar;
      pen.fillRect(x - thick, bottom - tall, thick, tall);
    }
  }
}
