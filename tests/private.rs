//! Private streams: one client, one origin stream.

use crate::support::{Origin, Proxy};

#[tokio::test]
async fn every_client_has_an_origin_stream_of_its_own() {
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mut one, mut to_one) = client.open_from(&origin, "/feed").await;
        let (mut other, mut to_other) = client.open_from(&origin, "/feed").await;
        to_one.send("data: one\n\n").await;
        to_other.send("data: other\n\n").await;
        assert_eq!(one.data().await, "one");
        assert_eq!(other.data().await, "other");
    }
    assert_eq!(origin.accepted(), 4);
}
