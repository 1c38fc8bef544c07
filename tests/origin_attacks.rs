//! Origins whose HTTP/1 is an attack, whatever they are asked for: each costs its own stream or page
//! alone, is told in the log, takes little memory, and never gets into the answer to another request.

use std::sync::Arc;

use http::Method;
use tokio::sync::watch;

use crate::support::{Client, Exchange, Origin, Proxy, eventually, fields, request};

/// More than any of these should take, and far less than what endless ones send.
const BOUND: u64 = 24 << 20;

/// More than an endless origin gets rid of before it is given up.
const ENDLESS: usize = 512 << 20;

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

/// What no client may see: it stands where only a reader that lost count takes it for an answer.
const FORGED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                      Content-Length: 14\r\n\r\ndata: forged\n\n";

/// What the log says of an answer that is no HTTP.
const BROKE: &str = "the connection broke: ";

/// What it says more of a stream.
const NO_SIZE: &str = "the size of a chunk is no number";
const NO_TRAILERS: &str = "its trailers are none";
const NO_LENGTH: &str = "the length is no number, or several";

/// An answer of an origin.
#[derive(Clone)]
struct Attack {
    answer: String,
    /// What it goes on with for ever, if there is anything.
    for_ever: &'static str,
    /// What the log says, if there is anything to say.
    told: &'static str,
    /// The same, if it was to be a page.
    told_of_page: &'static str,
}

/// An answer that is none.
fn attack(answer: impl Into<String>, told: &'static str) -> Attack {
    Attack { answer: answer.into(), for_ever: "", told, told_of_page: BROKE }
}

fn endless(answer: impl Into<String>, for_ever: &'static str, told: &'static str) -> Attack {
    Attack { for_ever, ..attack(answer, told) }
}

/// An answer that is one, whatever comes with it.
fn sound(answer: impl Into<String>) -> Attack {
    Attack { told_of_page: "", ..attack(answer, "") }
}

/// A stream in chunks, the first of which is sound.
fn chunked(rest: &str) -> String {
    format!("{STREAM}Transfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n{rest}")
}

/// An origin that answers `/KIND/N` with the attack of that number, `/KIND/neighbour` with a stream
/// that goes on when all is over, and anything else with `fine`.
fn hostile(attacks: &Arc<[Attack]>, over: &watch::Receiver<bool>) -> Origin {
    let (attacks, over) = (Arc::clone(attacks), over.clone());
    Origin::scripted(move |mut exchange: Exchange| {
        let (attacks, mut over) = (Arc::clone(&attacks), over.clone());
        async move {
            loop {
                let path = exchange.head.path().to_owned();
                match path.rsplit('/').next().map(|name| (name, name.parse::<usize>())) {
                    Some((_, Ok(number))) => commit(&mut exchange, &path, &attacks[number]).await,
                    Some(("neighbour", _)) => {
                        exchange.open().await;
                        let _ = over.wait_for(|over| *over).await;
                        exchange.send("data: unharmed\n\n").await;
                    }
                    _ => exchange.answer("200 OK", "", "fine").await,
                }
                let Some(next) = exchange.next_in_the_end().await else { return };
                exchange = next;
            }
        }
    })
}

async fn commit(exchange: &mut Exchange, path: &str, attack: &Attack) {
    // A page is the same, but for its label: it is passed on as it is.
    let label = if path.starts_with("/page/") { "text/plain" } else { "text/event-stream" };
    exchange.raw(attack.answer.replacen("text/event-stream", label, 1)).await;
    let piece = attack.for_ever.repeat((64 << 10) / attack.for_ever.len().max(1));
    let mut sent = 0;
    while !piece.is_empty() && exchange.try_raw(piece.as_bytes()).await.is_ok() {
        sent += piece.len();
        assert!(sent < ENDLESS, "{:?} is read on and on", attack.answer);
    }
}

