//! Shared feeds whose origin fails, or says again what it has said.

use tokio::task::JoinSet;

use crate::support::{Origin, Proxy, eventually, fields};

const SHARED: &str = "stream = \"shared\"";

#[tokio::test]
async fn an_origin_that_fails_is_not_asked_by_all_who_wait_for_it() {
    const READERS: usize = 20;
    let origin = Origin::start();
    let config = Proxy::config(&origin, SHARED);
    let proxy = Proxy::start(&format!("{config}[admin]\naddress = \"127.0.0.1:0\"")).await;
    let clients = proxy.clients().await;
    let mut asking = JoinSet::new();
    for reader in 0..READERS {
        let client = clients[reader % 2].clone();
        asking.spawn(async move {
            let answer = client.try_events("/feed", fields(&[])).await.expect("an answer");
            assert_eq!((answer.status.as_u16(), answer.values("retry-after")), (503, vec!["7"]));
            answer.text().await
        });
    }
    let mut exchange = origin.request("/feed").await;
    let admin = proxy.admin();
    eventually("all wait", async || {
        let feeds = admin.get("/api/feeds").await.text().await;
        feeds.contains(&format!("\"readers\":{READERS}"))
    })
    .await;
    exchange.answer("503 Busy", "Retry-After: 7\r\n", "later").await;
    let mut bodies = asking.join_all().await;
    bodies.sort();
    assert_eq!(bodies.pop().as_deref(), Some("later"), "for the first who takes it");
    assert!(bodies.iter().all(String::is_empty), "{bodies:?}");
    assert_eq!(origin.heads().len(), 1);
}

#[tokio::test]
async fn what_an_origin_says_again_when_it_is_back_is_heard_once() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("retry: 100\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n").await;
    assert_eq!(stream.data_of(3).await, ["1", "2", "3"]);
    exchange.kill();
    let mut exchange = origin.opened("/feed").await;
    assert_eq!(exchange.head.text("last-event-id").as_deref(), Some("3"));
    exchange.send(": hello\n\nid: 2\ndata: 2\n\nid:3\r\ndata:3\r\n\r\n").await;
    // What says something else is another event, whatever its id, and so is all that follows.
    exchange.send("id: 3\ndata: three\n\nid: 2\ndata: 2\n\ndata: 4\n\n").await;
    assert_eq!(stream.data_of(3).await, ["three", "2", "4"]);
    exchange.kill();
    let mut exchange = origin.opened("/feed").await;
    // An id that stands for several events tells nothing of any.
    exchange.send("id: 2\ndata: 2\n\n").await;
    assert_eq!(stream.data().await, "2");
}
