//! What is done to servers and streams, and what is told of it.

use crate::listener::answering;
use crate::rig::{certificate, fan_out, load, proxied, source};

/// One number is missing, one comes twice, and one too late.
const WRONG: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
    data: 1 0 x\n\ndata: 2 0 x\n\ndata: 2 0 x\n\ndata: 6 0 x\n\ndata: 5 0 x\n\n: stays\n\n";

/// Half of ten streams are cut off twice, and come back.
const STORMS: &str = "-n 10 --storm 0.5 --storm-every 0.6 -d 1.7";

pub fn what_is_lost_doubled_or_swapped_is_told() {
    let (address, _) = answering(&[WRONG]);
    let outcome = load(&format!("http://{address}/"), "-n 1 -d 0.2");
    assert!(!outcome.is_content);
    assert_eq!(outcome.counts(["lost", "doubled", "swapped"]), [2, 1, 1]);
}

pub fn storms_lose_nothing_where_streams_resume() {
    let source = source("--rate 50 --retry 100");
    let [plain, _] = proxied(source.address);
    for address in [source.address, plain] {
        let outcome = load(&format!("http://{address}/feed/0"), STORMS);
        outcome.assert_delivering();
        assert_eq!(outcome.counts(["ended", "reopened", "open", "gaps"]), [10, 10, 10, 0]);
    }
}

pub fn storms_lose_nothing_over_http2() {
    let source = source("--rate 50");
    let [_, tls] = proxied(source.address);
    let url = format!("https://localhost:{}/feed/0", tls.port());
    let h2 = format!("{STORMS} --h2 --streams-per-connection 3 --ca {}", certificate());
    let outcome = load(&url, &h2);
    outcome.assert_delivering();
    assert_eq!(outcome.counts(["ended", "reopened", "open", "gaps"]), [10, 10, 10, 0]);
}

pub fn storms_upon_a_bare_loop_are_borne_without_resumption() {
    let source = source("--rate 50 --retry 100");
    let reference = fan_out(source.address);
    let url = format!("http://{}/feed/0", reference.address);
    // It knows of no `retry:`, which only its own first event would have told it.
    let outcome = load(&url, "-n 10 --storm 0.5 --storm-every 0.2 -d 3.6 --no-resume");
    outcome.assert_delivering();
    assert!(outcome.figure("reopened") >= 5.0, "{}", outcome.figure("reopened"));
}

/// A hundred events of 8 KiB a second; a slow reader takes one in a second at most.
const HEAVY: &str = "--rate 100 --size 8192";

pub fn slow_readers_neither_count_nor_hold_others_up() {
    let source = source(HEAVY);
    let [plain, tls] = proxied(source.address);
    let secure = format!("https://localhost:{}", tls.port());
    for (address, more) in [
        (format!("http://{}", source.address), String::new()),
        (format!("http://{plain}"), String::new()),
        (secure, format!("--ca {}", certificate())),
    ] {
        let slow = format!("-n 6 --slow 2 --slow-rate 8192 -d 2 {more}");
        assert_only_four_are_quick(&format!("{address}/feed/0"), &slow);
    }
}

pub fn slow_readers_over_http2_do_not_hold_others_up() {
    let source = source(HEAVY);
    let [_, tls] = proxied(source.address);
    let url = format!("https://localhost:{}/feed/0", tls.port());
    let slow = format!("-n 6 --slow 2 --slow-rate 8192 -d 2 --h2 --ca {}", certificate());
    assert_only_four_are_quick(&url, &slow);
}

fn assert_only_four_are_quick(url: &str, options: &str) {
    let outcome = load(url, options);
    outcome.assert_delivering();
    // Four quick readers have what they are due, but for a machine that is busy; two more would
    // have half as much again.
    let due = 4.0 * 100.0;
    let got = outcome.figure("events_per_second");
    assert!(got > due / 4.0 && got < due * 1.2, "{url}: {got} events/s of {due}");
    assert!(outcome.timed("to_last") > 0, "{url}");
}

pub fn a_source_that_writes_as_much_as_is_taken_serves_all() {
    let source = source("--saturate");
    let url = format!("http://{}/feed/{{i}}", source.address);
    let outcome = load(&url, "-n 4 -d 0.5");
    outcome.assert_delivering();
    assert_eq!(outcome.timed("first_event"), 4);
    assert!(outcome.figure("events_per_read") > 2.0, "{}", outcome.figure("events_per_read"));
}
