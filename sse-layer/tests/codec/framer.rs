//! What the framer promises beside the events themselves.

use std::time::Duration;

use bytes::Bytes;
use sse_layer::{DecodeError, Framer, Repairs};

use crate::{cut, frames};

fn whole(bytes: &'static str) -> [Bytes; 1] {
    [Bytes::from_static(bytes.as_bytes())]
}

/// The frames of a stream that comes at once, as text, and the framer after it.
fn mended(bytes: &'static str, repairs: Repairs) -> (Vec<String>, Framer) {
    let (frames, framer) = frames(Framer::new().with_repairs(repairs), &whole(bytes));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (frames.iter().map(|frame| text(frame.bytes())).collect(), framer)
}

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
}

#[test]
fn a_line_without_end_is_not_kept_beyond_the_limit() {
    let mut framer = Framer::new().with_limit(9);
    framer.push(Bytes::from("data: abc"));
    assert_eq!(framer.next_frame(), Ok(None));
    framer.push(Bytes::from("d"));
    assert_eq!(framer.next_frame(), Err(DecodeError::TooLong { limit: 9 }));
}

#[test]
fn names_are_mended_together() {
    let (frames, mut framer) =
        mended("\u{feff}\u{feff}\u{feff}Event : x\r\n\tDATA\t:  y\r\n ID:1\n\n", Repairs::LEGACY);
    assert_eq!(frames, ["event: x\ndata:  y\nid:1\n\n"]);
    let made =
        Repairs::FIELD_CASE | Repairs::FIELD_SPACE | Repairs::STRAY_BOM | Repairs::NORMALISE_EOL;
    assert_eq!(framer.take_repaired(), made);
    assert_eq!(framer.take_repaired(), Repairs::NONE);
    assert_eq!(framer.hints(), Repairs::NONE);
}

#[test]
fn each_repair_keeps_to_its_own() {
    let block = "Event: a\n event: b\nData : c\n\u{feff}ID: d\n\n";
    let cases = [
        (Repairs::NORMALISE_EOL, block),
        (Repairs::FIELD_CASE, "event: a\n event: b\nData : c\n\u{feff}ID: d\n\n"),
        (Repairs::FIELD_SPACE, "Event: a\nevent: b\nData : c\n\u{feff}ID: d\n\n"),
        (Repairs::STRAY_BOM, "Event: a\n event: b\nData : c\nID: d\n\n"),
    ];
    for (repairs, expected) in cases {
        assert_eq!(mended(block, repairs).0, [expected], "{repairs}");
    }
}

#[test]
fn a_name_is_not_folded_beside_the_exact_one() {
    for block in ["Data: a\ndata: b\n\n", "data\nDATA : a\n\n", "Id: 1\nid\n\n"] {
        let (frames, mut framer) = mended(block, Repairs::LEGACY);
        assert_eq!(frames, [block]);
        assert_eq!(framer.take_repaired(), Repairs::NONE);
    }
    // Even if the exact one itself had to be mended; and each block is for itself.
    let (frames, _) = mended("Data: a\n data: b\n\nData: c\n\n", Repairs::LEGACY);
    assert_eq!(frames, ["Data: a\ndata: b\n\n", "data: c\n\n"]);
}

#[test]
fn a_line_that_is_no_name_and_colon_is_left_alone() {
    for block in ["Data\n\n", " data\n\n", "data \n\n", "Data=a\n\n", " foo: a\n\n", " : c\n\n"] {
        assert_eq!(mended(block, Repairs::LEGACY).0, [block]);
    }
}

#[test]
fn a_line_of_blanks_ends_a_block() {
    let (frames, framer) = mended(" \ndata: a\n \t\n\t\r\ndata: b\n\u{feff} \n ", Repairs::LEGACY);
    assert_eq!(frames, ["data: a\n\n", "data: b\n\n"]);
    assert!(framer.is_mid_frame());
    // The CR and the LF around what goes must not become one line end.
    assert_eq!(mended("data: a\r \n", Repairs::BLANK_LINES).0, ["data: a\n\n"]);
    assert_eq!(mended("data: a\r\u{feff}\n", Repairs::STRAY_BOM).0, ["data: a\n\n"]);
}

#[test]
fn what_is_off_is_hinted_at() {
    let (_, framer) = mended("data: a\n\nfoo\n\n", Repairs::NONE);
    assert_eq!(framer.hints(), Repairs::NONE);
    let (_, framer) = mended("Event: a\n\n", Repairs::SAFE);
    assert_eq!(framer.hints(), Repairs::FIELD_CASE);
    let (_, framer) = mended("\tid: 1\n\n\u{feff}\ndata:\n\n", Repairs::FIELD_CASE);
    assert_eq!(framer.hints(), Repairs::FIELD_SPACE | Repairs::STRAY_BOM);
    // A stream of this kind never has a whole block.
    let (_, framer) = mended("data: a\n \ndata: b\n \n", Repairs::SAFE);
    assert_eq!(framer.hints(), Repairs::BLANK_LINES);
}
