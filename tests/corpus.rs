//! The corpus through the running proxy: what browsers make of a stream is what they make of it
//! behind the proxy, and what a repair promises is what they get.

use std::fmt::Debug;
use std::time::Duration;

use serde_json::Value;
use sse_layer::MessageEvent;

use crate::support::{
    Case, Cases, Charsets, Client, Cut, EventSource, Head, LISTENERS, Proxy, State, case_events,
    case_retry,
};

/// More connections than any case is about.
const ENOUGH: usize = 5;

/// A browser that is told to wait longer is not waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The profiles of repairs, each with a route of its name.
pub(crate) fn profiles() -> Vec<(&'static str, String)> {
    ["off", "safe", "legacy"].map(|profile| (profile, format!("\"{profile}\""))).to_vec()
}

/// A proxy with routes of these names and repairs.
pub(crate) async fn proxy(cases: &Cases, routes: &[(&str, String)]) -> Proxy {
    let mut config = String::from(LISTENERS);
    let upstream = cases.origin.url();
    for (name, repairs) in routes {
        config.push_str(&format!(
            "[[route]]\npath = \"/{name}/*\"\nupstream = \"{upstream}\"\nrepair = {repairs}\n"
        ));
    }
    Proxy::start(&config).await
}

/// What a browser makes of a case, from the first connection to when it gives up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) opens: bool,
    pub(crate) events: Vec<MessageEvent>,
    pub(crate) retry: Option<Duration>,
    pub(crate) reconnects: bool,
}

impl Seen {
    /// As the corpus writes it.
    pub(crate) fn expected(value: &Value, retry: Option<Duration>) -> Self {
        let is = |key: &str| value[key].as_bool().expect(key);
        let (opens, reconnects) = (is("opens"), is("reconnects"));
        Self { opens, events: case_events(&value["events"]), retry, reconnects }
    }
}

/// A case being observed by one client on one route.
pub(crate) struct Observed<'a> {
    cases: &'a Cases,
    case: &'a Case,
    target: String,
    source: EventSource<'a>,
}

impl<'a> Observed<'a> {
    pub(crate) fn new(
        cases: &'a Cases,
        client: &'a Client,
        profile: &str,
        case: &'a Case,
        cut: Cut,
        charsets: Charsets,
    ) -> Self {
        let target =
            Cases::target(profile, case, cut, &format!("{}{charsets:?}", client.protocol()));
        let source = EventSource::new(client, &target, charsets);
        Self { cases, case, target, source }
    }

    /// As a client that asks for no content coding.
    pub(crate) fn without_codings(mut self) -> Self {
        self.source = self.source.without_codings();
        self
    }

    pub(crate) async fn seen(&mut self) -> Seen {
        let (mut opens, mut events) = (false, Vec::new());
        for _ in 0..ENOUGH {
            match self.source.connect().await {
                State::Open => {
                    opens = true;
                    self.cases.seen.notify_one();
                    events.extend(self.source.rest().await);
                }
                State::Connecting => {}
                State::Closed => break,
            }
            if self.source.reconnection_time.is_some_and(|time| time > PATIENCE) {
                break;
            }
        }
        let reconnects = self.cases.requests(self.case, &self.target).len() > 1;
        Seen { opens, events, retry: self.source.reconnection_time, reconnects }
    }
}

/// All that is not as expected, so that one run tells everything.
#[derive(Default)]
pub(crate) struct Report(Vec<String>);

impl Report {
    pub(crate) fn expect<T: Debug + PartialEq>(&mut self, what: &str, found: &T, expected: &T) {
        if found != expected {
            self.0.push(format!("{what}\n     found {found:?}\n  expected {expected:?}"));
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "{} differences:\n{}", self.0.len(), self.0.join("\n"));
        }
    }
}

