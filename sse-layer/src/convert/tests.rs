use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// The frames of `bytes`, cut into pieces of `size`.
fn convert(mut converter: Converter, bytes: &[u8], size: usize) -> Result<Vec<String>, TooLong> {
    let mut frames = Vec::new();
    let mut take = |converter: &mut Converter| {
        while let Some(frame) = converter.next_frame()? {
            frames.push(String::from_utf8_lossy(frame.bytes()).into_owned());
        }
        Ok::<_, TooLong>(())
    };
    for piece in bytes.chunks(size) {
        converter.push(Bytes::copy_from_slice(piece));
        take(&mut converter)?;
    }
    converter.finish();
    take(&mut converter)?;
    Ok(frames)
}

/// The same for every cut, written as data alone.
fn data(converter: impl Fn() -> Converter, bytes: &[u8]) -> Vec<String> {
    let whole = convert(converter(), bytes, bytes.len().max(1)).unwrap();
    for size in 1..bytes.len() {
        assert_eq!(convert(converter(), bytes, size).unwrap(), whole, "cut by {size}");
    }
    let data = |frame: String| frame.strip_prefix("data: ")?.strip_suffix("\n\n").map(Into::into);
    whole.into_iter().map(|frame| data(frame).expect("data alone")).collect()
}

#[test]
fn complete_lines_are_events() {
    let cases: [(&str, &[&str]); 7] = [
        ("", &[]),
        ("{\"a\":1}\n{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"]),
        ("1\r\n\r\n \t\n\n2\n", &["1", "2"]),
        ("1\n{\"cut", &["1"]),
        ("1\n2", &["1"]),
        ("[1,\r2]\n", &["[1,\ndata: 2]"]),
        (" {}\n", &[" {}"]),
    ];
    for (bytes, expected) in cases {
        assert_eq!(data(|| Converter::new(Convert::Ndjson), bytes.as_bytes()), expected);
    }
}

#[test]
fn a_blank_line_of_text_is_an_event_too() {
    let lines = data(|| Converter::new(Convert::Lines), b"a\r\n\n\xFF: b\nhalf");
    assert_eq!(lines, ["a", "", "\u{fffd}: b"]);
}

#[test]
fn texts_of_a_sequence_are_events_once_they_are_complete() {
    let cases: [(&str, &[&str]); 12] = [
        ("\x1e{\"a\":1}\n\x1e{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"]),
        ("\x1e{\n \"a\": [1,\n2]\n}\n", &["{\ndata:  \"a\": [1,\ndata: 2]\ndata: }"]),
        ("\x1e\"a}\\\"]\\\\\"\n\x1e\"\\\"\n\x1e1\n", &["\"a}\\\"]\\\\\"", "1"]),
        ("\x1e{\"cut\": \x1e{}\n", &["{}"]),
        ("\x1e\"cut\x1e{}\x1e[]", &["{}", "[]"]),
        ("\x1e12\x1e13\n\x1etru", &["13"]),
        ("\x1e\x1e\n\x1e \n\n\x1e null \n", &["null"]),
        ("not in a text\n\x1e1\nnor this\n\x1e2\n", &["1", "2"]),
        ("\x1e}\n", &["}"]),
        ("\x1e[1", &[]),
        ("\x1e", &[]),
        ("", &[]),
    ];
    for (bytes, expected) in cases {
        let found = data(|| Converter::new(Convert::JsonSeq), bytes.as_bytes());
        assert_eq!(found, expected, "{bytes:?}");
    }
}

#[test]
fn a_line_and_a_text_leave_with_their_line_feed() {
    for (format, bytes) in
        [(Convert::Ndjson, "{}\n"), (Convert::Lines, "{}\n"), (Convert::JsonSeq, "\x1e{}\n")]
    {
        let mut converter = Converter::new(format);
        converter.push(bytes.into());
        assert_eq!(converter.next_frame().unwrap().unwrap().bytes(), "data: {}\n\n");
    }
}

#[test]
fn blocks_of_json_become_events_and_others_stay() {
    let bytes = b"{\"a\":1}\n{\"a\":2}\n\ndata: {\n{\"a\":3}\n\n:\n\nfoo: 1\n\n{\"a\":4}\n{\"cut";
    let expected = [
        "data: {\"a\":1}\n\n",
        "data: {\"a\":2}\n\n",
        "data: {\n{\"a\":3}\n\n",
        ":\n\n",
        "foo: 1\n\n",
        "data: {\"a\":4}\n\n",
    ];
    for size in 1..=bytes.len() {
        let converter = Converter::within_event_stream(Framer::new());
        assert_eq!(convert(converter, bytes, size).unwrap(), expected, "cut by {size}");
    }
}