/// What a client sees of `path`.
async fn seen(client: &Client, path: &str) -> String {
    let answer = match path.starts_with("/page/") {
        true => client.try_send(request(Method::GET, path)).await,
        false => client.try_events(path, fields(&[])).await,
    };
    let Ok(mut answer) = answer else { return "nothing".to_owned() };
    let status = answer.status;
    if path.starts_with("/shared/") {
        // The feed does not end: its origin is asked again.
        return format!("{status} {:?}", answer.chunk().await);
    }
    let (body, ending) = answer.rest().await;
    format!("{status} {} {ending:?}", body.escape_ascii())
}

/// Has every kind of request by every kind of client answered with each of `attacks`.
async fn survived(attacks: impl IntoIterator<Item = Attack>) {
    let attacks: Arc<[Attack]> = attacks.into_iter().collect();
    let (finish, over) = watch::channel(false);
    let origin = hostile(&attacks, &over);
    let upstream = origin.url();
    let route = |path, keys| {
        format!(
            "timeouts = {{ idle = \"60s\" }}\n[[route]]\npath = \"/{path}/*\"\n\
             upstream = \"{upstream}\"\n{keys}\n"
        )
    };
    let keys = route("private", "") + &route("page", "") + &route("shared", "stream = \"shared\"");
    let proxy = Proxy::before(&origin, &format!("{keys}timeouts = {{ idle = \"60s\" }}")).await;
    let h1 = proxy.h1();
    let mut neighbours = [h1.open("/private/neighbour").await, h1.open("/shared/neighbour").await];
    let before = proxy.peak_memory();
    for (number, Attack { answer, told, told_of_page, .. }) in attacks.iter().enumerate() {
        for client in proxy.clients().await {
            for (kind, told) in [("private", told), ("shared", told), ("page", told_of_page)] {
                let route = format!("route=/{kind}/*");
                let count = || {
                    let log = proxy.log();
                    log.lines().filter(|line| line.contains(&route) && line.contains(*told)).count()
                };
                let path = format!("/{kind}/{}/{number}", client.protocol());
                let counted = count();
                let got = seen(&client, &path).await;
                assert!(!got.contains("forged"), "{answer:?}, {path}: {got}");
                if !told.is_empty() {
                    let what = format!("{told:?} in the log after {answer:?}, {path}: {got}");
                    eventually(&what, async || count() > counted).await;
                }
                for _ in 0..3 {
                    assert_eq!(client.get("/page/after").await.text().await, "fine", "{answer:?}");
                }
            }
        }
    }
    let grown = proxy.peak_memory().saturating_sub(before);
    assert!(grown < BOUND, "grown by {} KiB", grown >> 10);
    finish.send_replace(true);
    for neighbour in &mut neighbours {
        assert_eq!(neighbour.data().await, "unharmed");
    }
}

#[tokio::test]
async fn a_framing_without_end() {
    survived([
        endless(chunked(""), "1", NO_SIZE),
        endless(chunked("9;"), "x", NO_SIZE),
        endless(chunked("9;a=\""), "\\\"", NO_SIZE),
        endless(chunked("0\r\n"), "X: y\r\n", NO_TRAILERS),
        endless(chunked("0\r\nX: "), "x", NO_TRAILERS),
    ])
    .await;
}

#[tokio::test]
async fn a_chunk_that_is_none() {
    let sizes = [
        // One that wraps around would make a small chunk of a large one.
        "10000000000000009\r\n",
        // Others on the way may read these as other sizes.
        "-9\r\n",
        "+9\r\n",
        " 9\r\n",
        "0x9\r\n",
        "\r\n",
        ";\r\n",
        "g\r\n",
        "9 9\r\n",
        // Ends of lines that are none.
        "9\n",
        "9\r",
        "9\r\r\n",
        "9;a\nb\r\n",
    ];
    let rest = format!("data: b\n\n\r\n0\r\n\r\n{FORGED}");
    let behind = ["\n9\r\n", "9\r\n"].map(|size| {
        let rest = format!("9\r\ndata: b\n\n{size}{rest}");
        attack(chunked(&rest), "a chunk is longer than was said")
    });
    let sizes = sizes.map(|size| attack(chunked(&format!("{size}{rest}")), NO_SIZE));
    survived(sizes.into_iter().chain(behind)).await;
}

