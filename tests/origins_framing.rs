//! Where an origin's answer ends and what its fields say, where that can be read in two ways: it is
//! read as the rules say, and what is behind an answer is never taken for another one.

use crate::support::{Origin, Proxy};

// What comes with the chunks is right, and a length beside it is a lie (RFC 9112, 6.3).
#[tokio::test]
async fn a_length_beside_chunks_counts_for_nothing() {
    let origin = Origin::start();
    for keys in ["", "stream = \"shared\""] {
        let proxy = Proxy::before(&origin, keys).await;
        for client in proxy.clients().await {
            let path = format!("/{}", client.protocol());
            let (mut stream, mut exchange) =
                client.open_from_with(&origin, &path, "Content-Length: 3\r\n").await;
            assert!(stream.response.values("content-length").is_empty());
            exchange.send("data: all of it\n\n").await;
            assert_eq!(stream.data().await, "all of it");
        }
    }
}

#[tokio::test]
async fn a_field_that_goes_on_in_a_second_line_is_read_as_browsers_read_it() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) =
            client.open_from_with(&origin, "/feed", "X-Long: a\r\n\tb\r\n").await;
        assert_eq!(stream.response.values("x-long"), ["a b"]);
        exchange.send("data: x\n\n").await;
        assert_eq!(stream.data().await, "x");
    }
}

// A connection on which more came than was asked for would answer the next request with it.
#[tokio::test]
async fn what_follows_an_answer_answers_nobody() {
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        for answer in [
            "204 No Content\r\n",
            "304 Not Modified\r\nContent-Length: 5\r\n",
            "200 OK\r\nContent-Length: 0\r\n",
            "200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        ] {
            let (first, _kept) = tokio::join!(client.get("/first"), async {
                let mut exchange = origin.request("/first").await;
                exchange.raw(format!("HTTP/1.1 {answer}\r\n{forged}")).await;
                exchange
            });
            let mut first = first;
            first.rest().await;
            let (second, ()) = tokio::join!(client.get("/second"), async {
                origin.request("/second").await.answer("200 OK", "", "true").await;
            });
            assert_eq!(second.text().await, "true", "{answer:?}, {}", client.protocol());
        }
    }
}

// The same where nothing was asked for at all.
#[tokio::test]
async fn an_answer_that_comes_before_its_request_answers_nobody() {
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let client = proxy.h1();
    let (first, mut kept) = tokio::join!(client.get("/first"), async {
        let mut exchange = origin.request("/first").await;
        exchange.answer("200 OK", "", "true").await;
        exchange
    });
    assert_eq!(first.text().await, "true");
    kept.raw(forged).await;
    kept.gone().await;
    let (second, ()) = tokio::join!(client.get("/second"), async {
        origin.request("/second").await.answer("200 OK", "", "also true").await;
    });
    assert_eq!(second.text().await, "also true");
}
