//! [`Case`]: an entry of `tests/corpus`, and [`Cases`]: an origin that serves them.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sse_layer::MessageEvent;
use tokio::sync::Notify;

use super::{Exchange, Head, Origin};

/// What a redirect adds to a target.
const REDIRECTED: &str = "&redirected";

/// A body larger than this is not cut at every single byte.
const LARGE: usize = 64 << 10;

/// How the origin cuts a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Not at all, under the framing that the case asks for.
    Whole,
    /// At every byte, each in a chunk of its own.
    Bytes,
    /// As the case says, each piece in a chunk of its own.
    Given,
}

/// One entry of a corpus file.
pub(crate) struct Case(pub(crate) Value);

impl Case {
    /// All entries of a file.
    pub(crate) fn all(file: &str) -> Vec<Self> {
        let path = format!("{}/../tests/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect(&path);
        let cases = text.lines().map(|line| Self(serde_json::from_str(line).expect(line)));
        let cases: Vec<_> = cases.collect();
        assert!(cases.len() > 50, "{path} has {} cases", cases.len());
        cases
    }

    pub(crate) fn name(&self) -> &str {
        self.text("name").expect("a name")
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0[key].as_str()
    }

    /// The value at a path such as `/proxy/policy`.
    pub(crate) fn at(&self, path: &str) -> &Value {
        self.0.pointer(path).unwrap_or(&Value::Null)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    pub(crate) fn cuts(&self) -> Vec<Cut> {
        let mut cuts = vec![Cut::Whole];
        // Where the framing is the point, or there is no body, it is left alone.
        let is_open_ended = self.at("/status").as_u64().is_none_or(|status| status == 200)
            && !self.fields().iter().any(|(name, _)| name == "Content-Length");
        if is_open_ended {
            cuts.push(Cut::Bytes);
        }
        if self.has("chunks") {
            cuts.push(Cut::Given);
        }
        cuts
    }

    fn fields(&self) -> Vec<(String, String)> {
        match self.0.get("headers") {
            Some(fields) => serde_json::from_value(fields.clone()).expect("pairs"),
            None => vec![("Content-Type".to_owned(), "text/event-stream".to_owned())],
        }
    }

    fn sizes(&self, cut: Cut) -> Vec<usize> {
        match cut {
            Cut::Whole => vec![usize::MAX],
            // A hundred thousand chunks test nothing that a thousand do not.
            Cut::Bytes if body(&self.0).len() > LARGE => vec![97],
            Cut::Bytes => vec![1],
            Cut::Given => serde_json::from_value(self.0["chunks"].clone()).expect("sizes"),
        }
    }
}

/// The bytes of the body that `answer` describes.
fn body(answer: &Value) -> Vec<u8> {
    let coded = answer["bytes_b64"].as_str().expect("bytes_b64");
    BASE64_STANDARD.decode(coded).expect("base64")
}

/// A list of events as the corpus writes them.
pub(crate) fn events(list: &Value) -> Vec<MessageEvent> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let event = |event: &Value| MessageEvent {
        event_type: text(&event["type"]),
        data: text(&event["data"]),
        last_event_id: text(&event["id"]),
    };
    list.as_array().expect("a list of events").iter().map(event).collect()
}

/// A reconnection time as the corpus writes it.
pub(crate) fn retry(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_millis)
}

/// An origin that serves the cases of a file at `/ANYTHING/NAME/CUT`. Who has had all that a case
/// has to say gets 204.
pub(crate) struct Cases {
    pub(crate) origin: Origin,
    /// Lets the body follow the head, where a case wants the head to be seen first.
    pub(crate) seen: Arc<Notify>,
}

struct Script {
    cases: HashMap<String, Case>,
    /// How many requests each target has had.
    counts: Mutex<HashMap<String, usize>>,
    seen: Arc<Notify>,
}

impl Cases {
    pub(crate) fn of(file: &str) -> Self {
        let cases = Case::all(file).into_iter().map(|case| (case.name().to_owned(), case));
        let seen = Arc::new(Notify::new());
        let script = Arc::new(Script {
            cases: cases.collect(),
            counts: Mutex::default(),
            seen: Arc::clone(&seen),
        });
        let origin = Origin::scripted(move |exchange| Arc::clone(&script).answer(exchange));
        Self { origin, seen }
    }

    /// Where a case is served. What differs in `who` is another client with a start of its own.
    pub(crate) fn target(route: &str, case: &Case, cut: Cut, who: &str) -> String {
        format!("/{route}/{}/{cut:?}?{who}", case.name())
    }

    /// The requests for a target so far, or for where it redirects to.
    pub(crate) fn requests(&self, case: &Case, target: &str) -> Vec<Head> {
        let suffix = if case.has("redirect") { REDIRECTED } else { "" };
        let mut heads = self.origin.heads();
        heads.retain(|head| head.target().strip_suffix(suffix) == Some(target));
        heads
    }
}

impl Script {
    async fn answer(self: Arc<Self>, exchange: Exchange) {
        let head = exchange.head.clone();
        let mut parts = head.path().split('/').skip(2);
        let (Some(name), Some(cut)) = (parts.next(), parts.next()) else { return };
        let Some(case) = self.cases.get(name) else { return };
        let cuts = [Cut::Whole, Cut::Bytes, Cut::Given];
        let cut = cuts.into_iter().find(|known| format!("{known:?}") == cut).expect("a cut");
        if case.has("redirect") && !head.target().ends_with(REDIRECTED) {
            let field = format!("Location: {}{REDIRECTED}\r\n", head.target());
            return end(exchange, &case.0["redirect"], &field).await;
        }
        match self.count(head.target()).checked_sub(usize::from(case.has("drop_first"))) {
            None => {}
            Some(0) => self.serve(exchange, case, &case.0, case.sizes(cut), cut).await,
            Some(1) if case.has("second") => {
                self.serve(exchange, case, &case.0["second"], vec![usize::MAX], Cut::Whole).await;
            }
            Some(_) => end(exchange, &Value::from(204), "").await,
        }
    }

    /// How many requests this target has had before.
    fn count(&self, target: &str) -> usize {
        let mut counts = self.counts.lock().expect("not poisoned");
        let count = counts.entry(target.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    async fn serve(
        &self,
        mut exchange: Exchange,
        case: &Case,
        answer: &Value,
        sizes: Vec<usize>,
        cut: Cut,
    ) {
        let status = answer["status"].as_u64().unwrap_or(200);
        let chunked = cut != Cut::Whole || case.text("framing") == Some("chunked");
        let mut head = format!("HTTP/1.1 {status} {}\r\n", case.text("reason").unwrap_or("Any"));
        for (name, value) in case.fields() {
            write!(head, "{name}: {value}\r\n").expect("a string");
        }
        head.push_str(if chunked { "Transfer-Encoding: chunked\r\n\r\n" } else { "\r\n" });
        exchange.raw(head).await;
        if case.has("slow") {
            self.seen.notified().await;
        }
        let body = body(answer);
        if chunked {
            exchange.raw(chunks(&body, &sizes)).await;
        } else {
            exchange.raw(body).await;
        }
    }
}

/// Answers without a body, and closes.
async fn end(mut exchange: Exchange, status: &Value, fields: &str) {
    exchange.raw(format!("HTTP/1.1 {status} Any\r\n{fields}Connection: close\r\n\r\n")).await;
}

/// A body in chunks of these sizes, used round and round, with its last chunk.
fn chunks(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    for size in sizes.iter().cycle() {
        let (piece, later) = rest.split_at(rest.len().min(*size));
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        if piece.is_empty() {
            break;
        }
        rest = later;
    }
    out
}