#[tokio::test]
async fn a_framing_that_can_be_read_in_two_ways() {
    let with = |fields: &str| {
        let chunks = format!("9\r\ndata: a\n\n\r\n0\r\n\r\n{FORGED}");
        format!("{STREAM}{fields}\r\n\r\n{chunks}")
    };
    let wrong = [
        "Content-Length: 9\r\nContent-Length: 14",
        "Content-Length: 9, 14",
        "Content-Length: -9",
        "Content-Length: 0x9",
        "Content-Length: 99999999999999999999",
    ];
    let codings = [
        "gzip, chunked",
        "chunked, chunked",
        "chunked, gzip",
        "xchunked",
        "chunked\r\nTransfer-Encoding: gzip",
    ];
    // By the rules it is the chunks that count.
    let by_the_rules = ["3", "300"]
        .map(|length| format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"))
        .map(|fields| sound(with(&fields)));
    let wrong = wrong.map(|fields| attack(with(fields), NO_LENGTH));
    let codings = codings.map(|coding| {
        let told = "a transfer coding that was not asked for";
        let answer = with(&format!("Transfer-Encoding: {coding}"));
        Attack { told_of_page: told, ..attack(answer, told) }
    });
    survived(wrong.into_iter().chain(codings).chain(by_the_rules)).await;
}

#[tokio::test]
async fn a_head_that_is_none() {
    let with = |field| format!("{STREAM}{field}Content-Length: 9\r\n\r\ndata: a\n\n{FORGED}");
    let wrong = [
        ("No colon\r\n", "invalid header name"),
        ("X: a\0b\r\n", "invalid header value"),
        ("X\0: ab\r\n", "invalid header name"),
        ("X: a\rb\r\n", "invalid header value"),
        (": no name\r\n", "invalid header name"),
        ("X Y: z\r\n", "invalid header name"),
    ];
    // What every browser takes.
    let folded = ["X: a\r\n b\r\n", " folded\r\n"].map(|field| sound(with(field)));
    let wrong = wrong.map(|(field, told)| attack(with(field), told));
    survived(wrong.into_iter().chain(folded)).await;
}

#[tokio::test]
async fn an_informational_answer_with_a_body() {
    let hints = "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n";
    survived([attack(format!("{hints}{FORGED}"), BROKE)]).await;
}

#[tokio::test]
async fn a_head_without_end() {
    let heads = [("", "x"), ("HTTP/1.1 ", "2"), ("HTTP/1.1 200 ", "O")];
    let fields = [("HTTP/1.1 200 OK\r\n", "X: y\r\n"), ("HTTP/1.1 200 OK\r\nX: ", "x")];
    survived(heads.into_iter().chain(fields).map(|(head, rest)| endless(head, rest, BROKE))).await;
}

#[tokio::test]
async fn an_answer_behind_an_answer() {
    let heads = [
        "200 OK\r\nContent-Length: 1\r\n\r\nx",
        "204 No Content\r\n\r\n",
        "204 No Content\r\nContent-Length: 9\r\n\r\ndata: a\n\n",
        "204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n0\r\n\r\n",
        "205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        "304 Not Modified\r\nContent-Length: 9\r\n\r\ndata: a\n\n",
    ];
    let answers = heads.map(|head| sound(format!("HTTP/1.1 {head}{FORGED}")));
    let stream = sound(chunked(&format!("0\r\n\r\n{FORGED}")));
    survived(answers.into_iter().chain([stream])).await;
}