async fn every_stream_reads_the_same(profile: &str) {
    let cases = Cases::of("parse.jsonl");
    let proxy = proxy(&cases, &profiles()).await;
    let mut report = Report::default();
    for client in proxy.clients().await {
        for case in Case::all("parse.jsonl") {
            for cut in case.cuts() {
                let what = format!("{} {profile} {cut:?} {}", case.name(), client.protocol());
                let mut observed =
                    Observed::new(&cases, &client, profile, &case, cut, Charsets::Ignored);
                let seen = observed.seen().await;
                let expected = Seen {
                    opens: true,
                    events: case_events(case.at("/expect/events")),
                    retry: case_retry(case.at("/expect/retry")),
                    reconnects: seen.retry.is_none_or(|time| time <= PATIENCE),
                };
                report.expect(&what, &seen, &expected);
                let id = observed.source.last_event_id();
                report.expect(&what, &Some(id), &case.at("/expect/last_event_id").as_str());
                let again = cases.requests(&case, &observed.target).pop().expect("a request");
                let sent = case.text("last_event_id_header").map(str::as_bytes).map(<[u8]>::to_vec);
                if sent.is_some() {
                    report.expect(&what, &again.value("last-event-id"), &sent);
                }
            }
        }
    }
}

#[tokio::test]
async fn every_stream_reads_the_same_without_repairs() {
    every_stream_reads_the_same("off").await;
}

#[tokio::test]
async fn every_stream_reads_the_same_with_safe_repairs() {
    every_stream_reads_the_same("safe").await;
}

async fn every_response_is_left_as_it_is(profile: &str) {
    let cases = Cases::of("http.jsonl");
    let proxy = proxy(&cases, &profiles()).await;
    let mut report = Report::default();
    for client in proxy.clients().await {
        for case in Case::all("http.jsonl") {
            // Without its label nothing is a stream to a browser, and yet a missing label is safe
            // to add: the two corpora contradict each other, and the repair has the last word.
            if profile == "safe" && case.name() == "ct-missing" {
                continue;
            }
            for cut in case.cuts() {
                let what = format!("{} {profile} {cut:?} {}", case.name(), client.protocol());
                let mut observed =
                    Observed::new(&cases, &client, profile, &case, cut, Charsets::Ignored);
                let seen = observed.seen().await;
                let expected = Seen::expected(case.at("/expect"), seen.retry);
                if case.has("expect_headers") {
                    // The standard leaves open whether a stream without ids clears the last one
                    // (rule 44). The model carries it on, as Chromium does.
                    let events = case_events(case.at("/chromium/events"));
                    report.expect(&what, &seen, &Seen { events, ..expected });
                } else {
                    report.expect(&what, &seen, &expected);
                }
                expect_ids(&mut report, &what, &case, &cases.requests(&case, &observed.target));
            }
        }
    }
}

/// Asserts the `Last-Event-ID` of every reconnection, where the case says what it is.
fn expect_ids(report: &mut Report, what: &str, case: &Case, requests: &[Head]) {
    let expected: Vec<Value> = match (case.0.get("expect_header"), case.at("/chromium/headers")) {
        (Some(header), _) => vec![header.clone()],
        (None, Value::Array(headers)) => headers.clone(),
        (None, _) => return,
    };
    for (again, expected) in requests.iter().skip(1).zip(&expected) {
        let expected = expected.as_str().map(|id| id.as_bytes().to_vec());
        report.expect(what, &again.value("last-event-id"), &expected);
    }
    report.expect(what, &requests.len(), &(expected.len() + 1));
}

#[tokio::test]
async fn every_response_is_left_as_it_is_without_repairs() {
    every_response_is_left_as_it_is("off").await;
}

#[tokio::test]
async fn every_response_is_left_as_it_is_with_safe_repairs() {
    every_response_is_left_as_it_is("safe").await;
}

#[tokio::test]
async fn chromium_refuses_the_same_charsets_behind_the_proxy() {
    let cases = Cases::of("http.jsonl");
    let proxy = proxy(&cases, &profiles()).await;
    let client = proxy.h1();
    let mut report = Report::default();
    let mut refused = 0;
    for case in Case::all("http.jsonl") {
        if case.at("/chromium/opens") == false {
            let mut observed =
                Observed::new(&cases, &client, "off", &case, Cut::Whole, Charsets::Refused);
            let seen = observed.seen().await;
            report.expect(case.name(), &seen, &Seen::expected(case.at("/chromium"), None));
            refused += 1;
        }
    }
    assert!(refused > 0);
}
