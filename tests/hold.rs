//! `on_origin_error = "hold"`: an `EventSource` that never sees its origin fail.

use http::StatusCode;
use tokio::task::JoinSet;

use crate::support::{
    Client, Ending, Exchange, LISTENERS, Mux, Origin, Proxy, Stream, at_once, eventually, fields,
};

const HOLD: &str = "on_origin_error = \"hold\"";

/// The program before `origin`, with a shared and a private route that are held, and these keys.
async fn holding(upstream: &str, keys: &str) -> Proxy {
    let route = |path, stream| {
        format!(
            "[[route]]\npath = \"{path}/*\"\nupstream = \"{upstream}\"\n\
             stream = \"{stream}\"\n{HOLD}\n{keys}\n"
        )
    };
    let routes = route("/shared", "shared") + &route("/private", "private");
    Proxy::start(&format!("{LISTENERS}{routes}")).await
}

/// A client of each kind on each kind of route, and what it asks for.
async fn readers(proxy: &Proxy) -> Vec<(Client, String)> {
    let mut readers = Vec::new();
    for client in proxy.clients().await {
        for route in ["shared", "private"] {
            readers.push((client.clone(), format!("/{route}/{}", client.protocol())));
        }
    }
    readers
}

/// Runs `scenario` for each of the readers, all at the same time.
async fn each<F>(proxy: &Proxy, scenario: impl Fn(Client, String) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (client, path) in readers(proxy).await {
        running.spawn(scenario(client, path));
    }
    running.join_all().await;
}

/// A stream that began before its origin was heard.
async fn early(client: &Client, path: &str) -> Stream {
    let mut stream = client.open(path).await;
    let begin = stream.text_until("\n\n").await;
    let time = begin.strip_prefix("retry: ").and_then(|begin| begin.trim_end().parse().ok());
    assert!((2000..=4000_u32).contains(&time.expect(&begin)), "{begin}");
    assert!(stream.response.values("content-type")[0].starts_with("text/event-stream"));
    assert!(stream.response.values("cache-control")[0].contains("no-store"));
    stream
}

/// The last event that the proxy says it has.
fn asked_after(exchange: &Exchange) -> String {
    exchange.head.text("last-event-id").unwrap_or_default()
}

#[tokio::test]
async fn an_origin_that_is_down_at_first_is_waited_for() {
    let mut origin = Origin::start();
    origin.stop_listening().await;
    let proxy = holding(&origin.url(), "keep_alive = \"100ms\"").await;
    let mut open = Vec::new();
    for (client, path) in readers(&proxy).await {
        let mut stream = early(&client, &path).await;
        stream.text_until(":\n\n").await;
        open.push((stream, path));
    }
    let origin = origin.restarted();
    let mut exchanges = Vec::new();
    for (stream, path) in &mut open {
        let mut exchange = origin.opened(path).await;
        exchange.send("id: 1\ndata: up\n\n").await;
        assert_eq!(stream.data().await, "up", "{path}");
        exchanges.push(exchange);
    }
    proxy.logged("origin back").await;
    assert_eq!(proxy.log().matches("origin gone").count(), 4, "each is told once");
}

#[tokio::test]
async fn an_origin_whose_name_is_unknown_is_waited_for() {
    let proxy = holding("http://nowhere.invalid", "keep_alive = \"100ms\"").await;
    for (client, path) in readers(&proxy).await {
        let mut stream = early(&client, &path).await;
        stream.text_until(":\n\n").await;
    }
    proxy.logged("cannot connect").await;
}

#[tokio::test]
async fn a_restart_of_the_origin_is_not_seen() {
    let mut origin = Origin::start();
    let proxy = holding(&origin.url(), "").await;
    let mut open = Vec::new();
    for (client, path) in readers(&proxy).await {
        let (mut stream, mut exchange) = client.open_from(&origin, &path).await;
        exchange.send("retry: 100\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n").await;
        assert_eq!(stream.data_of(2).await, ["1", "2"]);
        open.push((stream, exchange, path));
    }
    origin.stop_listening().await;
    let mut waiting = Vec::new();
    for (stream, exchange, path) in open {
        exchange.kill();
        waiting.push((stream, path));
    }
    proxy.logged("origin gone").await;
    let origin = origin.restarted();
    for (mut stream, path) in waiting {
        let mut exchange = origin.opened(&path).await;
        assert_eq!(asked_after(&exchange), "2");
        exchange.send("id: 3\ndata: 3\n\nid: 4\ndata: 4\n\n").await;
        assert_eq!(stream.data_of(2).await, ["3", "4"], "{path}");
        assert_eq!(stream.last_event_id(), "4");
    }
}

