//! Attacks on whoever reads a stream, through the values that a handler has from its users and
//! through what it contradicts itself in; one test each.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use proptest::prelude::*;
use sse_layer::{
    Decoder, Event, EventId, EventType, KeepAlive, LastEventId, MessageEvent, SseLayer,
};
use tokio::time::timeout;
use tower::{Layer, service_fn};

use crate::client::{DEADLINE, PROTOCOLS};
use crate::tcp::{Server, boxed};
use crate::{bytes, event_stream, secs, through};

/// All that ends a line.
const BREAKS: [&str; 3] = ["\r", "\n", "\r\n"];

/// Text with each of the breaks twice at its start, in it and at its end: what would close an
/// event and forge another.
fn forgeries() -> Vec<String> {
    let forged = "id: 6\ndata: forged";
    BREAKS
        .iter()
        .flat_map(|end| {
            let twice = end.repeat(2);
            let forged = forged.replace('\n', end);
            [format!("{twice}{forged}"), format!("a{twice}{forged}{twice}"), format!("a{end}")]
        })
        .collect()
}

/// All that a client reads in what `event` and then an event with data `next` are on the wire.
fn read(event: &Event) -> Vec<MessageEvent> {
    decode([event.to_bytes(), Event::new().data("next").to_bytes()].concat())
}

fn decode(bytes: impl Into<Bytes>) -> Vec<MessageEvent> {
    let mut decoder = Decoder::new();
    decoder.push(bytes);
    let mut events = Vec::new();
    while let Some(event) = decoder.next_event().unwrap() {
        events.push(event.to_owned());
    }
    events
}

fn message(event_type: &str, data: &str, id: &str) -> MessageEvent {
    let mut message = decode("data\n\n").remove(0);
    message.event_type = event_type.to_owned();
    message.data = data.to_owned();
    message.last_event_id = id.to_owned();
    message
}

/// Data as it arrives: each line break as LF.
fn normalised(data: &str) -> String {
    data.replace("\r\n", "\n").replace('\r', "\n")
}

#[test]
fn a_type_with_a_line_break_is_refused() {
    for forgery in forgeries() {
        assert!(EventType::try_from(forgery).is_err());
    }
}

#[test]
fn a_type_with_nul_or_a_mark_is_only_a_type() {
    for text in ["\0", "a\0data: forged", "\u{feff}", "\u{feff}data: forged", ":", " a", "data"] {
        let event = Event::new().event(text.try_into().unwrap()).data("x");
        assert_eq!(read(&event), [message(text, "x", ""), message("message", "next", "")]);
    }
}

#[test]
fn an_id_with_a_line_break_is_refused() {
    for forgery in forgeries() {
        assert!(EventId::try_from(forgery).is_err());
    }
}

#[test]
fn an_id_with_nul_is_refused() {
    for text in ["\0", "a\0", "\0a"] {
        assert!(EventId::try_from(text).is_err());
    }
}

#[test]
fn an_id_with_a_mark_is_only_an_id() {
    for text in ["\u{feff}", "\u{feff}data: forged", "a\u{feff}", ":", " a", "data: x"] {
        let event = Event::new().id(text.try_into().unwrap()).data("x");
        assert_eq!(read(&event), [message("message", "x", text), message("message", "next", text)]);
    }
}

#[test]
fn data_with_line_breaks_stays_in_its_event() {
    for forgery in forgeries() {
        let expected = message("message", &normalised(&forgery), "");
        assert_eq!(read(&Event::new().data(forgery)), [expected, message("message", "next", "")]);
    }
}

#[test]
fn data_with_nul_or_a_mark_arrives_as_it_is() {
    for text in ["\0", "\0\0x", "\u{feff}", "\u{feff}data: x", " a", ":", ""] {
        let expected = [message("message", text, ""), message("message", "next", "")];
        assert_eq!(read(&Event::new().data(text)), expected);
    }
}

