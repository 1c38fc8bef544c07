//! Many readers of one feed, who come, go and stall while it goes on.

use tokio::sync::watch;

use crate::slow::{ids, stalled};
use crate::support::{Client, Origin, Proxy, within};

/// Nobody is sent away, however far behind.
const PATIENT: &str = "stream = \"shared\"\n\
    history = { events = 100000, bytes = \"64MiB\" }\nlag = { events = 100000, bytes = \"64MiB\" }";

/// Events of the last round carry this.
const LAST: usize = 3_000;

/// Reads on from event `from`, away and back again every so many events, until the last one.
async fn come_and_go(client: Client, from: usize, stay: usize, sent: watch::Receiver<usize>) {
    let mut next = from;
    while next <= LAST {
        let mut sent = sent.clone();
        // Something is on its way whenever it comes back.
        let _ = sent.wait_for(|sent| *sent > next.min(LAST - 1)).await;
        let mut stream = client.resume("/feed", &(next - 1).to_string()).await;
        for _ in 0..stay {
            if next > LAST {
                return;
            }
            assert_eq!(stream.event().await.last_event_id, next.to_string());
            next += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_who_come_and_go_get_every_event_once() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, PATIENT).await;
    let (mut steady, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("id: 0\ndata: x\n\n").await;
    assert_eq!(steady.event().await.last_event_id, "0");
    let (tell, sent) = watch::channel(0);
    let [h1, h2] = proxy.clients().await;
    let readers: Vec<_> = (1..=40)
        .map(|stay| {
            let client = if stay % 4 == 0 { h2.clone() } else { h1.clone() };
            tokio::spawn(come_and_go(client, 1, stay * 7, sent.clone()))
        })
        .collect();
    for round in 0..LAST / 10 {
        let ids = (round * 10 + 1)..=(round * 10 + 10);
        let events: String = ids.clone().map(|id| format!("id: {id}\ndata: x\n\n")).collect();
        exchange.send(events).await;
        for id in ids {
            assert_eq!(steady.event().await.last_event_id, id.to_string());
        }
        tell.send_replace(round * 10 + 10);
    }
    for reader in readers {
        within("every reader has every event", reader).await.expect("in order, each once");
    }
}

// Many times what history holds, sent in one go, while each event takes its time to reach them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_larger_than_history_reaches_all_readers_whole() {
    const READERS: usize = 150;
    const COUNT: usize = 3_000;
    let origin = Origin::start();
    let keys = "stream = \"shared\"\nhistory = { events = 256 }";
    let proxy = Proxy::before(&origin, keys).await;
    let (first, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let mut readers = vec![first];
    for _ in 1..READERS {
        readers.push(proxy.h1().open("/feed").await);
    }
    let readers: Vec<_> = readers
        .into_iter()
        .map(|mut stream| {
            tokio::spawn(async move {
                for id in 0..COUNT {
                    assert_eq!(stream.event().await.last_event_id, id.to_string());
                }
            })
        })
        .collect();
    let burst: String = (0..COUNT).map(|id| format!("id: {id}\ndata: x\n\n")).collect();
    exchange.send(burst).await;
    for reader in readers {
        within("every reader has every event", reader).await.expect("in order, each once");
    }
}

#[tokio::test]
async fn a_reader_whose_socket_is_full_catches_up_and_joins_the_others_again() {
    const COUNT: usize = 2_000;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, PATIENT).await;
    let (mut fast, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(stalled(&proxy).await);
    }
    let filler = "x".repeat(8 << 10);
    for id in 0..COUNT {
        exchange.send(format!("id: {id}\ndata: {filler}\n\n")).await;
        assert_eq!(fast.event().await.last_event_id, id.to_string());
    }
    let expected: Vec<_> = (0..=COUNT).map(|id| id.to_string()).collect();
    let mut bodies = Vec::new();
    for wire in &mut slow {
        let mut body = Vec::new();
        for id in 0..COUNT {
            body.extend(wire.read_until(format!("id: {id}\n")).await);
        }
        bodies.push(body);
    }
    // Having caught up, it gets what all get together.
    exchange.send(format!("id: {COUNT}\ndata: together\n\n")).await;
    for (mut wire, mut body) in slow.into_iter().zip(bodies) {
        body.extend(wire.read_until("together\n\n\r\n").await);
        assert_eq!(ids(&body), expected);
    }
}
