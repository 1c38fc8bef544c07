//! What each repair that has to be named mends, and what it leaves alone.

use sse_layer::{Framer, Repairs};

use crate::{cut, frames, mended, rest};

/// The frames of a stream that ends, as text.
fn ended(bytes: &str, repairs: Repairs, is_meant: bool) -> Vec<String> {
    let framer = Framer::new().with_repairs(repairs);
    let (mut frames, mut framer) = frames(framer, &cut(bytes.as_bytes(), &[5]));
    frames.extend(rest(&mut framer, is_meant));
    frames.iter().map(|frame| String::from_utf8_lossy(frame.bytes()).into_owned()).collect()
}

#[test]
fn an_event_is_closed_only_at_an_end_that_is_meant() {
    let ended = |bytes, is_meant| ended(bytes, Repairs::FINAL_BLANK_LINE, is_meant);
    assert_eq!(ended("data: a\n\ndata: b\n", true), ["data: a\n\n", "data: b\n\n"]);
    assert_eq!(ended("data: b\r", true), ["data: b\r\r"]);
    assert_eq!(ended("data: b\r\n", true), ["data: b\r\n\n"]);
    for (bytes, is_meant) in [("data: b\n", false), ("data: b\nda", true), ("data: b", true)] {
        assert_eq!(ended(bytes, is_meant), [""; 0], "{bytes:?}");
    }
}

#[test]
fn an_event_that_is_lost_at_the_end_is_hinted_at() {
    let (_, mut framer) = mended("data: a\n", Repairs::NONE);
    assert!(rest(&mut framer, false).is_empty());
    assert_eq!(framer.hints(), Repairs::NONE);
    assert!(rest(&mut framer, true).is_empty());
    assert_eq!(framer.hints(), Repairs::FINAL_BLANK_LINE);
    assert_eq!(framer.into_remainder(), "data: a\n");
    let (_, mut framer) = mended("data: a\n\n: bye\n", Repairs::NONE);
    rest(&mut framer, true);
    assert_eq!(framer.hints(), Repairs::NONE);
}

#[test]
fn events_without_blank_lines_are_told_apart() {
    let ended = |bytes: &str| ended(bytes, Repairs::LINE_PER_EVENT, false);
    assert_eq!(ended("data: a\ndata: b\nda"), ["data: a\n\n"]);
    assert_eq!(
        ended("id: 1\nevent: a\ndata: b\ndata: c\nevent: d\nid: 2\r\ndata: e\r"),
        ["id: 1\nevent: a\ndata: b\ndata: c\n\n", "event: d\nid: 2\r\ndata: e\r\r"],
    );
    for whole in ["id: 1\nid: 2\ndata: a\n\n", "data: a\nid: 1\nevent: b\ndata: c\n\n"] {
        assert_eq!(ended(whole), [whole]);
        assert_eq!(ended(&whole.repeat(2)), [whole; 2]);
    }
}

#[test]
fn events_without_blank_lines_are_told_apart_by_the_names_that_are_meant() {
    let both = Repairs::LINE_PER_EVENT;
    for (bytes, with, expected) in [
        ("Data: a\nDATA: b\n", Repairs::FIELD_CASE, &["data: a\n\n", "data: b\n\n"][..]),
        ("data : a\ndata: b\n", Repairs::FIELD_SPACE, &["data: a\n\n", "data: b\n\n"]),
        ("Id : 1\ndata: a\nID: 2\n", Repairs::LEGACY, &["id: 1\ndata: a\n\n", "id: 2\n\n"]),
        (
            "\n\u{feff}data: a\n\u{feff}data: b\n",
            Repairs::STRAY_BOM,
            &["data: a\n\n", "data: b\n\n"],
        ),
        // A name that no repair is asked for, or that is written right too, is unknown.
        ("Data: a\nDATA: b\n", Repairs::NONE, &["Data: a\nDATA: b\n\n"]),
        ("data: a\nData: b\n", Repairs::FIELD_CASE, &["data: a\nData: b\n\n"]),
        ("Data: a\ndata: b\n", Repairs::FIELD_CASE, &["Data: a\ndata: b\n\n"]),
    ] {
        assert_eq!(ended(bytes, both | with, false), expected, "{bytes:?} with {with}");
    }
}

