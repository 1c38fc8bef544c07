//! [`Mux`]: a multiplexed stream.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use sse_layer::MessageEvent;

use super::{Client, Response, Stream, fields, request};

/// A mux request for these feeds.
pub(crate) fn target(feeds: &[&str]) -> String {
    let encode = |feed: &&str| feed.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let names: Vec<_> = feeds.iter().map(|feed| format!("feed={}", encode(feed))).collect();
    format!("/.sse/mux?{}", names.join("&"))
}

/// Sends JSON.
pub(crate) async fn post(
    client: &Client,
    target: &str,
    json: &Value,
    headers: HeaderMap,
) -> Response {
    let mut request = request(Method::POST, target);
    *request.headers_mut() = headers;
    let json_type = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json_type);
    *request.body_mut() = Full::from(json.to_string()).boxed();
    client.send(request).await
}

/// A multiplexed stream, its control events told from the others.
pub(crate) struct Mux {
    pub(crate) stream: Stream,
}

impl Mux {
    /// Opens a stream of these feeds, and returns what `mux/open` says.
    pub(crate) async fn open(client: &Client, feeds: &[&str]) -> (Self, Value) {
        Self::open_with(client, feeds, HeaderMap::new()).await
    }

    pub(crate) async fn open_with(
        client: &Client,
        feeds: &[&str],
        headers: HeaderMap,
    ) -> (Self, Value) {
        let mut mux = Self { stream: client.open_with(&target(feeds), headers).await };
        let open = mux.control("mux/open").await;
        (mux, open)
    }

    /// Opens a stream by POST, as our client does.
    pub(crate) async fn post(client: &Client, json: &Value) -> (Self, Value) {
        Self::post_with(client, json, HeaderMap::new()).await
    }

    pub(crate) async fn post_with(
        client: &Client,
        json: &Value,
        headers: HeaderMap,
    ) -> (Self, Value) {
        let response = post(client, "/.sse/mux", json, headers).await;
        assert_eq!(response.status, StatusCode::OK);
        let mut mux = Self { stream: Stream::of(response) };
        let open = mux.control("mux/open").await;
        (mux, open)
    }

    pub(crate) async fn resume(client: &Client, feeds: &[&str], id: &str) -> (Self, Value) {
        Self::open_with(client, feeds, fields(&[("last-event-id", id)])).await
    }

    /// The data of the next event, which is this control event.
    pub(crate) async fn control(&mut self, event_type: &str) -> Value {
        let event = self.stream.event().await;
        assert_eq!(event.event_type, event_type, "{event:?}");
        serde_json::from_str(&event.data).expect("JSON")
    }

    /// Waits until a feed is told to be in this state, and returns all that is said of it.
    pub(crate) async fn state(&mut self, feed: &str, state: &str) -> Value {
        loop {
            let event = self.stream.event().await;
            assert_eq!(event.event_type, "mux/feed", "{event:?}");
            let said: Value = serde_json::from_str(&event.data).expect("JSON");
            if said["feed"] == feed && said["state"] == state {
                return said;
            }
        }
    }

    /// The next event that is of a feed.
    pub(crate) async fn event(&mut self) -> MessageEvent {
        loop {
            let event = self.stream.event().await;
            if !event.event_type.starts_with("mux/") {
                return event;
            }
        }
    }

    /// Types and data of the next so many events of feeds.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<(String, String)> {
        let mut events = Vec::new();
        for _ in 0..count {
            let event = self.event().await;
            events.push((event.event_type, event.data));
        }
        events
    }
}

/// What comes of feeds `a` and `b` in these pairs of name and data.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect()
}

/// A change to the stream that began with `open`: feeds to add, each from now on, and to remove.
/// Returns the status.
pub(crate) async fn change(client: &Client, open: &Value, add: &[&str], remove: &[&str]) -> u16 {
    let add: Vec<_> = add.iter().map(|feed| json!([feed, null])).collect();
    let json = json!({"add": add, "remove": remove});
    post(client, &change_target(open), &json, HeaderMap::new()).await.status.as_u16()
}

/// Where the stream that began with `open` is changed.
pub(crate) fn change_target(open: &Value) -> String {
    format!("/.sse/mux/{}", open["sid"].as_str().expect("a sid"))
}
