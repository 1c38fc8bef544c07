//! How streams come back: by the rules of `EventSource`.

use std::time::Duration;

use crate::listener::{Asked, answering};
use crate::rig::load;

/// Ends in the middle of an event, whose id does not count.
const ENDS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
    retry: 200\nid: seven\ndata: 1\n\nid: eight\ndata: 2\n";
const STAYS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: stays\n\n";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const A_PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\nretry: 1\n\n";

fn asked(answers: &'static [&'static str], options: &str) -> (Vec<Asked>, [i64; 4]) {
    let (address, asked) = answering(answers);
    let outcome = load(&format!("http://{address}/"), &format!("-n 1 -d 1 {options}"));
    let asked = asked.lock().expect("no other test's").clone();
    (asked, outcome.counts(["opened", "ended", "reopened", "refused"]))
}

pub fn a_stream_that_ends_comes_back_with_its_last_id_after_the_time_told() {
    let (asked, counts) = asked(&[ENDS, STAYS], "-H X-Test:yes");
    assert_eq!(counts, [2, 1, 1, 0]);
    let [first, second] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(!first.head.contains("last-event-id"), "{}", first.head);
    assert!(second.head.contains("last-event-id: seven\r\n"), "{}", second.head);
    assert!(second.head.contains("x-test: yes\r\n"), "{}", second.head);
    assert!(second.at - first.at >= Duration::from_millis(190), "{:?}", second.at - first.at);
}

pub fn without_resumption_no_id_is_sent() {
    let (asked, _) = asked(&[ENDS, STAYS], "--no-resume");
    assert_eq!(asked.len(), 2);
    assert!(!asked[1].head.contains("last-event-id"), "{}", asked[1].head);
}

pub fn what_is_refused_does_not_come_back() {
    for answer in [&[NO_CONTENT], &[A_PAGE]] {
        let (asked, counts) = asked(answer, "");
        assert_eq!((asked.len(), counts), (1, [0, 0, 0, 1]));
    }
}
