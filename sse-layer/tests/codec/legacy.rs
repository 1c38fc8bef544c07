//! The corpus of servers that break the rules: what each repair must mend, and what none may
//! touch. The cases are whole responses; here only what their bytes say counts.

use serde_json::Value;
use sse_layer::{MessageEvent, Repairs};

use crate::corpus::{bytes, cases, events, retry, sizes};
use crate::{BY_BYTES, cut, decode};

/// Asserts that a case gives these events and reconnection time, however it is cut.
fn assert_delivers(case: &Value, repairs: Repairs, expected: &Value) {
    let expected = (events(&expected["events"]), retry(&expected["retry"]));
    for sizes in sizes(case) {
        let parsed = decode(&cut(&body(case), &sizes), repairs);
        let found: (Vec<MessageEvent>, _) = (parsed.events, parsed.retry);
        assert_eq!(found, expected, "{} with {repairs}, cut at {sizes:?}", case["name"]);
    }
}

/// The cases that a policy holds for and whose bytes are an event stream without more ado: no
/// content coding, no other encoding.
fn plain(policy: &str) -> Vec<Value> {
    let has_coding = |case: &Value| header(case, "Content-Encoding").is_some();
    let is_transcoded = |case: &Value| case["proxy"]["repair"] == "transcode";
    let mut cases = cases("legacy.jsonl");
    cases.retain(|case| case["proxy"]["policy"] == policy);
    cases.retain(|case| !has_coding(case) && !is_transcoded(case));
    assert!(!cases.is_empty());
    cases
}

fn header<'a>(case: &'a Value, name: &str) -> Option<&'a str> {
    let headers = case["headers"].as_array().expect("headers");
    headers.iter().find(|header| header[0] == name)?[1].as_str()
}

/// The bytes of the body, as far as its declared length.
fn body(case: &Value) -> Vec<u8> {
    let mut bytes = bytes(case);
    if let Some(length) = header(case, "Content-Length") {
        bytes.truncate(length.parse().expect("a length"));
    }
    bytes
}

fn opens_today(case: &Value) -> bool {
    case["browser_today"]["opens"] == true
}

#[test]
fn without_repairs_all_is_as_a_browser_gets_it_today() {
    for case in ["safe", "opt-in", "never"].map(plain).concat() {
        if opens_today(&case) {
            assert_delivers(&case, Repairs::NONE, &case["browser_today"]);
        }
    }
}

#[test]
fn safe_repairs_change_nothing_that_is_opt_in() {
    for case in plain("opt-in") {
        if opens_today(&case) {
            assert_delivers(&case, Repairs::SAFE, &case["browser_today"]);
        }
    }
}

#[test]
fn safe_repairs_deliver_what_they_are_for() {
    for case in plain("safe") {
        assert_delivers(&case, Repairs::SAFE, &case["proxy"]["deliver"]);
        assert_delivers(&case, Repairs::LEGACY, &case["proxy"]["deliver"]);
    }
}

#[test]
fn legacy_repairs_deliver_what_they_are_for_and_nothing_else() {
    for case in plain("opt-in") {
        if case["proxy"]["in_legacy_profile"] == true {
            assert_delivers(&case, Repairs::LEGACY, &case["proxy"]["deliver"]);
        } else if opens_today(&case) {
            assert_delivers(&case, Repairs::LEGACY, &case["browser_today"]);
        }
    }
}

#[test]
fn what_must_never_be_touched_is_not() {
    for case in plain("never") {
        if opens_today(&case) {
            assert_delivers(&case, Repairs::LEGACY, &case["proxy"]["deliver"]);
        }
    }
}

/// Each case with the repairs that it names, and those alone.
#[test]
fn a_repair_works_by_its_name_alone() {
    let mut seen = Repairs::NONE;
    for case in plain("opt-in") {
        let names = case["proxy"]["repair"].as_str().expect("a repair");
        let Ok(repairs) = names.split('+').map(str::parse).collect::<Result<Repairs, _>>() else {
            continue;
        };
        // What is made where responses are forwarded shows there.
        if repairs.intersects(Repairs::ADD_IDS | Repairs::SOFTEN_5XX) {
            continue;
        }
        assert_delivers(&case, repairs, &case["proxy"]["deliver"]);
        seen |= repairs;
    }
    let opt_in = BY_BYTES.into_iter().collect::<Repairs>().without(Repairs::SAFE);
    assert!(seen.contains(opt_in), "cases for {seen} alone");
}
