//! `resume = "origin"`: whoever comes back too late for history gets what it missed all the same.

use tokio::task::JoinSet;

use crate::support::{Client, Exchange, Origin, Proxy, Stream, fields};

/// Two events are all that history has.
const KEYS: &str = "stream = \"shared\"\nresume = \"origin\"\n\
                    history = { events = 2 }\nlag = { events = 2 }";

fn event(n: usize) -> String {
    format!("id: {n}\ndata: {n}\n\n")
}

/// Events `from` to `to`, as an origin sends them at once.
fn events(from: usize, to: usize) -> String {
    (from..=to).map(event).collect()
}

/// What the data of these events are.
fn numbers(from: usize, to: usize) -> Vec<String> {
    (from..=to).map(|n| n.to_string()).collect()
}

/// A feed that is read and has had events up to `newest`.
async fn read(origin: &Origin, client: &Client, path: &str, newest: usize) -> (Stream, Exchange) {
    let (mut stream, mut exchange) = client.open_from(origin, path).await;
    for n in 1..=newest {
        exchange.send(event(n)).await;
        assert_eq!(stream.data().await, n.to_string());
    }
    (stream, exchange)
}

/// Comes back with an id, and answers the request that this makes.
async fn come_back(
    origin: &Origin,
    client: &Client,
    path: &str,
    id: usize,
    answer: String,
) -> (Stream, Exchange) {
    let id = id.to_string();
    tokio::join!(client.resume(path, &id), async {
        let mut catch_up = origin.opened(path).await;
        assert_eq!(catch_up.head.text("last-event-id").as_deref(), Some(&*id));
        catch_up.send(answer).await;
        catch_up
    })
}

#[tokio::test]
async fn what_history_no_longer_has_comes_from_the_origin_in_order_and_once() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, KEYS).await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (mut first, mut live) = read(&origin, &client, &path, 20).await;
        let (mut back, mut catch_up) = come_back(&origin, &client, &path, 3, events(4, 20)).await;
        catch_up.gone().await;
        assert_eq!(back.data_of(17).await, numbers(4, 20), "{path}");
        live.send(event(21)).await;
        assert_eq!((first.data().await, back.data().await), ("21".into(), "21".into()));
        assert_eq!(back.last_event_id(), "21");
        assert!(!back.text().contains("gap"), "{}", back.text());
    }
}

#[tokio::test]
async fn what_happens_meanwhile_is_neither_missed_nor_doubled() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, KEYS).await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (mut first, mut live) = read(&origin, &client, &path, 5).await;
        let back = tokio::spawn({
            let (client, path) = (client.clone(), path.clone());
            async move { client.resume(&path, "1").await }
        });
        let mut catch_up = origin.opened(&path).await;
        catch_up.send(events(2, 3)).await;
        // History is a different one by now.
        for n in 6..=9 {
            live.send(event(n)).await;
            assert_eq!(first.data().await, n.to_string());
        }
        catch_up.send(events(4, 9)).await;
        let mut back = back.await.expect("a stream");
        assert_eq!(back.data_of(8).await, numbers(2, 9), "{path}");
        live.send(event(10)).await;
        assert_eq!(back.data().await, "10", "{path}");
    }
}

#[tokio::test]
async fn a_feed_that_is_new_is_caught_up_with_when_the_origin_has_sent_what_it_had() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, KEYS).await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (mut back, mut live) = tokio::join!(client.resume(&path, "7"), async {
            let live = origin.opened(&path).await;
            assert_eq!(live.head.text("last-event-id"), None, "nothing that is one reader's");
            let mut catch_up = origin.opened(&path).await;
            catch_up.send(events(8, 12)).await;
            catch_up.gone().await;
            live
        });
        assert_eq!(back.data_of(5).await, numbers(8, 12), "{path}");
        live.send(event(13)).await;
        assert_eq!(back.data().await, "13", "{path}");
        assert!(!back.text().contains("gap"), "{}", back.text());
    }
}

#[tokio::test]
async fn who_has_the_newest_event_has_missed_nothing_however_old_it_is() {
    let origin = Origin::start();
    let keys = "stream = \"shared\"\nresume = \"origin\"\nhistory = { age = \"1ms\" }";
    let proxy = Proxy::before(&origin, keys).await;
    let (_first, mut live) = read(&origin, &proxy.h1(), "/feed", 3).await;
    let mut back = proxy.h1().resume("/feed", "3").await;
    live.send(event(4)).await;
    assert_eq!(back.data().await, "4");
    assert!(!back.text().contains("gap"), "{}", back.text());
    assert_eq!(origin.heads().len(), 1, "there is nothing to ask for");
}

