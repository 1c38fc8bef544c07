//! The streams that are read.

use std::fmt;

use bytes::Bytes;
use sse_layer::{Event, EventId, EventType, MessageEvent};

/// What is read from a socket at once.
const READ: usize = 64 << 10;

/// How long a stream is, at least.
const LENGTH: usize = 1 << 20;

/// Text of one line, as a JSON API sends it.
const ASCII: &str =
    "{\"id\":4711,\"user\":\"someone\",\"text\":\"what they said: a thing or two\"} ";

/// Text that takes two bytes for most characters.
const GREEK: &str = "Ἄνδρα μοι ἔννεπε, Μοῦσα, πολύτροπον, ὃς μάλα πολλὰ πλάγχθη· ";

/// One kind of event, all of one size on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    name: &'static str,
    size: usize,
    lines: usize,
    is_named: bool,
    text: &'static str,
}

impl Shape {
    const fn data(name: &'static str, size: usize) -> Self {
        Self { name, size, lines: 1, is_named: false, text: ASCII }
    }

    /// The shapes that are measured. Data alone unless the name says more.
    pub(crate) const ALL: [Self; 6] = [
        Self::data("64 B", 64),
        Self { is_named: true, ..Self::data("64 B with type and id", 64) },
        Self::data("1 KiB", 1 << 10),
        Self { lines: 10, ..Self::data("1 KiB in 10 lines", 1 << 10) },
        Self { text: GREEK, ..Self::data("1 KiB in Greek", 1 << 10) },
        Self::data("64 KiB", 64 << 10),
    ];

    /// Whether its events are one line of data and nothing more.
    pub(crate) const fn is_lone_line(self) -> bool {
        self.lines == 1 && !self.is_named
    }

    /// The stream with events of this shape.
    pub(crate) fn stream(self) -> Stream {
        let mut wire = Vec::new();
        let mut events = Vec::new();
        while wire.len() < LENGTH {
            let event = self.event(events.len());
            wire.extend_from_slice(&self.encoded(&event));
            events.push(event);
        }
        let wire = Bytes::from(wire);
        let reads = (0..wire.len()).step_by(READ);
        let reads = reads.map(|at| wire.slice(at..wire.len().min(at + READ))).collect();
        Stream { wire, reads, events }
    }

    /// Event number `n`, filled up to the size.
    fn event(self, n: usize) -> MessageEvent {
        let mut event = MessageEvent { event_type: "message".into(), ..MessageEvent::default() };
        if self.is_named {
            event.event_type = "update".into();
            event.last_event_id = format!("{:06}", n % 1_000_000);
        }
        let empty = MessageEvent { data: "\n".repeat(self.lines - 1), ..event.clone() };
        let room = self.size - self.encoded(&empty).len();
        for line in 1..=self.lines {
            if line > 1 {
                event.data.push('\n');
            }
            let end = event.data.len() + room * line / self.lines - room * (line - 1) / self.lines;
            let text = self.text.chars().cycle().skip((n + line) % 64);
            event.data.extend(text.take(end - event.data.len()));
            // Characters of several bytes: back to where one ends, and full.
            let whole = (0..=end).rev().find(|at| event.data.is_char_boundary(*at));
            event.data.truncate(whole.unwrap_or(0));
            event.data.extend(std::iter::repeat_n('.', end - event.data.len()));
        }
        event
    }

    fn encoded(self, event: &MessageEvent) -> Bytes {
        let mut sent = Event::new().data(event.data.clone());
        if self.is_named {
            let valid = "neither has a line break";
            sent = sent
                .event(event.event_type.parse::<EventType>().expect(valid))
                .id(event.last_event_id.parse::<EventId>().expect(valid));
        }
        sent.to_bytes()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A stream as it comes, and what is in it.
pub(crate) struct Stream {
    pub(crate) wire: Bytes,
    pub(crate) reads: Vec<Bytes>,
    pub(crate) events: Vec<MessageEvent>,
}
