//! The admin address: metrics, health, feeds, and the log.

use http::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Client, Mux, Origin, Proxy, eventually, fields, request};

const ADMIN: &str = "\n[admin]\naddress = \"127.0.0.1:0\"\n";

/// The program before `origin`, with an admin address.
pub(crate) async fn proxy(origin: &Origin, keys: &str) -> Proxy {
    Proxy::start(&(Proxy::config(origin, keys) + ADMIN)).await
}

/// Waits until this line is among the metrics.
pub(crate) async fn has_metric(admin: &Client, line: &str) {
    eventually(line, async || {
        admin.get("/metrics").await.text().await.lines().any(|found| found == line)
    })
    .await;
}

/// The only feed at this path.
async fn feed(admin: &Client, path: &str) -> Value {
    let text = admin.get("/api/feeds").await.text().await;
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let mut feeds = all.as_array().expect("an array").iter().filter(|feed| feed["path"] == path);
    let (one, None) = (feeds.next(), feeds.next()) else { panic!("{path} is not once in {all}") };
    one.cloned().unwrap_or_default()
}

#[tokio::test]
async fn how_long_an_event_is_on_its_way_is_known_of_all_kinds_of_readers_and_not_of_history() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "stream = \"shared\"").await;
    let admin = proxy.admin();
    let client = proxy.h2().await;
    let (mut alone, mut exchange) = client.open_from(&origin, "/feed").await;
    exchange.send("id: 1\ndata: 1\n\n").await;
    assert_eq!(alone.data().await, "1");
    exchange.send("id: 2\ndata: 2\n\n").await;
    assert_eq!(alone.data().await, "2");
    has_metric(&admin, "sse_delivery_seconds_count 2").await;
    drop(alone);
    let mut back = client.resume("/feed", "1").await;
    assert_eq!(back.data().await, "2");
    drop(back);
    has_metric(&admin, "sse_readers 0").await;
    let (mut mux, _) = Mux::open(&client, &["/feed"]).await;
    exchange.send("data: 3\n\n").await;
    mux.events(1).await;
    has_metric(&admin, "sse_delivery_seconds_count 3").await;
}

#[tokio::test]
async fn what_happens_to_a_shared_feed_is_counted() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "stream = \"shared\"\nrepair = \"legacy\"").await;
    let admin = proxy.admin();
    let (mut one, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let mut other = proxy.h2().await.open("/feed").await;
    has_metric(&admin, "sse_readers 2").await;
    has_metric(&admin, "sse_feeds 1").await;
    exchange.send("Event: a\nID: 1\nData: 1\n\ndata: 2\nid: 2\n\n").await;
    for reader in [&mut one, &mut other] {
        assert_eq!(reader.data_of(2).await, ["1", "2"]);
    }
    for line in [
        "sse_events_total{route=\"/*\",direction=\"in\"} 2",
        "sse_events_total{route=\"/*\",direction=\"out\"} 4",
        "sse_repairs_total{route=\"/*\",repair=\"field-case\"} 1",
        "sse_time_to_first_event_seconds_count 2",
    ] {
        has_metric(&admin, line).await;
    }
    drop(one);
    has_metric(&admin, "sse_closed_total{reason=\"left\"} 1").await;
    let _back = proxy.h1().resume("/feed", "1").await;
    let mut stranger = proxy.h1().resume("/feed", "unheard of").await;
    stranger.text_until(": gap").await;
    has_metric(&admin, "sse_gaps_total 1").await;
    has_metric(&admin, "sse_resumes_total{result=\"gap\"} 1").await;
    has_metric(&admin, "sse_resumes_total{result=\"history\"} 1").await;
    exchange.kill();
    has_metric(&admin, "sse_origin_reconnects_total 1").await;
    let feed = feed(&admin, "/feed").await;
    assert_eq!(feed["readers"], 3, "{feed}");
    assert_eq!(feed["stream"], "shared");
    assert_eq!(feed["gaps"], 1);
    assert_eq!(feed["repairs"], serde_json::json!(["cache-control", "field-case"]));
    assert!(feed["last_error"].as_str().is_some(), "{feed}");
}

#[tokio::test]
async fn every_reader_of_a_feed_is_counted_whoever_reads_for_him() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "stream = \"shared\"").await;
    let admin = proxy.admin();
    let (first, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let mut readers = vec![first];
    let many = proxy.h2().await;
    for _ in 0..6 {
        readers.push(proxy.h1().open("/feed").await);
        readers.push(many.open("/feed").await);
    }
    let _mux = Mux::open(&proxy.h1(), &["/feed"]).await;
    let count = async |expected: usize| {
        eventually("all are counted", async || feed(&admin, "/feed").await["readers"] == expected)
            .await;
    };
    count(14).await;
    exchange.send("data: 1\n\n").await;
    for reader in &mut readers {
        assert_eq!(reader.data().await, "1");
    }
    count(14).await;
    readers.truncate(4);
    count(5).await;
}

