//! From events to bytes.

use std::fmt;

use bytes::{Bytes, BytesMut};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use sse_layer::Event;

/// Data of one or several lines.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    line: usize,
    lines: usize,
}

const SHAPES: [Shape; 3] = [
    Shape { name: "100 B", line: 100, lines: 1 },
    Shape { name: "1 KiB", line: 1 << 10, lines: 1 },
    Shape { name: "10 lines of 100 B", line: 100, lines: 10 },
];

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Shape {
    /// The event, and its wire form put together by other means.
    fn event(self) -> (Event, String) {
        let lines = vec!["x".repeat(self.line); self.lines];
        let wire: String = lines.iter().map(|line| format!("data: {line}\n")).collect();
        (Event::new().data(lines.join("\n")), wire + "\n")
    }
}

/// Into bytes of their own.
#[divan::bench(args = SHAPES)]
fn to_bytes(bencher: Bencher<'_, '_>, shape: Shape) {
    let (event, wire) = shape.event();
    let wire = Bytes::from(wire);
    bencher.counter(BytesCount::new(wire.len())).bench_local(|| {
        let bytes = black_box(&event).to_bytes();
        assert_eq!(bytes.len(), wire.len());
        bytes
    });
    assert_eq!(event.to_bytes(), wire);
}

/// Into room that is there.
#[divan::bench(args = SHAPES)]
fn encode(bencher: Bencher<'_, '_>, shape: Shape) {
    let (event, wire) = shape.event();
    let mut out = BytesMut::with_capacity(2 * wire.len());
    bencher.counter(BytesCount::new(wire.len())).bench_local(|| {
        out.clear();
        black_box(&event).encode(&mut out);
        assert_eq!(out.len(), wire.len());
    });
    assert_eq!(out, wire);
}
