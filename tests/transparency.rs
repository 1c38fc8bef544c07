//! What does not concern the proxy passes as if it were not there: real servers, asked directly and
//! through it.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};

use crate::plain::upload;
use crate::support::{
    Client, Echo, Ending, Proxy, RequestBody, Wire, at_once, fields, request, within,
};

/// What a client makes of an answer.
#[derive(Debug, PartialEq)]
struct Seen {
    status: StatusCode,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    ending: Ending,
    trailers: Vec<(String, Vec<u8>)>,
}

/// Fields that are this connection's, or whose change is announced: the proxy adds itself to `Via`,
/// and its sessions write the date.
const OUR_OWN: [&str; 5] = ["connection", "date", "keep-alive", "transfer-encoding", "via"];

fn listed(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let fields = headers.iter().filter(|(name, _)| !OUR_OWN.contains(&name.as_str()));
    let mut fields: Vec<_> =
        fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    fields.sort();
    fields
}

async fn seen(client: &Client, request: Request<RequestBody>) -> Seen {
    let mut response = client.send(request).await;
    let (body, ending) = response.rest().await;
    Seen {
        status: response.status,
        fields: listed(&response.headers),
        body,
        ending,
        trailers: response.trailers.as_ref().map(listed).unwrap_or_default(),
    }
}

/// Requests of all kinds.
fn requests() -> Vec<Request<RequestBody>> {
    let with = |method: &str, target: &str, headers: &[(&'static str, &str)]| {
        let mut request = request(method.parse().expect("a method"), target);
        *request.headers_mut() = fields(headers);
        request
    };
    let whole = |method: &str, target: &str, body: &'static str| {
        let body = http_body_util::Full::new(Bytes::from_static(body.as_bytes()));
        request(method.parse().expect("a method"), target).map(|_| body.boxed())
    };
    let pieces = || vec![Bytes::from_static(b"one,"), Bytes::from_static(b"two")];
    vec![
        with("GET", "/page", &[]),
        with("GET", "/page?a=%20b&c=[d]|e;f=~'(x)'&&g", &[]),
        with("HEAD", "/page", &[]),
        with("GET", "/page", &[("if-none-match", "\"v1\"")]),
        with("GET", "/page", &[("range", "bytes=0-9")]),
        with(
            "OPTIONS",
            "/api",
            &[("origin", "https://app.example"), ("access-control-request-method", "PUT")],
        ),
        with("DELETE", "/api", &[]),
        with("GET", "/moved", &[]),
        whole("POST", "/moved", "again"),
        with("GET", "/missing", &[]),
        with("PROPFIND", "/missing", &[]),
        whole("POST", "/echo", "with a length"),
        upload(Method::PUT, "/echo", pieces()),
        with("POST", "/count", &[]),
        with("GET", "/trailers", &[]),
        with("POST", "/trailers", &[("te", "trailers")]),
        with("GET", "/only-a-head", &[]),
        with("POST", "/only-a-head", &[]),
    ]
}

#[tokio::test]
async fn a_client_sees_what_it_would_see_without_the_proxy() {
    let echo = Echo::start().await;
    for (upstream, version) in echo.upstreams() {
        // As the origin answers in the version in which it is asked.
        let direct = match version {
            "2.0" => Client::h2(echo.tls()).await,
            _ => Client::h1(echo.plain()),
        };
        let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
        for through in proxy.clients().await {
            for (direct_request, request) in requests().into_iter().zip(requests()) {
                let what = format!("{} {}", request.method(), request.uri());
                let expected = seen(&direct, direct_request).await;
                let found = seen(&through, request).await;
                assert_eq!(found, expected, "{what} over {}, {upstream}", through.protocol());
            }
        }
    }
}

