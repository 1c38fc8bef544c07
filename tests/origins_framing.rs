//! Origins whose heads and framing are an attack, or nonsense: each is survived and told, and what
//! is behind an answer is never taken for another one.

use crate::origins_limits::{STREAM, for_ever, survived};
use crate::support::{Exchange, Origin, Proxy};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

/// Runs [`survived`] with an origin that answers with this, and waits to be left.
async fn refused(told: &'static str, answer: String) {
    survived(told, move |mut exchange: Exchange| {
        let answer = answer.clone();
        async move {
            exchange.raw(answer).await;
            exchange.gone().await;
        }
    })
    .await;
}

// Each of these would be kept until its line ends.
#[tokio::test]
async fn a_chunks_size_without_end() {
    survived("the size of a chunk is no number", |mut exchange| async move {
        exchange.raw(format!("{STREAM}{CHUNKED}")).await;
        for_ever(exchange, vec![b'0'; 64 << 10]).await;
    })
    .await;
}

#[tokio::test]
async fn a_chunks_extension_without_end() {
    survived("the size of a chunk is no number", |mut exchange| async move {
        exchange.raw(format!("{STREAM}{CHUNKED}5;")).await;
        for_ever(exchange, vec![b'x'; 64 << 10]).await;
    })
    .await;
}

#[tokio::test]
async fn trailers_without_end() {
    survived("its trailers are none", |mut exchange| async move {
        exchange.raw(format!("{STREAM}{CHUNKED}0\r\n")).await;
        for_ever(exchange, b"X: y\r\n".repeat(10 << 10)).await;
    })
    .await;
}

#[tokio::test]
async fn a_trailer_without_end() {
    survived("its trailers are none", |mut exchange| async move {
        exchange.raw(format!("{STREAM}{CHUNKED}0\r\nX: ")).await;
        for_ever(exchange, vec![b'y'; 64 << 10]).await;
    })
    .await;
}

// A size that wraps around would make a small chunk of a large one.
#[tokio::test]
async fn a_chunks_size_that_is_too_great_for_any_number() {
    let size = "10000000000000009";
    refused(
        "the size of a chunk is no number",
        format!("{STREAM}{CHUNKED}{size}\r\ndata: forged\n\n\r\n"),
    )
    .await;
}

// Others on the way may read these as other sizes.
#[tokio::test]
async fn a_chunks_size_with_a_sign() {
    refused("the size of a chunk is no number", format!("{STREAM}{CHUNKED}-9\r\n")).await;
}

#[tokio::test]
async fn a_chunks_size_with_a_prefix() {
    refused("the size of a chunk is no number", format!("{STREAM}{CHUNKED}0x9\r\n")).await;
}

#[tokio::test]
async fn a_chunks_size_with_blanks_before_it() {
    refused("the size of a chunk is no number", format!("{STREAM}{CHUNKED}  9\r\n")).await;
}

#[tokio::test]
async fn a_chunks_size_that_ends_with_a_line_feed_alone() {
    refused("the size of a chunk is no number", format!("{STREAM}{CHUNKED}9\ndata: a\n\n\n")).await;
}

#[tokio::test]
async fn two_lengths_of_one_answer() {
    let lengths = "Content-Length: 9\r\nContent-Length: 18\r\n";
    refused("the length is no number", format!("{STREAM}{lengths}\r\ndata: a\n\n")).await;
}

#[tokio::test]
async fn a_transfer_coding_that_nobody_asked_for() {
    let codings = "Transfer-Encoding: gzip, chunked\r\n";
    refused("a transfer coding that was not asked for", format!("{STREAM}{codings}\r\n9\r\n"))
        .await;
}

#[tokio::test]
async fn a_field_without_a_colon() {
    refused("invalid header name", format!("{STREAM}nonsense\r\n\r\n")).await;
}

#[tokio::test]
async fn a_field_with_a_nul_in_it() {
    refused("invalid header value", format!("{STREAM}X: a\0b\r\n\r\n")).await;
}

#[tokio::test]
async fn an_informational_answer_with_a_body() {
    let hints = "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n";
    refused("origin gone", format!("{hints}{STREAM}\r\ndata: forged\n\n")).await;
}

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
