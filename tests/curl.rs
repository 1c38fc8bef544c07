//! A client that is nobody's model: curl.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::{Origin, Proxy, at_once, within};

/// curl, reading. Killed when dropped.
struct Curl {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Curl {
    fn get(args: &[&str], url: &str) -> Self {
        let mut child = Command::new("curl")
            .args(["--silent", "--no-buffer", "--insecure", "--include"])
            .args(args)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("curl is installed");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { _child: child, lines }
    }

    /// The lines up to and with this one.
    async fn until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            let line = within(last, self.lines.next_line()).await.expect("text");
            lines.push(line.unwrap_or_else(|| panic!("no {last:?} in {lines:?}")));
        }
        lines
    }
}

/// curl reads a stream as it comes, and when it goes, the origin's stream goes too.
async fn reads_a_stream(args: &[&str], url: &str, status_line: &str, origin: &Origin) {
    let mut curl = Curl::get(args, &format!("{url}/feed"));
    let mut exchange = origin.opened("/feed").await;
    // curl shows the head when it has something of the body to show.
    exchange.send("data: first\n\n").await;
    let head = curl.until("data: first").await;
    assert_eq!(head.first().map(|line| line.trim_end()), Some(status_line));
    for n in 0..3 {
        exchange.send(format!("id: {n}\ndata: {n}\n\n")).await;
        curl.until(&format!("data: {n}")).await;
    }
    drop(curl);
    at_once("curl has gone", exchange.gone()).await;
}

#[tokio::test]
async fn curl_reads_a_stream_over_every_protocol() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let (plain, tls) = (format!("http://{}", proxy.plain()), format!("https://{}", proxy.tls()));
    reads_a_stream(&["--http1.1"], &plain, "HTTP/1.1 200 OK", &origin).await;
    reads_a_stream(&["--http1.1"], &tls, "HTTP/1.1 200 OK", &origin).await;
    reads_a_stream(&["--http2"], &tls, "HTTP/2 200", &origin).await;
    reads_a_stream(&["--http2", "--tls-max", "1.2"], &tls, "HTTP/2 200", &origin).await;
}

#[tokio::test]
async fn curl_reads_many_feeds_on_one_stream() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let url = format!("https://{}/.sse/mux?feed=/a&feed=/b", proxy.tls());
    let mut curl = Curl::get(&["--http2"], &url);
    let mut a = origin.opened("/a").await;
    let mut b = origin.opened("/b").await;
    a.send("event: tick\ndata: from a\n\n").await;
    let lines = curl.until("data: from a").await;
    assert!(lines.contains(&"event: /a#tick".to_owned()), "{lines:?}");
    b.send("data: from b\n\n").await;
    let lines = curl.until("data: from b").await;
    assert!(lines.contains(&"event: /b".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn curl_resumes_a_multiplexed_stream_by_its_last_id() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let url = format!("http://{}/.sse/mux?feed=/a&feed=/b", proxy.plain());
    let mut curl = Curl::get(&[], &url);
    let (mut a, _b) = (origin.opened("/a").await, origin.opened("/b").await);
    a.send("id: a1\ndata: one\n\n").await;
    let lines = curl.until("data: one").await;
    let id = lines.iter().rev().find_map(|line| line.strip_prefix("id: ")).expect("an id");
    let last = format!("last-event-id: {id}");
    assert!(id.ends_with(" a1"), "{id}");
    // Killed, it says nothing to the proxy before it is gone.
    drop(curl);
    a.send("id: a2\ndata: two\n\nid: a3\ndata: three\n\n").await;

    let mut curl = Curl::get(&["--header", &last], &url);
    let missed = curl.until("data: three").await;
    let data: Vec<_> = missed.iter().filter(|line| line.starts_with("data: t")).collect();
    assert_eq!(data, ["data: two", "data: three"], "each once and in order");
    assert!(missed.iter().all(|line| !line.contains("mux/gap")), "{missed:?}");
}
