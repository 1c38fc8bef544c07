use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::Instant,
};

use super::{
    Origin, cut_time,
    feeds::{Events, Feeds, Refused},
    samples::FEEDS,
};

fn feeds() -> Feeds {
    Feeds::new(SocketAddr::from(([127, 0, 0, 1], 7400)))
}

/// The next event's text; `None` when the stream has broken off.
async fn next(events: &mut Events) -> Option<String> {
    let frame = events.frame().await.expect("never a clean end").ok()?;
    let bytes = frame.into_data().expect("no trailers");
    Some(String::from_utf8(bytes.to_vec()).expect("text"))
}

fn sent(feeds: &Feeds, now: Instant, url: &str) -> Value {
    feeds.status(now)["urls"][url]["sent"].clone()
}

#[tokio::test]
async fn an_event_is_written_as_legacy_servers_do() {
    let (feeds, now) = (feeds(), Instant::now());
    let mut events = feeds.open("prices", "/feed/prices", now).expect("opens");
    feeds.tick(now + Duration::from_millis(200));
    let block = next(&mut events).await.expect("an event");
    let data = block
        .strip_prefix("Event: update\nID: 1\nData: ")
        .and_then(|rest| rest.strip_suffix("\n\n"))
        .expect("three capitalised fields and a blank line");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["n"], 1);
    assert!(data["price"].is_number() && data["at"].is_u64(), "{data}");
}

#[tokio::test]
async fn each_url_counts_for_itself_and_only_while_it_is_read() {
    let (feeds, mut now) = (feeds(), Instant::now());
    let beat = Duration::from_secs(2);
    let mut one = feeds.open("chat", "/feed/chat", now).expect("opens");
    let mut two = feeds.open("chat", "/feed/chat", now).expect("opens");
    let direct = feeds.open("chat", "/feed/chat?direct", now).expect("opens");
    now += beat;
    feeds.tick(now);
    assert_eq!(next(&mut one).await, next(&mut two).await, "one event for all of a URL");
    drop(direct);
    now += beat;
    feeds.tick(now);
    assert_eq!(sent(&feeds, now, "/feed/chat"), 2);
    assert_eq!(sent(&feeds, now, "/feed/chat?direct"), 1);
}

#[tokio::test]
async fn a_cut_breaks_streams_off_and_the_count_goes_on_afterwards() {
    let (feeds, mut now) = (feeds(), Instant::now());
    let down = Duration::from_secs(3);
    let mut events = feeds.open("builds", "/feed/builds", now).expect("opens");
    now += down;
    feeds.tick(now);
    feeds.cut(now, down);
    assert_eq!(feeds.open("builds", "/feed/builds", now).err(), Some(Refused::Down));
    assert!(next(&mut events).await.is_some(), "what was counted as sent is sent");
    assert_eq!(next(&mut events).await, None);

    now += down;
    let mut events = feeds.open("builds", "/feed/builds", now).expect("is back");
    now += down;
    feeds.tick(now);
    assert!(next(&mut events).await.expect("an event").contains("\nID: 2\n"));
}

#[test]
fn everything_is_bounded() {
    let (feeds, now) = (feeds(), Instant::now());
    assert_eq!(feeds.open("nothing", "/feed/nothing", now).err(), Some(Refused::Unknown));
    let long = format!("/feed/chat?{}", "x".repeat(300));
    assert_eq!(feeds.open("chat", &long, now).err(), Some(Refused::Full));

    let open: Vec<_> =
        (0..256).map(|_| feeds.open("chat", "/feed/chat", now).expect("opens")).collect();
    assert_eq!(feeds.open("chat", "/feed/chat", now).err(), Some(Refused::Full));
    drop(open);
    for n in 1..256 {
        drop(feeds.open("chat", &format!("/feed/chat?{n}"), now).expect("opens"));
    }
    assert_eq!(feeds.open("chat", "/feed/chat?more", now).err(), Some(Refused::Full));
}