#[tokio::test]
async fn a_get_may_have_a_body() {
    let echo = Echo::start().await;
    for (upstream, _) in echo.upstreams() {
        let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
        let pieces = vec![Bytes::from_static(b"one,"), Bytes::from_static(b"two")];
        let answer = proxy.h2().await.send(upload(Method::GET, "/echo", pieces)).await;
        assert_eq!(answer.text().await, "one,two", "{upstream}");
        for body in [
            "Content-Length: 7\r\n\r\none,two",
            "Transfer-Encoding: chunked\r\n\r\n4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n",
        ] {
            let ask = format!("GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{body}");
            let answer = Wire::send(proxy.plain(), ask).await.rest_as_text().await;
            let echoed: String = answer.split("\r\n").skip_while(|line| !line.is_empty()).collect();
            let echoed: String =
                echoed.chars().filter(|it| it.is_alphabetic() || *it == ',').collect();
            assert_eq!(echoed, "one,two", "{answer}, {upstream}");
        }
    }
}

#[tokio::test]
async fn large_bodies_stream_both_ways_in_bounded_memory() {
    const MEGABYTES: usize = 48;
    let echo = Echo::start().await;
    for (upstream, _) in echo.upstreams() {
        let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
        let before = proxy.peak_memory();
        for client in proxy.clients().await {
            let pieces = vec![Bytes::from(vec![7; 1 << 20]); MEGABYTES];
            // There and back, at the same time.
            let mut answer = client.send(upload(Method::POST, "/echo", pieces)).await;
            let mut bytes = 0;
            while let Some(chunk) = answer.chunk().await {
                bytes += chunk.expect("an orderly end").len();
            }
            assert_eq!(bytes, MEGABYTES << 20, "{upstream}");
        }
        let grown = proxy.peak_memory() - before;
        assert!(grown < 32 << 20, "grown by {} KiB, {upstream}", grown >> 10);
    }
}

#[tokio::test]
async fn early_hints_reach_a_client_of_http_1() {
    let echo = Echo::start().await;
    let upstream = format!("upstream = \"http://{}\"", echo.plain());
    let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
    let ask = "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    let mut wire = Wire::send(proxy.plain(), ask).await;
    let hints = wire.text_until("\r\n\r\n").await.to_ascii_lowercase();
    assert!(hints.starts_with("http/1.1 103 "), "{hints}");
    assert!(hints.contains("link: </style.css>; rel=preload; as=style"), "{hints}");
    let head = wire.text_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn an_upload_may_wait_for_leave_of_any_origin() {
    let echo = Echo::start().await;
    for (upstream, _) in echo.upstreams() {
        let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
        let head = "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\
                    Content-Length: 4\r\nConnection: close\r\n\r\n";
        let mut wire = Wire::send(proxy.plain(), head).await;
        let leave = wire.text_until("\r\n\r\n").await;
        assert!(leave.starts_with("HTTP/1.1 100 "), "{leave}, {upstream}");
        wire.write("body").await;
        let answer = wire.rest_as_text().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}, {upstream}");
        assert!(answer.contains("body"), "{answer}, {upstream}");
    }
}

#[tokio::test]
async fn events_come_from_every_kind_of_origin() {
    let echo = Echo::start().await;
    for (upstream, version) in echo.upstreams() {
        for stream in ["private", "shared"] {
            let keys = format!("{upstream}\nstream = \"{stream}\"");
            let proxy = Proxy::with_upstream(echo.folder.clone(), &keys).await;
            for client in proxy.clients().await {
                // Not the same feed: who joins late has missed what this origin has to say.
                let target = format!("/events?{}", client.protocol());
                let mut stream = client.open(&target).await;
                let event = at_once("the first event", stream.data()).await;
                assert_eq!(event, format!("over HTTP/{version}"), "{upstream}");
            }
        }
    }
}

// More streams than an origin takes on one connection: the rest must not wait for them to end.
#[tokio::test]
async fn two_hundred_streams_come_from_one_http_2_origin() {
    let echo = Echo::start().await;
    let upstream = format!("upstream = \"h2c://localhost:{}\"", echo.ports.h2c);
    let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
    let mut streams = Vec::new();
    for client in proxy.clients().await {
        for _ in 0..100 {
            let mut stream = client.open("/events").await;
            within("the first event", stream.data()).await;
            streams.push(stream);
        }
    }
}

