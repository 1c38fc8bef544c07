//! The corpus of servers that break the rules: without a repair a browser gets what it gets
//! today, with it what the repair promises, and what only looks broken is left alone.

use crate::corpus::{Observed, PATIENCE, Report, Seen, profiles, proxy};
use crate::support::{Case, Cases, Charsets, Client, Cut, case_events, case_retry, request};

/// Who asks for which cases, on which route.
struct Round<'a> {
    cases: &'a Cases,
    client: &'a Client,
    profile: &'a str,
    report: &'a mut Report,
}

impl Round<'_> {
    /// Every case that `concerns` this round must give what `expected` says.
    async fn expect(&mut self, concerns: impl Fn(&Case) -> bool, expected: fn(&Case) -> Seen) {
        let mut concerned = Case::all("legacy.jsonl");
        concerned.retain(concerns);
        assert!(!concerned.is_empty());
        for case in concerned {
            for cut in case.cuts() {
                self.expect_one(&case, cut, &expected(&case)).await;
            }
        }
    }

    async fn expect_one(&mut self, case: &Case, cut: Cut, expected: &Seen) {
        let what = format!("{} {} {cut:?} {}", case.name(), self.profile, self.client.protocol());
        let charsets = Charsets::Refused;
        let mut observed =
            Observed::new(self.cases, self.client, self.profile, case, cut, charsets);
        if self.profile != "off" && case.has("client_request_headers") {
            // A client that asked for no coding.
            observed = observed.without_codings();
        }
        let seen = observed.seen().await;
        self.report.expect(&what, &seen, expected);
    }

    /// Every case that `concerns` this round must be answered with the fields that it lists, and
    /// with none that are not for the client.
    async fn expect_fields(&mut self, concerns: impl Fn(&Case) -> bool) {
        for case in Case::all("legacy.jsonl").into_iter().filter(concerns) {
            let what = format!("{} {} {}", case.name(), self.profile, self.client.protocol());
            let target = Cases::target(self.profile, &case, Cut::Whole, "fields");
            let target = format!("{target}{}", self.client.protocol());
            let response = self.client.try_events(&target, Default::default()).await;
            let response = response.expect("an answer");
            self.report.expect(&what, &response.status.as_u16(), &200);
            let listed = case.at("/proxy/deliver/headers").as_object().expect("header fields");
            for (name, value) in listed {
                let expected = vec![value.as_str().expect("text")];
                self.report.expect(&what, &response.values(name), &expected);
            }
            for name in ["content-length", "content-encoding", "keep-alive", "proxy-connection"] {
                self.report.expect(&what, &response.values(name), &vec![]);
            }
        }
    }
}

fn today(case: &Case) -> Seen {
    Seen::expected(case.at("/browser_today"), case_retry(case.at("/browser_today/retry")))
}

fn delivered(case: &Case) -> Seen {
    let deliver = case.at("/proxy/deliver");
    let retry = case_retry(&deliver["retry"]);
    Seen {
        opens: true,
        events: case_events(&deliver["events"]),
        retry,
        reconnects: retry.is_none_or(|time| time <= PATIENCE),
    }
}

fn has_policy(policy: &'static str) -> impl Fn(&Case) -> bool {
    move |case| case.at("/proxy/policy") == policy
}

/// Whether `legacy` repairs it, and nothing that is safe does.
fn is_legacy(case: &Case) -> bool {
    case.at("/proxy/in_legacy_profile") == true
}

/// Whether a repair must be named for it.
fn is_by_name(case: &Case) -> bool {
    case.at("/proxy/in_legacy_profile") == false
}

/// Runs `round` with each kind of client on the route of each profile.
async fn rounds(names: &[&str], mut round: impl AsyncFnMut(&mut Round<'_>)) {
    let cases = Cases::of("legacy.jsonl");
    let proxy = proxy(&cases, &profiles()).await;
    let mut report = Report::default();
    for client in &proxy.clients().await {
        for profile in names {
            let (cases, report) = (&cases, &mut report);
            round(&mut Round { cases, client, profile, report }).await;
        }
    }
}

#[tokio::test]
async fn without_repairs_a_browser_gets_what_it_gets_today() {
    rounds(&["off"], async |round| round.expect(|_| true, today).await).await;
}

#[tokio::test]
async fn safe_repairs_deliver_what_they_promise() {
    rounds(&["safe", "legacy"], async |round| {
        round.expect(has_policy("safe"), delivered).await;
        round.expect_fields(has_policy("safe")).await;
    })
    .await;
}

#[tokio::test]
async fn legacy_repairs_deliver_what_they_promise() {
    rounds(&["legacy"], async |round| {
        round.expect(is_legacy, delivered).await;
        round.expect_fields(is_legacy).await;
    })
    .await;
}

#[tokio::test]
async fn what_must_be_asked_for_by_name_is_not_done_unasked() {
    rounds(&["safe", "legacy"], async |round| round.expect(is_by_name, today).await).await;
}

/// The repair that must be named for a case. Added ids have a test of their own, as the corpus
/// cannot say which.
fn named(case: &Case) -> Option<&str> {
    let name = case.at("/proxy/repair").as_str().filter(|_| is_by_name(case));
    name.filter(|name| *name != "add-ids")
}

/// The keys of a route that makes a repair. Other formats are converted, not mended.
fn keys(name: &str) -> String {
    match name {
        "ndjson" | "json-seq" | "lines" => format!("\"safe\"\nconvert = \"{name}\""),
        repair => format!("[\"{repair}\"]"),
    }
}

#[tokio::test]
async fn a_repair_that_is_named_delivers_what_it_promises() {
    let cases = Cases::of("legacy.jsonl");
    let all = Case::all("legacy.jsonl");
    let mut names: Vec<&str> = all.iter().filter_map(named).collect();
    names.dedup();
    assert!(names.len() > 5, "{names:?}");
    let routes: Vec<_> = names.iter().map(|name| (*name, keys(name))).collect();
    let proxy = proxy(&cases, &routes).await;
    let mut report = Report::default();
    for client in &proxy.clients().await {
        for profile in &names {
            let (cases, report) = (&cases, &mut report);
            let mut round = Round { cases, client, profile, report };
            round.expect(|case| named(case) == Some(profile), delivered).await;
        }
    }
}

#[tokio::test]
async fn what_must_never_be_touched_is_not() {
    rounds(&["off", "safe", "legacy"], async |round| {
        round.expect(has_policy("never"), today).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_stream_passes_byte_for_byte() {
    let cases = Cases::of("legacy.jsonl");
    let (proxy, direct) = (proxy(&cases, &profiles()).await, Client::h1(cases.origin.address));
    let mut passed = 0;
    for case in Case::all("legacy.jsonl") {
        if case.at("/proxy/policy") != "never" || case.at("/browser_today/opens") == true {
            continue;
        }
        for client in &proxy.clients().await {
            let who = client.protocol();
            let target = Cases::target("legacy", &case, Cut::Whole, who);
            let mut found = client.send(request(http::Method::GET, &target)).await;
            let mut expected = direct.get(&format!("{target}-direct")).await;
            assert_eq!(found.status, expected.status, "{} {who}", case.name());
            assert_eq!(found.values("content-type"), expected.values("content-type"));
            assert_eq!(found.rest().await, expected.rest().await, "{} {who}", case.name());
            passed += 1;
        }
    }
    assert!(passed > 0);
}
