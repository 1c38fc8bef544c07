//! The corpus: its files, and the cases that say what browsers make of a stream.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use proptest::sample;
use serde_json::Value;
use sse_layer::{MessageEvent, Repairs};

use crate::naive::{self, Parsed};
use crate::{cut, decode};

/// The cases of a file.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/../tests/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

pub(crate) fn bytes(case: &Value) -> Vec<u8> {
    let coded = case["bytes_b64"].as_str().expect("bytes_b64");
    BASE64_STANDARD.decode(coded).expect(coded)
}

pub(crate) fn events(list: &Value) -> Vec<MessageEvent> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let event = |event: &Value| MessageEvent {
        event_type: text(&event["type"]),
        data: text(&event["data"]),
        last_event_id: text(&event["id"]),
    };
    list.as_array().expect("a list of events").iter().map(event).collect()
}

pub(crate) fn retry(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_millis)
}

/// The ways in which a case is cut: whole, byte by byte, and as it asks for.
pub(crate) fn sizes(case: &Value) -> Vec<Vec<usize>> {
    let mut sizes = vec![vec![usize::MAX], vec![1]];
    if let Some(given) = case["chunks"].as_array() {
        let size = |size: &Value| usize::try_from(size.as_u64().expect("a size")).expect("small");
        sizes.push(given.iter().map(size).chain([usize::MAX]).collect());
    }
    sizes
}

fn expected(case: &Value) -> Parsed {
    let expect = &case["expect"];
    Parsed {
        events: events(&expect["events"]),
        retry: retry(&expect["retry"]),
        last_event_id: expect["last_event_id"].as_str().expect("an id").to_owned(),
    }
}

#[test]
fn every_case_is_read_as_a_browser_reads_it_however_it_is_cut() {
    for case in cases("parse.jsonl") {
        for sizes in sizes(&case) {
            let parsed = decode(&cut(&bytes(&case), &sizes), Repairs::NONE);
            assert_eq!(parsed, expected(&case), "{}, cut at {sizes:?}", case["name"]);
        }
    }
}

/// What is compared with everywhere else must itself be right.
#[test]
fn the_naive_implementation_reads_every_case_alike() {
    for case in cases("parse.jsonl") {
        assert_eq!(naive::parse(&bytes(&case)), expected(&case), "{}", case["name"]);
    }
}

proptest! {
    #[test]
    fn every_case_is_read_alike_at_random_cuts(
        case in sample::select(cases("parse.jsonl")),
        sizes in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let parsed = decode(&cut(&bytes(&case), &sizes), Repairs::NONE);
        prop_assert_eq!(parsed, expected(&case), "{}", case["name"]);
    }

    /// Neither do the repairs that are always on change what a browser makes of it.
    #[test]
    fn safe_repairs_change_no_case(
        case in sample::select(cases("parse.jsonl")),
        sizes in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let parsed = decode(&cut(&bytes(&case), &sizes), Repairs::SAFE);
        prop_assert_eq!(parsed, expected(&case), "{}", case["name"]);
    }
}
