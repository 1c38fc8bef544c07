//! The standard's algorithm as it is written, on a stream that is there as a whole. Slow, and
//! plain enough to be right.

use std::time::Duration;

use sse_layer::MessageEvent;

/// What a browser knows after a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The events that it dispatched.
    pub(crate) events: Vec<MessageEvent>,
    /// The reconnection time, if the stream set one.
    pub(crate) retry: Option<Duration>,
    /// What it sends as `Last-Event-ID`.
    pub(crate) last_event_id: String,
}

/// Reads a whole stream.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    // What follows the last line end is no line.
    lines.pop();

    let mut parsed = Parsed::default();
    let (mut data, mut event_type, mut id) = (String::new(), String::new(), String::new());
    for line in lines {
        if line.is_empty() {
            parsed.last_event_id.clone_from(&id);
            if !data.is_empty() {
                data.pop();
                let name = if event_type.is_empty() { "message" } else { &event_type };
                parsed.events.push(MessageEvent {
                    event_type: name.to_owned(),
                    data: data.clone(),
                    last_event_id: id.clone(),
                });
            }
            data.clear();
            event_type.clear();
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => event_type = value.to_owned(),
            "data" => data += &format!("{value}\n"),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                if let Ok(millis) = value.parse() {
                    parsed.retry = Some(Duration::from_millis(millis));
                }
            }
            _ => {}
        }
    }
    parsed
}

/// The blocks of a stream, blank line included, and what comes after the last.
pub(crate) fn blocks(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let (mut blocks, mut block, mut line) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        line.push(*byte);
        if !matches!(byte, b'\r' | b'\n') {
            continue;
        }
        let is_blank = line.len() == 1;
        if *byte == b'\r' {
            line.extend(rest.next_if_eq(&&b'\n'));
        }
        if !is_blank {
            block.append(&mut line);
        } else if block.is_empty() {
            line.clear();
        } else {
            block.append(&mut line);
            blocks.push(std::mem::take(&mut block));
        }
    }
    block.append(&mut line);
    (blocks, block)
}
