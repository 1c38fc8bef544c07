//! The source's events.

use std::io::Write;

/// Writes event `number`, due at `time`, as one chunk of an HTTP/1.1 body. The event takes `size`
/// bytes, or what it needs at least; if that is less than 32 KiB its data is one line.
pub fn chunk(out: &mut Vec<u8>, number: u64, time: u64, size: usize) {
    let mut event = Vec::with_capacity(size + 64);
    write_event(&mut event, number, time, size);
    // Writing to memory cannot fail.
    let _ = write!(out, "{:x}\r\n", event.len());
    out.extend_from_slice(&event);
    out.extend_from_slice(b"\r\n");
}

/// The data of an event alone, as it is published.
pub fn data(number: u64, time: u64, size: usize) -> String {
    let mut event = Vec::new();
    write_event(&mut event, number, time, size);
    let event = String::from_utf8_lossy(&event).into_owned();
    let data = event.split_once("data: ").map_or("", |(_, data)| data);
    data.trim_end().to_owned()
}

fn write_event(out: &mut Vec<u8>, number: u64, time: u64, size: usize) {
    let _ = write!(out, "id: {number}\ndata: {number} {time} ");
    out.resize(size.saturating_sub(2).max(out.len()), b'x');
    out.extend_from_slice(b"\n\n");
}