/// A body that the test writes as it goes.
fn open_ended(method: Method, target: &str) -> (Sender<Bytes>, Request<RequestBody>) {
    let (put, body) = Channel::new(1);
    (put, request(method, target).map(|_| body.boxed()))
}

// As gRPC has it: an answer that begins before its request has ended.
#[tokio::test]
async fn both_sides_talk_at_the_same_time() {
    let echo = Echo::start().await;
    for (upstream, _) in echo.upstreams() {
        let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
        for client in proxy.clients().await {
            let (mut put, ask) = open_ended(Method::POST, "/echo");
            // Node sends no head before there is a body.
            put.send_data(Bytes::from_static(b"zero")).await.expect("taken");
            let mut answer = client.send(ask).await;
            assert_eq!(answer.chunk().await.expect("more").expect("in order"), "zero");
            for word in ["one", "two", "three"] {
                put.send_data(Bytes::from_static(word.as_bytes())).await.expect("taken");
                let echoed = answer.chunk().await.expect("not the end").expect("in order");
                assert_eq!(echoed, word, "{} {upstream}", client.protocol());
            }
            drop(put);
            assert_eq!(answer.rest().await, (vec![], Ending::Orderly), "{upstream}");
        }
    }
}

#[tokio::test]
async fn a_connection_becomes_whatever_both_sides_want() {
    const LARGE: usize = 4 << 20;
    let echo = Echo::start().await;
    let http1 =
        |(upstream, version): &(String, &str)| *version == "1.1" || upstream.contains("https:");
    for (upstream, _) in echo.upstreams().iter().filter(|it| http1(it)) {
        let proxy = Proxy::with_upstream(echo.folder.clone(), upstream).await;
        for method in ["GET", "POST"] {
            for protocol in ["websocket", "tcp", "some/1.0"] {
                let ask = format!(
                    "{method} /attach HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
                     Upgrade: {protocol}\r\n\r\n"
                );
                let mut wire = Wire::send(proxy.plain(), ask).await;
                let head = wire.text_until("\r\n\r\n").await.to_ascii_lowercase();
                assert!(head.starts_with("http/1.1 101 "), "{head} {upstream}");
                assert!(head.contains(&format!("upgrade: {protocol}\r\n")), "{head} {upstream}");
                wire.read_until("hello").await;
                wire.write("how are you?").await;
                wire.read_until("how are you?").await;
            }
        }
        // Both ways at once, more than fits on the way.
        let ask = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
        let mut wire = Wire::send(proxy.plain(), ask).await;
        wire.read_until("hello").await;
        for _ in 0..LARGE >> 20 {
            wire.write(vec![b'.'; 1 << 18]).await;
            wire.write("|").await;
            wire.read_until("|").await;
        }
    }
}

// One client that reads nothing must not hold up the others on the origin's connection.
#[tokio::test]
async fn a_slow_client_stops_nobody_on_the_same_connection_to_an_origin() {
    let echo = Echo::start().await;
    let upstream = format!("upstream = \"h2c://localhost:{}\"", echo.ports.h2c);
    let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
    let mut lazy = Vec::new();
    for _ in 0..8 {
        let mut wire = Wire::connect_narrow(proxy.plain()).await;
        wire.write("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n").await;
        wire.read_until("data: ").await;
        lazy.push(wire);
    }
    for client in proxy.clients().await {
        let mut stream = client.open("/events").await;
        assert_eq!(stream.data().await, "over HTTP/2.0");
        let mut large = client.get("/echo-less").await;
        assert_eq!((large.status, large.rest().await.1), (StatusCode::NOT_FOUND, Ending::Orderly));
    }
    let connections = proxy.h1().get("/connections").await.text().await;
    assert!(connections.parse::<usize>().expect("a number") < 5, "{connections}");
}