#[tokio::test]
async fn an_origin_that_does_not_go_on_from_the_id_is_a_gap() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, KEYS).await;
    for (case, answer) in [("live", events(21, 21)), ("everything", events(1, 20))] {
        let path = format!("/{case}");
        let (_first, mut live) = read(&origin, &proxy.h1(), &path, 21).await;
        let (mut back, _catch_up) = come_back(&origin, &proxy.h1(), &path, 3, answer).await;
        back.text_until(": gap\n\n").await;
        live.send(event(22)).await;
        // What was there when it came is not its own, and nothing is doubled.
        assert_eq!(back.data().await, "22", "{case}");
    }
}

#[tokio::test]
async fn an_origin_that_has_no_stream_for_it_is_a_gap() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, KEYS).await;
    for (at, status) in ["404 No", "503 Busy", "204 Over"].iter().enumerate() {
        let path = format!("/{at}");
        let (mut first, mut live) = read(&origin, &proxy.h1(), &path, 5).await;
        let client = proxy.h1();
        let (mut back, ()) = tokio::join!(client.resume(&path, "1"), async {
            let mut asked = origin.request(&path).await;
            asked.raw(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
        });
        back.text_until(": gap\n\n").await;
        live.send(event(6)).await;
        assert_eq!((first.data().await, back.data().await), ("6".into(), "6".into()));
    }
}

#[tokio::test]
async fn more_than_history_may_have_is_a_gap() {
    let origin = Origin::start();
    let keys = "stream = \"shared\"\nresume = \"origin\"\n\
                history = { events = 2, bytes = \"10KiB\" }\nlag = { events = 2, bytes = \"10KiB\" }";
    let proxy = Proxy::before(&origin, keys).await;
    let (_first, mut live) = read(&origin, &proxy.h1(), "/feed", 5).await;
    let much = format!("id: 2\ndata: {}\n\n", "x".repeat(11 << 10));
    let (mut back, mut catch_up) = come_back(&origin, &proxy.h1(), "/feed", 1, much).await;
    catch_up.gone().await;
    back.text_until(": gap\n\n").await;
    live.send(event(6)).await;
    assert_eq!(back.data().await, "6");
    proxy.logged("more is missing than may be caught up with").await;
}

// A cursor is an id of ours, which no origin knows.
#[tokio::test]
async fn an_id_that_is_not_the_origins_is_not_asked_for() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, KEYS).await;
    let (_first, _live) = read(&origin, &proxy.h1(), "/feed", 5).await;
    let mut back = proxy.h1().resume("/feed", "00000000.1").await;
    back.text_until(": gap\n\n").await;
    assert_eq!(origin.heads().len(), 1);
}

#[tokio::test]
async fn readers_are_caught_up_with_a_few_at_a_time() {
    const READERS: usize = 40;
    const AT_ONCE: usize = 16;
    const EVENTS: usize = 10;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, KEYS).await;
    let (_first, _live) = read(&origin, &proxy.h1(), "/feed", EVENTS).await;
    let clients = proxy.clients().await;
    let mut back = JoinSet::new();
    for reader in 0..READERS {
        let client = clients[reader % 2].clone();
        let after = 1 + reader % 5;
        back.spawn(async move {
            let mut stream = client.resume("/feed", &after.to_string()).await;
            assert_eq!(stream.data_of(EVENTS - after).await, numbers(after + 1, EVENTS));
        });
    }
    let mut asked = Vec::new();
    for n in 1..=READERS {
        asked.push(origin.opened("/feed").await);
        if asked.len() == AT_ONCE || n == READERS {
            // The feed's own, those that are being answered, and none besides.
            assert_eq!(origin.heads().len(), 1 + n);
            for mut catch_up in asked.drain(..) {
                let after = catch_up.head.text("last-event-id").expect("an id");
                let after: usize = after.parse().expect("a number");
                catch_up.send(events(after + 1, EVENTS)).await;
                catch_up.gone().await;
            }
        }
    }
    back.join_all().await;
}

#[tokio::test]
async fn who_leaves_while_it_is_caught_up_with_takes_its_request_with_it() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, KEYS).await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (_first, _live) = read(&origin, &client, &path, 5).await;
        let headers = fields(&[("last-event-id", "1")]);
        let waiting = tokio::spawn({
            let (client, path) = (client.clone(), path.clone());
            async move { drop(client.open_with(&path, headers).await) }
        });
        let mut catch_up = origin.opened(&path).await;
        waiting.abort();
        catch_up.gone().await;
    }
}