#[test]
fn an_id_that_comes_again_after_data_is_hinted_at() {
    for (bytes, hints) in [
        ("id: 1\ndata: a\nid: 2\n", Repairs::LINE_PER_EVENT),
        ("event: a\ndata: a\nevent: b\n\n", Repairs::LINE_PER_EVENT),
        ("id: 1\nid: 2\ndata: a\n", Repairs::NONE),
    ] {
        assert_eq!(mended(bytes, Repairs::NONE).1.hints(), hints, "{bytes:?}");
    }
}

#[test]
fn a_repair_of_where_blocks_end_is_told() {
    for (bytes, repairs) in [
        ("data: a\n", Repairs::FINAL_BLANK_LINE),
        ("data: a\ndata: b\n", Repairs::LINE_PER_EVENT),
        ("data: a\r\r\n\r\r\n", Repairs::CRCRLF),
    ] {
        let (_, mut framer) = mended(bytes, repairs);
        rest(&mut framer, true);
        assert_eq!(framer.take_repaired(), repairs);
        assert_eq!(framer.hints(), Repairs::NONE);
    }
}

#[test]
fn doubled_line_ends_are_mended_if_the_first_block_has_no_others() {
    let ended = |bytes| ended(bytes, Repairs::CRCRLF, true);
    assert_eq!(
        ended("\r\r\nid: 1\r\r\ndata: a\r\r\n\r\r\ndata: b\r\r\rdata: c\n\n"),
        ["id: 1\ndata: a\n\n", "data: b\r\r", "data: c\n\n"],
    );
    assert_eq!(ended("id: 1\r\r\ndata: a\n\n"), ["id: 1\r\r\n", "data: a\n\n"]);
    let after_blank_lines = "\r\r\ndata: a\n\nid: 1\r\r\ndata: b\n\n";
    assert_eq!(ended(after_blank_lines), ["data: a\n\n", "id: 1\r\r\n", "data: b\n\n"]);
    // Before the first block is whole nothing is known; then it is as without the repair.
    assert_eq!(ended("id: 1\r\r\ndata: a\r\r\n"), ["id: 1\r\r\n", "data: a\r\r\n"]);
}

#[test]
fn what_is_held_back_is_not_lost() {
    let (frames, framer) = mended("data: a\r\r\ndata: b\r", Repairs::CRCRLF);
    assert_eq!(frames, [""; 0]);
    assert!(framer.is_mid_frame());
    assert_eq!(framer.into_remainder(), "data: a\r\r\ndata: b\r");
    let (_, framer) = mended("data: a\r\r\n\r\r\nx\r\r", Repairs::CRCRLF);
    assert_eq!(framer.into_remainder(), "x\r\r");
}

#[test]
fn a_long_first_block_is_not_held_back() {
    for (length, is_mended) in [((64 << 10) - 7, true), ((64 << 10) - 6, false)] {
        let block = format!(":{}\r\r\n\r\r\n", "x".repeat(length));
        for size in [1 << 10, usize::MAX] {
            let framer = Framer::new().with_repairs(Repairs::CRCRLF);
            let (frames, _) = frames(framer, &cut(block.as_bytes(), &[size]));
            assert_eq!(frames[0].bytes().ends_with(b"x\n\n"), is_mended, "{length}, {size}");
        }
    }
}

#[test]
fn lines_of_an_unfinished_json_text_are_data() {
    let mended = |bytes| mended(bytes, Repairs::JSON_CONTINUATION).0;
    assert_eq!(
        mended("data: [\n\"}]\\\"\",\n:\n{}\n]\nfoo\n\n"),
        ["data: [\ndata: \"}]\\\"\",\n:\ndata: {}\ndata: ]\nfoo\n\n"],
    );
    for block in [
        "data: {\"a\":\nid: 7\n}\n\n",
        "data: {\"a\":\nretry: x\n}\n\n",
        "data: {\"a\nb\":1}\n\n",
        "data: a {\nb\n\n",
        "foo\ndata: {}\nbar\n\n",
    ] {
        assert_eq!(mended(block), [block]);
    }
}