#[test]
fn a_comment_says_nothing_whatever_it_says() {
    for text in forgeries().into_iter().chain(["\0".into(), "\u{feff}data: x\n\n".into()]) {
        assert_eq!(read(&Event::new().comment(text)), [message("message", "next", "")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_comment_in_silence_says_nothing_between_events_and_within_one() {
    for text in forgeries() {
        let block = Event::new().comment(text.clone()).to_bytes();
        let layer = SseLayer::new().keep_alive(KeepAlive::new().comment(text));
        let pieces = stream::unfold(0, async |number| {
            tokio::time::sleep(secs(40)).await;
            let pieces = ["data: a\n", "data: b\n", "\n", "data: next\n\n"];
            let piece = *pieces.get(number)?;
            let frame = http_body::Frame::data(Bytes::from_static(piece.as_bytes()));
            Some((Ok::<_, Infallible>(frame), number + 1))
        });
        let sent = bytes(through(layer, StreamBody::new(pieces)).await).await;
        let has = |part: &[u8]| sent.windows(part.len()).any(|sent| sent == part);
        assert!(has(&[b"\n\n", &block[..]].concat()), "between events");
        assert!(has(&[b"data: a\n", &block[..block.len() - 1]].concat()), "within one");
        let expected = [message("message", "a\nb", ""), message("message", "next", "")];
        assert_eq!(decode(sent), expected);
    }
}

#[test]
fn a_time_to_reconnect_is_one_that_timers_take() {
    let greatest = Duration::from_millis(i32::MAX.unsigned_abs().into());
    for (retry, expected) in [
        (Duration::MAX, greatest),
        (Duration::from_millis(u64::MAX), greatest),
        (greatest + Duration::from_millis(1), greatest),
        (greatest, greatest),
        (Duration::from_nanos(1), Duration::ZERO),
        (Duration::ZERO, Duration::ZERO),
    ] {
        let mut decoder = Decoder::new();
        decoder.push(Event::new().retry(retry).to_bytes());
        assert_eq!(decoder.next_event().unwrap(), None);
        assert_eq!(decoder.retry(), Some(expected), "{retry:?}");
    }
}

#[test]
fn strings_in_json_arrive_as_they_are() {
    let others = ["\0", "\u{feff}", "\u{2028}\u{2029}\u{85}", "\"}\n\n", "\u{b}\u{c}\u{7f}"];
    for text in forgeries().into_iter().chain(others.map(str::to_owned)) {
        let event = Event::new().json(&[&text]).unwrap();
        let [sent, next] = &read(&event)[..] else { panic!("not one event for {text:?}") };
        assert_eq!(serde_json::from_str::<[String; 1]>(&sent.data).unwrap(), [text]);
        assert_eq!(*next, message("message", "next", ""));
    }
}

/// What a client of `server`'s only stream gets, whatever the handler's head says of its body,
/// and the header `name` of the answer.
async fn served(name: &'static str, value: &'static str, body: &'static str) -> Vec<[String; 2]> {
    let mut all = Vec::new();
    for protocol in PROTOCOLS {
        let handler = service_fn(move |_: Request<Incoming>| {
            let mut response = event_stream(Full::new(Bytes::from_static(body.as_bytes())));
            response.headers_mut().insert(name, HeaderValue::from_static(value));
            ready(Ok::<_, Infallible>(response))
        });
        let layer = SseLayer::new().no_retry();
        let server = Server::start(boxed(layer.layer(handler)));
        let mut client = server.client(protocol).await;
        let response = client.get(&[]).await;
        let header = response.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let header = header.to_owned();
        let got = timeout(DEADLINE, response.into_body().collect()).await.expect("an end");
        let got = got.expect("a good one").to_bytes();
        all.push([header, String::from_utf8(got.to_vec()).unwrap()]);
    }
    all
}

#[tokio::test]
async fn a_length_that_the_handler_states_cuts_nothing() {
    for length in ["0", "5", "100000"] {
        let all = served("content-length", length, "data: whole\n\n").await;
        assert_eq!(all, [["", ":\n\ndata: whole\n\n"]; 2].map(|one| one.map(str::to_owned)));
    }
}

#[tokio::test]
async fn a_transfer_coding_that_the_handler_states_spoils_no_framing() {
    let all = served("transfer-encoding", "chunked", "data: whole\n\n").await;
    let expected = [["chunked", ":\n\ndata: whole\n\n"], ["", ":\n\ndata: whole\n\n"]];
    assert_eq!(all, expected.map(|one| one.map(str::to_owned)));
}

/// The layer cannot see into it: a comment there would be taken for a part of the coding.
#[tokio::test]
async fn nothing_is_added_to_a_content_coding_that_the_handler_states() {
    let all = served("content-encoding", "br", "only to be decoded").await;
    assert_eq!(all, [["br", "only to be decoded"]; 2].map(|one| one.map(str::to_owned)));
}

proptest! {
    #[test]
    fn an_id_in_a_header_is_usable_or_none(header in any::<Vec<u8>>()) {
        let Ok(value) = HeaderValue::from_bytes(&header) else { return Ok(()) };
        let request = Request::builder().header("last-event-id", value).body(()).unwrap();
        assert_usable(LastEventId::of(&request), std::str::from_utf8(&header).ok())?;
    }

    #[test]
    fn an_id_in_a_query_is_usable_or_none(value in any::<Vec<u8>>(), name in "last_event_id|lastEventId") {
        let query: String = value.iter().map(|byte| format!("%{byte:02x}")).collect();
        let request = Request::get(format!("/?{name}={query}")).body(()).unwrap();
        assert_usable(LastEventId::of(&request), Some(&String::from_utf8_lossy(&value)))?;
    }

    #[test]
    fn any_query_is_taken(query in "[!-~&&[^#]]{0,40}") {
        let Ok(request) = Request::get(format!("/?last_event_id={query}")).body(()) else {
            return Ok(());
        };
        let id = LastEventId::of(&request);
        let text = id.as_ref().map(|id| id.as_str().to_owned());
        assert_usable(id, text.as_deref())?;
    }
}

/// An id is `text`, if an event can bear that, and then goes out and comes back as it is.
fn assert_usable(id: Option<LastEventId>, text: Option<&str>) -> Result<(), TestCaseError> {
    let usable = text.filter(|text| !text.is_empty() && !text.contains(['\0', '\r', '\n']));
    prop_assert_eq!(id.as_ref().map(LastEventId::as_str), usable);
    if let Some(id) = id {
        let expected = message("message", "", id.as_str());
        let got = read(&Event::new().id(id.into_id()).data(""));
        prop_assert_eq!(got.first(), Some(&expected));
    }
    Ok(())
}