#[test]
fn records_are_bounded_and_the_end_is_final() {
    let within = || Converter::within_event_stream(Framer::new().with_limit(10));
    let new = |format| Converter::new(format).with_limit(5);
    for (converter, bytes, expected) in [
        (new(Convert::Ndjson), "12345\n123456\n1\n", 1),
        (new(Convert::Ndjson), "12345\n123456", 1),
        (new(Convert::Lines), "12345\n123456\n1\n", 1),
        (new(Convert::JsonSeq), "\x1e12345\n\x1e123456\n\x1e1\n", 1),
        (new(Convert::JsonSeq), "\x1e12345\n\x1e[[[[[[", 1),
        (within(), "{}\n\n\"1234567890\"\n\n1\n\n", 1),
    ] {
        let mut converter = converter;
        converter.push(bytes.into());
        for _ in 0..expected {
            assert!(converter.next_frame().unwrap().is_some());
        }
        for _ in 0..3 {
            let error = converter.next_frame().unwrap_err();
            assert!([5, 10].contains(&error.limit()));
        }
    }
}

#[test]
fn formats_are_told_by_the_content_type() {
    use Convert::{JsonSeq, Lines, Ndjson};
    let cases = [
        ("application/x-ndjson", Some(Ndjson)),
        ("application/NDJSON; charset=utf-8", Some(Ndjson)),
        ("application/jsonl", Some(Ndjson)),
        ("application/json-seq", Some(JsonSeq)),
        ("text/plain", Some(Lines)),
        ("text/plain; charset=UTF-8", Some(Lines)),
        ("text/plain; charset=iso-8859-1", None),
        ("application/json", None),
        ("text/html", None),
        ("text/event-stream", None),
    ];
    for (content_type, expected) in cases {
        let headers = HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(content_type),
        )]);
        let found = [Ndjson, JsonSeq, Lines].into_iter().find(|f| f.is_named_by(&headers));
        assert_eq!(found, expected, "{content_type}");
    }
}

proptest! {
    /// What a browser reads is what was written.
    #[test]
    fn json_survives(values in prop::collection::vec(any::<(String, i64)>(), 0..8), size in 1..40_usize) {
        let values: Vec<Value> =
            values.into_iter().map(|(text, n)| serde_json::json!({ "t": text, "n": [n] })).collect();
        let ndjson: String = values.iter().map(|value| format!("{value}\n")).collect();
        let pretty = |value| format!("\x1e{}\n", serde_json::to_string_pretty(value).unwrap());
        let sequence: String = values.iter().map(pretty).collect();
        for (format, bytes) in [(Convert::Ndjson, ndjson), (Convert::JsonSeq, sequence)] {
            let frames = convert(Converter::new(format), bytes.as_bytes(), size).unwrap();
            let mut decoder = crate::Decoder::new();
            decoder.push(frames.concat());
            let mut read = Vec::new();
            while let Some(event) = decoder.next_event().unwrap() {
                read.push(serde_json::from_str::<Value>(event.data).unwrap());
            }
            prop_assert_eq!(&read, &values);
        }
    }
}

#[test]
fn json_under_the_name_of_an_event_stream_waits_for_no_blank_line() {
    let mut converter = Converter::within_event_stream(Framer::new());
    converter.push("{\"a\":1}\n{\"a\":2}\n{\"a\"".into());
    for expected in ["data: {\"a\":1}\n\n", "data: {\"a\":2}\n\n"] {
        assert_eq!(converter.next_frame().unwrap().unwrap().bytes(), expected);
    }
    assert!(converter.next_frame().unwrap().is_none());
    converter.push(":3}\n".into());
    let mut rest = converter.next_frame().unwrap().unwrap().into_bytes().to_vec();
    converter.push("data: x\n\ndata: y\nretry: 7\n".into());
    converter.finish();
    while let Some(frame) = converter.next_frame().unwrap() {
        rest.extend_from_slice(frame.bytes());
    }
    assert_eq!(String::from_utf8(rest).unwrap(), "data: {\"a\":3}\n\ndata: x\n\nretry: 7\n\n");
}
