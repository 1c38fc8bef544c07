//! One reader: what it has seen, whatever carries its bytes.

use std::collections::HashMap;

use super::clock::SECOND;
use super::order::{Order, Place};
use super::parser::{Parser, Seen};
use super::tally::Tally;

/// What an `EventSource` waits before it comes back, unless it is told otherwise.
const RETRY: u64 = 3 * SECOND;

/// One reader, over all its connections.
#[derive(Debug)]
pub struct Reader {
    parser: Parser,
    order: Order,
    /// Of the feeds that are told apart by the type of their events.
    orders: HashMap<Box<[u8]>, Order>,
    /// Whether it is alone in being late, so that what it misses is no fault.
    is_slow: bool,
    /// Whether its feed is that of all readers.
    follows: bool,
    gap_told: bool,
    retry: u64,
    asked: u64,
    has_event: bool,
    was_open: bool,
}

impl Reader {
    /// A reader that is as slow as it likes, and whose events all others get too.
    pub fn new(is_slow: bool, follows: bool) -> Self {
        Self {
            parser: Parser::default(),
            order: Order::default(),
            orders: HashMap::new(),
            is_slow,
            follows: follows && !is_slow,
            gap_told: false,
            retry: RETRY,
            asked: 0,
            has_event: false,
            was_open: false,
        }
    }

    /// It begins to connect.
    pub fn start(&mut self, now: u64) {
        self.asked = now;
        self.has_event = false;
        self.parser.restart();
    }

    /// Its connection stands, and can be asked.
    pub fn connected(&self, now: u64, tally: &mut Tally) {
        tally.connect.add(now - self.asked);
    }

    /// A response has begun.
    pub fn answered(&self, now: u64, tally: &mut Tally) {
        tally.first_byte.add(now - self.asked);
    }

    /// The response is a stream.
    pub fn opened(&mut self, tally: &mut Tally) {
        tally.open += 1;
        tally.opened += 1;
        tally.reopened += u64::from(self.was_open);
        self.was_open = true;
    }

    /// The stream has ended. Says how long the reader waits before it comes back.
    pub fn ended(&self, tally: &mut Tally) -> u64 {
        tally.open -= 1;
        tally.ended += 1;
        self.retry
    }

    /// How long it waits before it tries again.
    pub fn retry(&self) -> u64 {
        self.retry
    }

    /// Forgets what it had, as a page that is loaded anew.
    pub fn forget(&mut self) {
        self.parser = Parser::default();
        self.order.forget();
        self.orders.clear();
    }

    /// The id that it comes back with; empty if there is none.
    pub fn last_event_id(&self) -> &[u8] {
        self.parser.last_event_id()
    }

    /// Takes a piece of the body.
    pub fn read(&mut self, body: &[u8], now: u64, tally: &mut Tally) {
        let Self { parser, order, orders, gap_told, retry, has_event, .. } = self;
        let (is_slow, follows, asked) = (self.is_slow, self.follows, self.asked);
        parser.push(body, |parser, seen| {
            let (stamp, is_typed) = match seen {
                Seen::Comment => return tally.comments += 1,
                Seen::Retry(milliseconds) => {
                    return *retry = milliseconds.saturating_mul(1_000_000);
                }
                Seen::Gap => {
                    *gap_told = true;
                    return tally.gaps += 1;
                }
                Seen::Event { stamp, is_typed } => (stamp, is_typed),
            };
            let Some((number, sent)) = stamp else {
                // A control event, or data of somebody else's.
                *gap_told |= is_typed && parser.event_type() == b"mux/gap";
                tally.events += u64::from(!is_typed || !parser.event_type().starts_with(b"mux/"));
                return;
            };
            tally.events += 1;
            tally.slow_events += u64::from(is_slow);
            if !*has_event {
                *has_event = true;
                tally.first_event.add(now - asked);
            }
            if sent > 0 && !is_slow {
                let latency = now.saturating_sub(sent);
                tally.latency.add(latency);
                tally.slices.add(now, latency);
            }
            if follows && !is_typed {
                tally.spread.arrived(number, sent, now);
            }
            let order = if is_typed { named(orders, parser.event_type()) } else { &mut *order };
            count(order.take(number), is_slow || std::mem::take(gap_told), tally);
        });
    }
}

fn named<'a>(orders: &'a mut HashMap<Box<[u8]>, Order>, name: &[u8]) -> &'a mut Order {
    if !orders.contains_key(name) {
        orders.insert(name.into(), Order::default());
    }
    orders.get_mut(name).expect("just put there")
}

fn count(place: Place, is_excused: bool, tally: &mut Tally) {
    let missing = if is_excused { &mut tally.missed } else { &mut tally.lost };
    match place {
        Place::Next => {}
        Place::After(numbers) => *missing += i64::try_from(numbers).unwrap_or(i64::MAX),
        Place::Swapped => {
            *missing -= 1;
            tally.swapped += 1;
        }
        Place::Doubled => tally.doubled += 1,
    }
}