#[tokio::test]
async fn who_comes_back_while_its_origin_is_down_gets_what_it_missed_once_it_is_up() {
    let mut origin = Origin::start();
    origin.stop_listening().await;
    let keys = "resume = \"origin\"\nkeep_alive = \"100ms\"";
    let proxy = holding(&origin.url(), keys).await;
    let mut open = Vec::new();
    for (client, path) in readers(&proxy).await {
        let mut stream = client.resume(&path, "3").await;
        stream.text_until(":\n\n").await;
        open.push((stream, path));
    }
    let origin = origin.restarted();
    for (mut stream, path) in open {
        let mut exchange = origin.opened(&path).await;
        if path.starts_with("/shared") {
            // The feed is everybody's, and goes on from no reader's id.
            assert_eq!(asked_after(&exchange), "");
            let mut catch_up = origin.opened(&path).await;
            assert_eq!(asked_after(&catch_up), "3");
            catch_up.send("id: 4\ndata: 4\n\nid: 5\ndata: 5\n\n").await;
            catch_up.gone().await;
        } else {
            assert_eq!(asked_after(&exchange), "3");
            exchange.send("id: 4\ndata: 4\n\nid: 5\ndata: 5\n\n").await;
        }
        assert_eq!(stream.data_of(2).await, ["4", "5"], "{path}");
        exchange.send("id: 6\ndata: 6\n\n").await;
        assert_eq!(stream.data().await, "6", "{path}");
        assert!(!stream.text().contains("gap"), "{}", stream.text());
    }
}