#[test]
fn lines_after_data_are_data() {
    let mended = |bytes| mended(bytes, Repairs::TEXT_CONTINUATION).0;
    assert_eq!(
        mended("foo\ndata: a\n: c\n\tb\n  c\nd: e\nid: 1\nf\n\n"),
        ["foo\ndata: a\n: c\ndata: b\ndata:  c\ndata: d: e\nid: 1\nf\n\n"],
    );
}

#[test]
fn a_type_alone_is_an_event_if_it_is_one() {
    let mended = |bytes| mended(bytes, Repairs::EMPTY_DATA).0;
    assert_eq!(mended("event: a\nid: 1\n\n"), ["event: a\nid: 1\ndata:\n\n"]);
    for block in ["event:\n\n", "event: a\nevent\n\n", "event: a\ndata\n\n", "id: 1\n\n"] {
        assert_eq!(mended(block), [block]);
    }
}

#[test]
fn blanks_around_a_type_go_but_not_within() {
    let (frames, _) = mended("event:  \ta b\t\ndata:  c \nid: d \n\n", Repairs::TRIM_TYPE);
    assert_eq!(frames, ["event: a b\ndata:  c \nid: d \n\n"]);
}

#[test]
fn a_reconnection_time_is_mended_by_what_is_named() {
    let cases = [
        (Repairs::RETRY_UNIT, "5s", "5000"),
        (Repairs::RETRY_UNIT, "5 ms", "5"),
        (Repairs::RETRY_UNIT, "2min", "120000"),
        (Repairs::RETRY_UNIT, "5 parsecs", "5 parsecs"),
        (Repairs::RETRY_UNIT, "s", "s"),
        (Repairs::RETRY_UNIT, "18446744073709551615s", "18446744073709551615s"),
        (Repairs::RETRY_UNIT | Repairs::RETRY_FLOOR, "5ms", "1000"),
        (Repairs::RETRY_FLOOR, "999", "1000"),
        (Repairs::RETRY_FLOOR, "1000", "1000"),
        (Repairs::RETRY_FLOOR, "5ms", "5ms"),
        (Repairs::RETRY_CEILING, "2147483647", "2147483647"),
        (Repairs::RETRY_CEILING, "2147483648", "2147483647"),
        (Repairs::RETRY_CEILING, "99999999999999999999", "2147483647"),
        (Repairs::RETRY_CEILING, "", ""),
    ];
    for (repairs, value, expected) in cases {
        let mut framer = Framer::new().with_repairs(repairs);
        framer.push(format!("retry: {value}\n\n").into());
        let frame = framer.next_frame().unwrap().unwrap();
        assert_eq!(frame.bytes(), format!("retry: {expected}\n\n").as_bytes(), "{repairs}");
    }
}

#[test]
fn surrogates_that_make_no_pair_are_left_alone() {
    let mended = |bytes: &[u8]| {
        let framer = Framer::new().with_repairs(Repairs::CESU8);
        frames(framer, &cut(bytes, &[usize::MAX])).0.remove(0).into_bytes()
    };
    let alone = b"data: \xED\xA0\xBD\xED\x95\x9C\xED\xB8\x80\n\n";
    assert_eq!(mended(alone), alone.as_slice());
    let pair = b"data: \xED\xA0\xBD\xED\xA0\xBD\xED\xB8\x80!\n\n";
    assert_eq!(mended(pair), b"data: \xED\xA0\xBD\xF0\x9F\x98\x80!\n\n".as_slice());
}

#[test]
fn what_is_off_is_hinted_at() {
    for (block, hints) in [
        ("data: {\n}\n\n", Repairs::JSON_CONTINUATION),
        ("event: a \ndata: b\n\n", Repairs::TRIM_TYPE),
        ("event: a\n\n", Repairs::EMPTY_DATA),
        ("retry: 5s\n\n", Repairs::RETRY_UNIT),
        ("retry: 3\n\n", Repairs::RETRY_FLOOR),
        ("retry: 99999999999\n\n", Repairs::RETRY_CEILING),
        ("event: a\n", Repairs::NONE),
        ("id: 1\n\n:\n\nretry: 3000\n\nfoo: a\ndata: b\n\n", Repairs::NONE),
    ] {
        assert_eq!(mended(block, Repairs::LEGACY).1.hints(), hints, "{block:?}");
    }
}