#[tokio::test]
async fn a_private_stream_is_counted_too_and_its_secrets_are_not_shown() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    let target = "/feed?token=hush-hush&room=7";
    let headers = fields(&[("authorization", "Bearer hush-hush"), ("cookie", "s=hush-hush")]);
    let client = proxy.h1();
    let (mut stream, mut exchange) =
        tokio::join!(client.open_with(target, headers), origin.opened("/feed"));
    exchange.send("Data: x\n\ndata: y\n\n").await;
    assert_eq!(stream.data().await, "y");
    has_metric(&admin, "sse_delivery_seconds_count 1").await;
    let feed = feed(&admin, "/feed?token&room").await;
    assert_eq!((&feed["readers"], &feed["origin"]), (&1.into(), &"open".into()), "{feed}");
    assert_eq!(feed["hints"], serde_json::json!(["field-case"]), "what would mend it is told");
    proxy.logged("repair = \"legacy\" would mend it").await;
    drop(stream);
    proxy.logged("stream closed").await;
    has_metric(&admin, "sse_readers 0").await;
    eventually("what was wrong is remembered", async || {
        self::feed(&admin, "/feed?token&room").await["origin"] == "gone"
    })
    .await;
    let log = proxy.log();
    assert!(log.contains("stream opened"), "{log}");
    assert!(log.contains("events=1 bytes=") && log.contains("reason=\"left\""), "{log}");
    let all = log + &admin.get("/metrics").await.text().await;
    assert!(!all.contains("hush-hush"), "{all}");
}

#[tokio::test]
async fn a_private_feed_on_a_multiplexed_stream_is_told_of_as_private() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    let (_mux, _) = Mux::open(&proxy.h1(), &["/mine"]).await;
    let _exchange = origin.opened("/mine").await;
    eventually("it is open", async || feed(&admin, "/mine").await["origin"] == "open").await;
    let feed = feed(&admin, "/mine").await;
    assert_eq!((&feed["stream"], &feed["readers"]), (&"private".into(), &1.into()), "{feed}");
}

#[tokio::test]
async fn it_is_healthy_and_ready_until_it_is_asked_to_drain() {
    let origin = Origin::start();
    let mut proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    // The process waits for an answer to a POST.
    let (response, mut exchange) =
        tokio::join!(async { proxy.h1().send(request(Method::POST, "/chat")).await }, async {
            origin.opened("/chat").await
        });
    let status = async |target| admin.get(target).await.status;
    assert_eq!(status("/healthz").await, StatusCode::OK);
    assert_eq!(status("/readyz").await, StatusCode::OK);
    assert_eq!(status("/nothing").await, StatusCode::NOT_FOUND);
    assert_eq!(status("/api/drain").await, StatusCode::METHOD_NOT_ALLOWED);

    let mut from_a_page = request(Method::POST, "/api/drain");
    from_a_page.headers_mut().extend(fields(&[("origin", "https://evil.example")]));
    assert_eq!(admin.send(from_a_page).await.status, StatusCode::FORBIDDEN);
    assert_eq!(status("/readyz").await, StatusCode::OK);

    let asked = admin.send(request(Method::POST, "/api/drain")).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    eventually("it is not ready", async || {
        status("/readyz").await == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(status("/healthz").await, StatusCode::OK);
    exchange.end().await;
    assert_eq!(response.text().await, "");
    assert!(proxy.exit().await.success());
}

#[tokio::test]
async fn there_is_no_admin_address_unless_one_is_configured() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    assert!(!proxy.log().contains("admin"));
}

#[tokio::test]
async fn the_page_watches_a_stream_of_our_own() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    for (path, content_type) in
        [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")]
    {
        let response = admin.get(path).await;
        assert!(response.values("content-type")[0].starts_with(content_type), "{path}");
        assert_eq!(response.values("content-security-policy").len(), 1, "{path}");
    }
    let (_stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("Data: x\n\n").await;
    proxy.logged("would mend it").await;
    let mut live = admin.open("/api/live").await;
    let state: Value = serde_json::from_str(&live.data().await).expect("JSON");
    assert_eq!((&state["readers"], &state["draining"]), (&1.into(), &false.into()), "{state}");
    let feed = &state["feeds"][0];
    assert_eq!((&feed["path"], &feed["set"]), (&"/feed".into(), &"\"legacy\"".into()), "{state}");
    live.data().await;
}
