//! What the framer promises beside the events themselves.

use std::time::Duration;

use bytes::Bytes;
use sse_layer::{DecodeError, Framer, Repairs};

use crate::{cut, frames, mended};

#[test]
fn blocks_without_data_are_frames() {
    let (frames, _) = mended(":\n\nid: 1\n\nretry: 1\n\nfoo\n\nevent: a\n\n", Repairs::NONE);
    assert_eq!(frames, [":\n\n", "id: 1\n\n", "retry: 1\n\n", "foo\n\n", "event: a\n\n"]);
}

#[test]
fn more_blank_lines_are_dropped() {
    let (frames, framer) = mended("\n\r\n\rdata: a\n\n\n\r\r\ndata: b\r\r\n\n", Repairs::NONE);
    assert_eq!(frames, ["data: a\n\n", "data: b\r\r\n"]);
    assert!(!framer.is_mid_frame());
}

#[test]
fn a_frame_leaves_at_the_cr_of_its_blank_line() {
    let chunks = ["data: a\r\n\r", "\ndata: b\r\n", "\r\n"].map(Bytes::from);
    let mut framer = Framer::new();
    framer.push(chunks[0].clone());
    let frame = framer.next_frame().unwrap().unwrap();
    assert_eq!(frame.bytes(), "data: a\r\n\r");
    framer.push(chunks[1].clone());
    assert_eq!(framer.next_frame(), Ok(None));
    framer.push(chunks[2].clone());
    let frame = framer.next_frame().unwrap().unwrap();
    assert_eq!(frame.bytes(), "data: b\r\n\r\n");
}

#[test]
fn a_frame_within_a_chunk_is_a_slice_of_it() {
    let chunk = Bytes::from("ta: a\n\n: b\n\nData: c\n\ndata: d\n\nda");
    let chunks = [Bytes::from("da"), chunk.clone()];
    let framer = Framer::new().with_repairs(Repairs::LEGACY);
    let (frames, _) = frames(framer, &chunks);
    let is_slice =
        frames.iter().map(|frame| chunk.as_ptr_range().contains(&frame.bytes().as_ptr()));
    // The first began in another chunk, the third needed a repair.
    assert_eq!(is_slice.collect::<Vec<_>>(), [false, true, false, true]);
}

#[test]
fn the_remainder_is_as_it_came() {
    let framer = Framer::new().with_repairs(Repairs::LEGACY);
    let (_, framer) = frames(framer, &cut(b"data: a\n\nData : b\r\nretry: 7", &[3]));
    assert!(framer.is_mid_frame());
    assert_eq!(framer.into_remainder(), "Data : b\r\nretry: 7");
}

#[test]
fn bytes_of_what_may_be_a_byte_order_mark_are_not_lost() {
    let (_, framer) = frames(Framer::new(), &cut(b"\xEF\xBB", &[1]));
    assert!(framer.is_mid_frame());
    assert_eq!(framer.into_remainder(), b"\xEF\xBB".as_slice());
    let (_, framer) = frames(Framer::new(), &cut(b"\xEF\xBB\xBF", &[1]));
    assert!(!framer.is_mid_frame());
}

#[test]
fn a_reconnection_time_counts_from_the_end_of_its_line() {
    let mut framer = Framer::new().with_repairs(Repairs::LEGACY);
    for (chunk, expected) in [("data: a\nRe", 0), ("try : 30", 0), ("0\r", 300), ("\n", 300)] {
        framer.push(Bytes::from(chunk));
        assert_eq!(framer.next_frame(), Ok(None));
        let expected = (expected > 0).then_some(Duration::from_millis(expected));
        assert_eq!(framer.pending_retry(), expected, "{chunk:?}");
    }
    framer.push(Bytes::from("\r"));
    let frame = framer.next_frame().unwrap().unwrap();
    assert_eq!(frame.retry(), Some(Duration::from_millis(300)));
    assert_eq!(framer.pending_retry(), None);
}

#[test]
fn a_long_line_may_come_byte_by_byte() {
    let line = [b"data: ".as_slice(), &[b'x'; 1 << 20], b"\n\n"].concat();
    let (frames, _) = frames(Framer::new(), &cut(&line, &[1]));
    assert_eq!(frames[0].bytes(), line.as_slice());
}

#[test]
fn a_frame_beyond_the_limit_fails_for_good() {
    let too_long = Err(DecodeError::TooLong { limit: 9 });
    let mut framer = Framer::new().with_limit(9);
    framer.push(Bytes::from("data: a\n\ndata: bc\n\ndata: d\n\n"));
    assert_eq!(framer.next_frame().unwrap().unwrap().bytes(), "data: a\n\n");
    assert_eq!(framer.next_frame(), too_long);
    framer.push(Bytes::from("data: e\n\n"));
    assert_eq!(framer.next_frame(), too_long);
    // Nothing more is kept.
    assert_eq!(framer.into_remainder(), "data: bc\n\ndata: d\n\n");
}

#[test]
fn a_reconnection_time_outlives_the_limit() {
    for size in [1, usize::MAX] {
        let mut framer = Framer::new().with_limit(12);
        for chunk in cut(b"retry: 300\ndata: a\n\n", &[size]) {
            framer.push(chunk);
            _ = framer.next_frame();
        }
        assert!(framer.next_frame().is_err());
        assert_eq!(framer.pending_retry(), Some(Duration::from_millis(300)));
    }
}

#[test]
fn a_line_without_end_is_not_kept_beyond_the_limit() {
    let mut framer = Framer::new().with_limit(9);
    framer.push(Bytes::from("data: abc"));
    assert_eq!(framer.next_frame(), Ok(None));
    framer.push(Bytes::from("d"));
    assert_eq!(framer.next_frame(), Err(DecodeError::TooLong { limit: 9 }));
}