#[tokio::test]
async fn a_reader_that_stopped_reading_is_dropped() {
    let (feeds, mut now) = (feeds(), Instant::now());
    let events = feeds.open("prices", "/feed/prices", now).expect("opens");
    for _ in 0..65 {
        now += Duration::from_secs(1);
        feeds.tick(now);
    }
    assert_eq!(feeds.status(now)["urls"]["/feed/prices"]["connections"], 0);
    drop(events);
}

#[test]
fn feeds_differ() {
    let names: BTreeSet<_> = FEEDS.iter().map(|feed| feed.name).collect();
    let intervals: BTreeSet<_> = FEEDS.iter().map(|feed| feed.every).collect();
    assert_eq!((names.len(), intervals.len()), (12, 12));
    for feed in &FEEDS {
        assert!((300..=1200).contains(&feed.every.as_millis()), "{feed:?}");
        assert!((feed.sample)(u64::MAX >> 1).is_object(), "{feed:?}");
    }
}

#[test]
fn only_a_sensible_time_is_a_cut() {
    assert_eq!(cut_time(None), Some(Duration::from_secs(3)));
    assert_eq!(cut_time(Some("a=b&seconds=0.5")), Some(Duration::from_millis(500)));
    for wrong in ["seconds=-1", "seconds=61", "seconds=NaN", "seconds=inf", "seconds=", "seconds=x"]
    {
        assert_eq!(cut_time(Some(wrong)), None, "{wrong}");
    }
}

struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve() -> Served {
    let origin = Origin::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("binds");
    Served { address: origin.local_addr(), task: tokio::spawn(origin.serve()) }
}

impl Served {
    async fn ask(&self, request: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).await.expect("connects");
        let request = format!("{request} HTTP/1.1\r\nHost: origin\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("writes");
        socket
    }

    /// The answer's bytes up to and with `end`, or up to its last.
    async fn answer(&self, request: &str, end: &str) -> String {
        let mut socket = self.ask(request).await;
        read_to(&mut socket, end).await
    }
}

async fn read_to(socket: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
    }
    text
}

#[tokio::test]
async fn a_stream_over_the_wire() {
    let served = serve().await;
    let text = served.answer("GET /feed/prices", "\n\n").await;
    for line in [
        "HTTP/1.1 200 OK\r\n",
        "Content-Type: text/event-stream\r\n",
        "Cache-Control: no-cache\r\n",
        "Connection: keep-alive\r\n",
        "Access-Control-Allow-Origin: *\r\n",
        "Event: update\nID: 1\nData: {",
    ] {
        assert!(text.contains(line), "{line:?} in {text:?}");
    }
}

#[tokio::test]
async fn a_cut_over_the_wire() {
    let served = serve().await;
    let mut stream = served.ask("GET /feed/prices").await;
    assert!(read_to(&mut stream, "ID: 1\n").await.contains("ID: 1\n"));
    let cut = served.answer("POST /cut?seconds=60", "\r\n\r\n").await;
    assert!(cut.starts_with("HTTP/1.1 204 "), "{cut:?}");
    let rest = read_to(&mut stream, "0\r\n\r\n").await;
    assert!(!rest.contains("0\r\n\r\n"), "no clean end: {rest:?}");
    assert_eq!(served.answer("GET /feed/prices", "\n").await, "", "no answer at all");
    assert!(served.answer("GET /status", "}}").await.contains("\"up\":false"));
}

#[tokio::test]
async fn anything_else_over_the_wire() {
    let served = serve().await;
    for (request, status) in [
        ("GET /", "200"),
        ("HEAD /", "200"),
        ("GET /style.css", "200"),
        ("GET /app.js", "200"),
        ("POST /", "405"),
        ("GET /cut", "405"),
        ("POST /cut?seconds=nonsense", "400"),
        ("POST /feed/chat", "405"),
        ("GET /feed/nothing", "404"),
        ("GET /feed/", "404"),
        ("GET /nothing", "404"),
        ("OPTIONS *", "404"),
    ] {
        let answer = served.answer(request, "\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer:?}");
    }
}
