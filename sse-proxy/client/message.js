// What page and hub both know of a message.

/**
 * How far a position, EPOCH.SEQ, is ahead of another; NaN if they are of two logs, or one is none.
 * @param {string} cursor
 * @param {string} other
 */
export function distance(cursor, other) {
  const [[epoch, seq], [otherEpoch, otherSeq]] = [cursor.split('.'), other.split('.')];
  return epoch === otherEpoch ? Number(seq) - Number(otherSeq) : NaN;
}

/** How much it counts on its way to a page. @param {import('./hub.js').Message} message */
export const weight = (message) => (message[0] === 'event' ? message[2].length : 0) + 100;