#[tokio::test]
async fn a_burst_of_passing_errors_is_not_seen() {
    let origin = std::sync::Arc::new(Origin::start());
    let proxy = holding(&origin.url(), "").await;
    each(&proxy, |client, path| {
        let origin = std::sync::Arc::clone(&origin);
        async move {
            let (mut stream, ()) = tokio::join!(early(&client, &path), async {
                origin.request(&path).await.answer("503 Busy", "", "no").await;
            });
            let mut exchange = origin.opened(&path).await;
            exchange.send("retry: 1\nid: 1\ndata: 1\n\n").await;
            assert_eq!(stream.data().await, "1", "{path}");
            exchange.end().await;
            drop(exchange);
            for status in ["500 Oh", "502 No", "504 Late", "429 Slow down"] {
                let mut exchange = origin.request(&path).await;
                assert_eq!(asked_after(&exchange), "1");
                exchange.answer(status, "", "<html>data: forged\n\n").await;
            }
            let mut exchange = origin.opened(&path).await;
            assert_eq!(asked_after(&exchange), "1");
            exchange.send("id: 2\ndata: 2\n\n").await;
            assert_eq!(stream.data().await, "2", "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn whatever_breaks_is_tried_again_and_half_an_event_is_joined_to_nothing() {
    let origin = std::sync::Arc::new(Origin::start());
    let proxy = holding(&origin.url(), "timeouts = { first_byte = \"200ms\" }").await;
    each(&proxy, |client, path| {
        let origin = std::sync::Arc::clone(&origin);
        async move {
            let (mut stream, mut exchange) = client.open_from(&origin, &path).await;
            exchange.send("retry: 1\nid: 1\ndata: 1\n\nid: 2\nevent: x\ndata: ha").await;
            assert_eq!(stream.data().await, "1", "{path}");
            exchange.kill();
            let mut half_head = origin.request(&path).await;
            half_head.raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-").await;
            drop(half_head);
            let mut garbage = origin.request(&path).await;
            garbage.raw("data: no HTTP at all\n\n\r\n\r\n").await;
            drop(garbage);
            let silent = origin.request(&path).await;
            drop(origin.request(&path).await);
            drop(silent);
            let mut again = origin.opened(&path).await;
            assert_eq!(asked_after(&again), "1", "half an event was not had");
            again.send("\u{feff}lf\n\nid: 2\ndata: whole\n\ndata: no id\n\n").await;
            let event = stream.event().await;
            let expected = ("message", "whole", "2");
            let found = (&*event.event_type, &*event.data, &*event.last_event_id);
            assert_eq!(found, expected, "{path}: {}", stream.text());
            assert_eq!(stream.data().await, "no id");
            again.end().await;
            drop(again);
            let mut last = origin.opened(&path).await;
            last.send("\u{feff}data: marked\n\n").await;
            assert_eq!(stream.data().await, "marked", "{path}: {}", stream.text());
        }
    })
    .await;
}

#[tokio::test]
async fn a_reconnection_time_counts_though_its_block_has_no_end() {
    for keys in ["", "retry = \"3s\""] {
        let origin = std::sync::Arc::new(Origin::start());
        let proxy = holding(&origin.url(), keys).await;
        each(&proxy, |client, path| {
            let origin = std::sync::Arc::clone(&origin);
            async move {
                let (mut stream, mut exchange) = client.open_from(&origin, &path).await;
                exchange.send("retry: 1\nid: 1\ndata: 1\n\nretry: 250\nid: 2\nda").await;
                assert_eq!(stream.data().await, "1", "{path}");
                exchange.kill();
                let again = origin.opened(&path).await;
                assert_eq!(asked_after(&again), "1", "{path}");
            }
        })
        .await;
        let waits = async || proxy.log().matches("pause=250ms").count() == 4;
        eventually("all four have waited for so long", waits).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_final_is_passed_on() {
    let origin = Origin::start();
    let proxy = holding(&origin.url(), "").await;
    for (client, path) in readers(&proxy).await {
        for status in [401, 403, 404, 410] {
            let path = format!("{path}/{status}");
            let (response, ()) = tokio::join!(client.try_events(&path, fields(&[])), async {
                let mut exchange = origin.request(&path).await;
                exchange.answer(&format!("{status} No"), "X-Why: w\r\n", "why").await;
            });
            let response = response.expect("an answer");
            assert_eq!(response.status.as_u16(), status, "{path}");
            assert_eq!(response.values("x-why"), ["w"]);
            assert_eq!(response.text().await, "why");
        }
        let path = format!("{path}/204");
        let (response, ()) = tokio::join!(client.try_events(&path, fields(&[])), async {
            origin.request(&path).await.raw("HTTP/1.1 204 No Content\r\n\r\n").await;
        });
        assert_eq!(response.expect("an answer").status, StatusCode::NO_CONTENT, "{path}");
    }
}

#[tokio::test]
async fn a_final_answer_that_comes_late_ends_the_stream_and_the_next_request_gets_it() {
    let origin = std::sync::Arc::new(Origin::start());
    let proxy = holding(&origin.url(), "").await;
    each(&proxy, |client, path| {
        let origin = std::sync::Arc::clone(&origin);
        async move {
            for status in ["401 Who", "204 Over"] {
                let path = format!("{path}/{}", &status[..3]);
                let (mut stream, ()) = tokio::join!(early(&client, &path), async {
                    origin.request(&path).await.answer("503 Busy", "", "").await;
                });
                origin
                    .request(&path)
                    .await
                    .raw(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))
                    .await;
                let (events, ending) = stream.rest().await;
                assert_eq!((events.len(), ending), (0, Ending::Orderly), "{path}");
                let next = client.try_events(&path, fields(&[]));
                let answer = async {
                    // A feed that is over is known to be over.
                    if !(path.starts_with("/shared") && status.starts_with("204")) {
                        origin.request(&path).await.answer(status, "", "").await;
                    }
                };
                let (response, ()) = tokio::join!(next, answer);
                assert!(status.starts_with(response.expect("an answer").status.as_str()), "{path}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn there_are_comments_also_before_the_origin_has_answered() {
    let origin = Origin::start();
    let proxy = holding(&origin.url(), "keep_alive = \"100ms\"").await;
    for (client, path) in readers(&proxy).await {
        let mut stream = early(&client, &path).await;
        stream.text_until(":\n\n").await;
        let mut exchange = origin.opened(&path).await;
        exchange.send("data: late\n\n").await;
        assert_eq!(stream.data().await, "late", "{path}");
    }
    assert_eq!(origin.accepted(), 4, "nobody is asked twice");
}

#[tokio::test]
async fn a_held_client_that_leaves_takes_its_request_with_it() {
    let origin = Origin::start();
    let proxy = holding(&origin.url(), "keep_alive = \"100ms\"\nlinger = \"0s\"").await;
    for (client, path) in readers(&proxy).await {
        let stream = early(&client, &path).await;
        let mut exchange = origin.request(&path).await;
        drop(stream);
        at_once(&path, exchange.gone()).await;
    }
}

// Its page may read the stream only if the origin says so, and the origin has said nothing.
#[tokio::test]
async fn a_client_of_another_site_is_cut_off_until_the_origin_is_back() {
    let origin = Origin::start();
    let proxy = holding(&origin.url(), "").await;
    let other_site = fields(&[("origin", "https://other.example")]);
    for (client, path) in readers(&proxy).await {
        let (response, ()) = tokio::join!(client.try_events(&path, other_site.clone()), async {
            origin.request(&path).await.answer("503 Busy", "", "").await;
        });
        assert!(response.is_err(), "{path}");
        let (mut stream, mut exchange) =
            tokio::join!(client.open_with(&path, other_site.clone()), async {
                let mut exchange = origin.request(&path).await;
                exchange.open_with("Access-Control-Allow-Origin: *\r\n").await;
                exchange
            });
        assert_eq!(stream.response.values("access-control-allow-origin"), ["*"]);
        exchange.send("data: x\n\n").await;
        assert_eq!(stream.data().await, "x");
    }
}

#[tokio::test]
async fn a_page_on_a_held_route_is_passed_as_it_is() {
    let origin = Origin::start();
    let proxy = holding(&origin.url(), "").await;
    let page = fields(&[("accept", "text/html")]);
    for (client, path) in readers(&proxy).await {
        let mut request = crate::support::request(http::Method::GET, &path);
        *request.headers_mut() = page.clone();
        let (response, ()) = tokio::join!(client.send(request), async {
            origin.request(&path).await.answer("503 Busy", "", "later").await;
        });
        assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.text().await, "later");
    }
}

#[tokio::test]
async fn a_multiplexed_feed_is_held_as_well() {
    let mut origin = Origin::start();
    origin.stop_listening().await;
    let proxy = holding(&origin.url(), "").await;
    let feeds = ["/shared/a", "/private/b"];
    let mut open = Vec::new();
    for client in proxy.clients().await {
        open.push(Mux::open(&client, &feeds).await.0);
    }
    for mux in &mut open {
        for _ in feeds {
            assert_eq!(mux.control("mux/feed").await["state"], "connecting");
        }
    }
    let origin = origin.restarted();
    // One of the private ones for each client.
    let mut exchanges = Vec::new();
    for feed in ["/shared/a", "/private/b", "/private/b"] {
        origin.request(feed).await.answer("502 Bad", "", "").await;
        let mut exchange = origin.opened(feed).await;
        exchange.send(format!("data: {feed}\n\n")).await;
        exchanges.push(exchange);
    }
    for mux in &mut open {
        let mut heard: Vec<_> = mux.events(2).await.into_iter().map(|(feed, _)| feed).collect();
        heard.sort();
        assert_eq!(heard, ["/private/b", "/shared/a"]);
        assert!(!mux.stream.text().contains("closed"), "{}", mux.stream.text());
    }
}

#[tokio::test]
async fn an_origin_that_closes_at_once_for_ever_is_asked_ever_less_often() {
    let origin = std::sync::Arc::new(Origin::scripted(|mut exchange| async move {
        exchange.open_with("").await;
        exchange.send("retry: 1\n\n: hello\n\n").await;
        exchange.end().await;
    }));
    let proxy = holding(&origin.url(), "").await;
    let (client, path) = readers(&proxy).await.remove(0);
    let _shared = client.open(&path).await;
    let _private = client.open(&path.replace("shared", "private")).await;
    let begun = tokio::time::Instant::now();
    // 100, 200, 400, 800, 1600 ms, for each of the two.
    eventually("a few attempts", async || origin.heads().len() >= 12).await;
    let took = begun.elapsed();
    assert!(took.as_millis() > 2500, "{} requests in {took:?}", origin.heads().len());
    assert_eq!(proxy.log().matches("origin gone").count(), 2, "each is told once");
}
