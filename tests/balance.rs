//! Several origins for one route: who gets which request, and who is spared.

use http::Method;

use crate::support::{Client, Echo, Folder, Origin, Proxy, eventually, request};

/// An origin that answers every request with its name, and tells checks that it is well.
fn named(name: &'static str) -> Origin {
    Origin::scripted(move |mut exchange| async move {
        loop {
            exchange.answer("200 OK", "", name).await;
            match exchange.next().await {
                Some(next) => exchange = next,
                None => return,
            }
        }
    })
}

async fn answers(client: &Client, count: usize) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(client.send(request(Method::POST, "/page")).await.text().await);
    }
    answers
}

fn count(answers: &[String], name: &str) -> usize {
    answers.iter().filter(|answer| *answer == name).count()
}

#[tokio::test]
async fn requests_are_shared_out_by_weight() {
    let (a, b) = (named("a"), named("b"));
    let keys = format!("upstream = [\"{}\", {{ url = \"{}\", weight = 3 }}]", a.url(), b.url());
    let proxy = Proxy::with_upstream(Folder::new().into(), &keys).await;
    let answers = answers(&proxy.h1(), 40).await;
    assert_eq!((count(&answers, "a"), count(&answers, "b")), (10, 30));
}

#[tokio::test]
async fn an_origin_that_cannot_be_connected_to_costs_no_request() {
    let (a, mut b, c) = (named("a"), named("b"), named("c"));
    b.stop_listening().await;
    let keys = format!("upstream = [\"{}\", \"{}\", \"{}\"]", a.url(), b.url(), c.url());
    let proxy = Proxy::with_upstream(Folder::new().into(), &keys).await;
    for client in proxy.clients().await {
        let answers = answers(&client, 12).await;
        assert_eq!(count(&answers, "a") + count(&answers, "c"), 12);
        assert!(count(&answers, "a") > 2 && count(&answers, "c") > 2, "{answers:?}");
    }
}

const CHECK: &str = "health_check = { path = \"/health\", interval = \"50ms\", \
                     unhealthy_after = 1, healthy_after = 1 }";

#[tokio::test]
async fn an_origin_that_is_not_well_gets_no_request_until_it_is_again() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let is_well = Arc::new(AtomicBool::new(true));
    let moody = Origin::scripted({
        let is_well = Arc::clone(&is_well);
        move |mut exchange| {
            let is_well = Arc::clone(&is_well);
            async move {
                loop {
                    // Pages it can always make: only a check can tell.
                    let is_check = exchange.head.path() == "/health";
                    let status = match is_check && !is_well.load(Ordering::Relaxed) {
                        true => "503 Not now",
                        false => "200 OK",
                    };
                    exchange.answer(status, "", "moody").await;
                    match exchange.next().await {
                        Some(next) => exchange = next,
                        None => return,
                    }
                }
            }
        }
    });
    let steady = named("steady");
    let keys = format!("upstream = [\"{}\", \"{}\"]\n{CHECK}", moody.url(), steady.url());
    let proxy = Proxy::with_upstream(Folder::new().into(), &keys).await;
    let client = proxy.h1();
    assert_eq!(count(&answers(&client, 8).await, "moody"), 4);
    is_well.store(false, Ordering::Relaxed);
    proxy.logged("origin is not well").await;
    assert_eq!(count(&answers(&client, 8).await, "moody"), 0);
    is_well.store(true, Ordering::Relaxed);
    proxy.logged("origin is well again").await;
    assert_eq!(count(&answers(&client, 8).await, "moody"), 4);
}

#[tokio::test]
async fn where_none_is_well_they_are_asked_all_the_same() {
    let origin = Origin::scripted(|mut exchange| async move {
        let status = if exchange.head.path() == "/health" { "500 No" } else { "200 OK" };
        exchange.answer(status, "Connection: close\r\n", "something").await;
    });
    let keys = format!("upstream = \"{}\"\n{CHECK}", origin.url());
    let proxy = Proxy::with_upstream(Folder::new().into(), &keys).await;
    proxy.logged("origin is not well").await;
    assert_eq!(proxy.h1().get("/page").await.text().await, "something");
}

#[tokio::test]
async fn a_shared_feed_goes_on_with_another_origin_when_its_own_dies() {
    let mut origins = [Origin::start(), Origin::start()];
    let keys = format!(
        "upstream = [\"{}\", \"{}\"]\nstream = \"shared\"",
        origins[0].url(),
        origins[1].url()
    );
    let proxy = Proxy::with_upstream(Folder::new().into(), &keys).await;
    let client = proxy.h1();
    let stream = tokio::spawn(async move { client.open("/feed").await });
    let asked = || origins.iter().position(|origin| !origin.heads().is_empty());
    eventually("one origin is asked", async || asked().is_some()).await;
    let first = asked().expect("one of them");
    let mut exchange = origins[first].opened("/feed").await;
    let mut stream = stream.await.expect("a stream");
    exchange.send("retry: 100\nid: 1\ndata: one\n\n").await;
    assert_eq!(stream.data().await, "one");
    origins[first].stop_listening().await;
    exchange.kill();
    // Whoever's turn it is: only one is left.
    let mut exchange = origins[1 - first].opened("/feed").await;
    assert_eq!(exchange.head.text("last-event-id").as_deref(), Some("1"));
    exchange.send("id: 2\ndata: two\n\n").await;
    assert_eq!(stream.data().await, "two");
}

#[tokio::test]
async fn checks_over_http_2_share_a_connection_with_everything() {
    let echo = Echo::start().await;
    let keys = format!(
        "upstream = \"h2c://localhost:{}\"\n\
         health_check = {{ path = \"/page\", interval = \"5ms\" }}",
        echo.ports.h2c
    );
    let proxy = Proxy::with_upstream(echo.folder.clone(), &keys).await;
    for _ in 0..50 {
        let connections = proxy.h1().get("/connections").await.text().await;
        assert!(connections.parse::<usize>().expect("a number") < 4, "{connections}");
    }
}
