//! From bytes to what the load tester has to know of events: number, time, id and type.
//!
//! The beginning of each line is enough for that, so that memory does not grow with events. Lines
//! end with LF or CRLF, not with a lone CR.

use memchr::memchr;

/// What is kept of a line that comes in pieces.
const KEPT: usize = 1 << 10;

/// The end of a block, or a line that matters by itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// An event: the number and the time in its data, if they are there.
    Event {
        /// Its number in its feed, and when it was to be sent, in nanoseconds.
        stamp: Option<(u64, u64)>,
        /// Whether it has a type, which [`Parser::event_type`] gives.
        is_typed: bool,
    },
    /// A comment that tells of events which no longer exist.
    Gap,
    /// Another comment.
    Comment,
    /// A reconnection time in milliseconds.
    Retry(u64),
}

/// A parser of one stream.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    stamp: Option<(u64, u64)>,
    has_data: bool,
    event_type: Vec<u8>,
    block_id: Option<Vec<u8>>,
    id: Vec<u8>,
}

impl Parser {
    /// Takes bytes, and shows what they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut see: impl FnMut(&mut Self, Seen)) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, tail) = bytes.split_at(end);
            bytes = &tail[1..];
            let seen = if self.line.is_empty() {
                self.line_seen(line)
            } else {
                self.keep(line);
                let mut whole = std::mem::take(&mut self.line);
                let seen = self.line_seen(&whole);
                whole.clear();
                self.line = whole;
                seen
            };
            if let Some(seen) = seen {
                let is_event = matches!(seen, Seen::Event { .. });
                see(self, seen);
                if is_event {
                    self.event_type.clear();
                }
            }
        }
        self.keep(bytes);
    }

    /// The id that a reconnection sends; empty if there is none.
    pub fn last_event_id(&self) -> &[u8] {
        &self.id
    }

    /// The type of the event just shown.
    pub fn event_type(&self) -> &[u8] {
        &self.event_type
    }

    /// Makes ready for a new response, which begins with a new line but the old id.
    pub fn restart(&mut self) {
        *self = Self { id: std::mem::take(&mut self.id), ..Self::default() };
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = KEPT.saturating_sub(self.line.len());
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn line_seen(&mut self, line: &[u8]) -> Option<Seen> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.first() {
            None => return self.block_end(),
            Some(b':') if line.starts_with(b": gap") => return Some(Seen::Gap),
            Some(b':') => return Some(Seen::Comment),
            Some(b'd') => {
                if let Some(data) = value(line, b"data") {
                    if !self.has_data {
                        self.stamp = stamp(data);
                    }
                    self.has_data = true;
                }
            }
            Some(b'i') => {
                if let Some(id) = value(line, b"id").filter(|id| !id.contains(&0)) {
                    let place = self.block_id.get_or_insert_default();
                    place.clear();
                    place.extend_from_slice(id);
                }
            }
            Some(b'e') => {
                if let Some(name) = value(line, b"event") {
                    self.event_type.clear();
                    self.event_type.extend_from_slice(name);
                }
            }
            Some(b'r') => {
                let digits = value(line, b"retry").filter(|it| it.iter().all(u8::is_ascii_digit));
                return number(digits?).map(|(retry, _)| Seen::Retry(retry));
            }
            Some(_) => {}
        }
        None
    }

    fn block_end(&mut self) -> Option<Seen> {
        if let Some(id) = &self.block_id {
            self.id.clear();
            self.id.extend_from_slice(id);
        }
        let stamp = self.stamp.take();
        if std::mem::take(&mut self.has_data) {
            return Some(Seen::Event { stamp, is_typed: !self.event_type.is_empty() });
        }
        self.event_type.clear();
        None
    }
}

/// The value of a line if its field has this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    let Some(value) = rest.strip_prefix(b":") else { return rest.is_empty().then_some(rest) };
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The two numbers that data begins with.
fn stamp(data: &[u8]) -> Option<(u64, u64)> {
    let (sequence, rest) = number(data)?;
    let (time, _) = number(rest.strip_prefix(b" ")?)?;
    Some((sequence, time))
}

/// The decimal number that bytes begin with, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = bytes.split_at(digits);
    let number = number
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    (digits > 0).then_some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::{Parser, Seen};

    const STREAM: &str = ": hello\n\nretry: 1500\nid: 7\ndata: 7 123 xxx\n\n\
        event: /feed/2\r\nid: e.9 8\r\ndata: 8 456 y\r\n\r\ndata: free text\n\n: gap\n\n\
        id: 99\n\ndata:9 789\ndata: 1 2\n\ndata: 10 111 never ended\n";

    fn seen(pieces: &[&[u8]]) -> (Vec<(Seen, String)>, Parser) {
        let mut parser = Parser::default();
        let mut all = Vec::new();
        for piece in pieces {
            parser.push(piece, |parser, seen| {
                all.push((seen, String::from_utf8_lossy(parser.event_type()).into_owned()));
            });
        }
        (all, parser)
    }

    fn event(number: u64, time: u64) -> Seen {
        Seen::Event { stamp: Some((number, time)), is_typed: false }
    }

    #[test]
    fn a_stream_cut_anywhere_shows_the_same() {
        let none = String::new;
        let expected = [
            (Seen::Comment, none()),
            (Seen::Retry(1500), none()),
            (event(7, 123), none()),
            (Seen::Event { stamp: Some((8, 456)), is_typed: true }, "/feed/2".to_owned()),
            (Seen::Event { stamp: None, is_typed: false }, none()),
            (Seen::Gap, none()),
            (event(9, 789), none()),
        ];
        for cut in 0..=STREAM.len() {
            let (head, tail) = STREAM.as_bytes().split_at(cut);
            let (all, parser) = seen(&[head, tail]);
            assert_eq!(all, expected, "cut at {cut}");
            assert_eq!(parser.last_event_id(), b"99", "cut at {cut}");
        }
    }

    #[test]
    fn a_long_line_takes_no_more_memory_than_its_beginning() {
        let long = vec![b'x'; 1 << 20];
        let (all, parser) = seen(&[b"data: 1 2 ", &long, b"\n\n", b"data: 3 4\n\ndata: ", &long]);
        assert_eq!(all, [(event(1, 2), String::new()), (event(3, 4), String::new())]);
        assert!(parser.line.capacity() < 8 << 10);
    }

    #[test]
    fn an_unfinished_event_is_forgotten_with_its_connection() {
        let (_, mut parser) = seen(&[b"id: 1\ndata: 1 1\n\nid: 2\ndata: 2 2\n"]);
        parser.restart();
        let mut count = 0;
        parser.push(b"\n\n", |_, _| count += 1);
        assert_eq!(count, 0);
        assert_eq!(parser.last_event_id(), b"1");
    }
}
