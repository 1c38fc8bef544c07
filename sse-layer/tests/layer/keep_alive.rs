//! When comments are sent in silence, and where.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use sse_layer::{KeepAlive, SseLayer};
use tokio::time::{advance, timeout};

use crate::Step::{Send, Wait};
use crate::{bytes, scripted, secs, silent, through, timed};

/// 15 s ± 10 %, and the timer's own grain.
fn is_due(silence: Duration) -> bool {
    (13_500..=16_502).contains(&silence.as_millis())
}

fn layer() -> SseLayer {
    SseLayer::new().no_retry()
}

const OPENING: &str = ":\n\n";

#[tokio::test(start_paused = true)]
async fn silence_is_filled_every_15_seconds_give_or_take_10_percent() {
    let seen = timed(through(layer(), silent()).await, secs(3600)).await;
    assert!(seen.iter().all(|(_, bytes)| bytes == ":\n\n"), "{seen:?}");
    let waits: Vec<_> = seen.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!((218..=266).contains(&waits.len()), "{}", waits.len());
    assert!(waits.iter().all(|wait| is_due(*wait)), "{waits:?}");
    let (min, max) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*max - *min > secs(1), "no jitter between {min:?} and {max:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_traffic_gets_none() {
    let busy = [Send(b"data: x\n\n"), Wait(secs(13))].repeat(100);
    let expected = OPENING.to_owned() + &"data: x\n\n".repeat(100);
    assert_eq!(bytes(through(layer(), scripted(busy)).await).await, expected.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn each_event_starts_the_wait_anew() {
    for wait in 1..=13 {
        let mut steps = [Wait(secs(wait)), Send(b"data: x\n\n")].repeat(20);
        steps.push(Wait(secs(17)));
        let seen = timed(through(layer(), scripted(steps)).await, secs(1000)).await;
        assert_eq!(seen.len(), 1 + 20 + 1, "{seen:?}");
        assert_eq!(seen[20].0, secs(20 * wait));
        assert!(is_due(seen[21].0 - seen[20].0), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn never_within_a_line() {
    let body = scripted([Send(b"data: a"), Wait(secs(100)), Send(b"b\n\n")]);
    assert_eq!(bytes(through(layer(), body).await).await, b":\n\ndata: ab\n\n");
}

#[tokio::test(start_paused = true)]
async fn only_lines_in_the_middle_of_a_block() {
    let body = scripted([Send(b"data: a\r\n"), Wait(secs(20)), Send(b"data: b\n\n")]);
    let layer = layer().keep_alive(KeepAlive::new().comment("on"));
    assert_eq!(bytes(through(layer, body).await).await, b":\n\ndata: a\r\n: on\ndata: b\n\n");
}

#[tokio::test(start_paused = true)]
async fn not_after_a_cr_whose_lf_may_still_come() {
    for end in [&b"data: a\r"[..], b"data: a\r\n\r", b"data: a\r\r"] {
        let body = scripted([Send(end), Wait(secs(100)), Send(b"\n")]);
        let expected = [OPENING.as_bytes(), end, b"\n"].concat();
        assert_eq!(bytes(through(layer(), body).await).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn again_once_the_line_is_complete() {
    let body = scripted([Send(b"data: a\r\n\r"), Wait(secs(100)), Send(b"\n"), Wait(secs(20))]);
    assert_eq!(bytes(through(layer(), body).await).await, b":\n\ndata: a\r\n\r\n:\n\n");
}

#[tokio::test(start_paused = true)]
async fn none_when_off() {
    let layer = layer().keep_alive(KeepAlive::off());
    let seen = timed(through(layer, silent()).await, secs(86_400)).await;
    assert_eq!(seen, [(Duration::ZERO, Bytes::from(OPENING))]);
}

#[tokio::test(start_paused = true)]
async fn interval_and_text_are_settable() {
    let keep_alive = KeepAlive::off().every(secs(1)).comment("still\nhere");
    let seen = timed(through(layer().keep_alive(keep_alive), silent()).await, secs(60)).await;
    assert!((54..=67).contains(&(seen.len() - 1)), "{}", seen.len());
    assert!(seen.iter().skip(1).all(|(_, bytes)| bytes == ": still\n: here\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_did_not_read_for_long_gets_one_not_many() {
    let mut body = Box::pin(through(layer(), silent()).await);
    body.frame().await.unwrap().unwrap();
    advance(secs(3600)).await;
    assert!(timeout(Duration::from_millis(1), body.frame()).await.is_ok());
    assert!(timeout(secs(13), body.frame()).await.is_err());
    assert!(timeout(secs(4), body.frame()).await.is_ok());
}
