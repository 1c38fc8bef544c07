//! Streams that are opened by POST, and changed while they are open.

use futures_util::stream;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::{HeaderName, Method};
use http_body_util::StreamBody;
use sse_layer::mux::Feeds;

use super::*;

fn post(path: &str, json: &str) -> Request<String> {
    with(Request::post(path), &[]).body(json.to_owned()).unwrap()
}

fn with(
    request: http::request::Builder,
    headers: &[(HeaderName, &'static str)],
) -> http::request::Builder {
    headers.iter().fold(request, |request, (name, value)| request.header(name, *value))
}

async fn send<F: Feeds>(service: &MuxService<F>, request: Request<String>) -> StatusCode {
    let response = service.clone().oneshot(request).await.unwrap();
    let is_text = response.headers().get(CONTENT_TYPE).is_some();
    assert_eq!(is_text, response.status() != StatusCode::NO_CONTENT);
    response.status()
}

/// Where to send the changes of a stream that began like this.
fn path(seen: &str) -> String {
    format!("/mux/{}", &seen.split("\"sid\":\"").nth(1).unwrap()[..32])
}

async fn opened<F: Feeds>(
    service: &MuxService<F>,
    headers: &[(HeaderName, &'static str)],
) -> (Stream<MuxBody>, String) {
    let request = with(Request::get("/mux?feed=/a"), headers).body(String::new()).unwrap();
    let mut stream = Stream::of(service.clone().oneshot(request).await.unwrap());
    let path = path(&stream.read());
    (stream, path)
}

#[tokio::test]
async fn a_post_opens_a_stream_as_a_get_does() {
    let app = App::new();
    app.a.publish(event(1));
    let cursor = app.log.cursor();
    app.a.publish(event(2));
    let second = app.log.cursor();
    let json = format!(r#"{{"feeds":[["/a",null],["/gone","7"]],"cursor":"{cursor}"}}"#);
    let response = app.service().oneshot(post("/mux", &json)).await.unwrap();
    let seen = Stream::of(response).read();
    assert!(seen.contains("\"resumed\":true}"), "{seen}");
    assert!(seen.contains(r#"{"feed":"/gone","state":"closed","status":404}"#), "{seen}");
    assert!(seen.contains(&format!("event: /a\nid: {second} 2\ndata: x\n\n")), "{seen}");
}

/// After a restart no cursor is known any more, but the feeds' own ids are.
#[tokio::test]
async fn each_feeds_last_id_counts_where_the_cursor_is_of_another_log() {
    let app = App::new();
    for id in 1..=2 {
        app.a.publish(event(id));
    }
    let json = r#"{"feeds":[["/a","1"],["/b?q=1",null]],"cursor":"00000000.7"}"#;
    let response = app.service().oneshot(post("/mux", json)).await.unwrap();
    let seen = Stream::of(response).read();
    assert!(seen.contains(" 2\ndata: x\n\n") && !seen.contains(" 1\n"), "{seen}");
    assert_eq!(seen.matches("mux/gap").count(), 1, "{seen}");
    assert!(seen.contains(r#"{"feed":"/b?q=1","after":"00000000.7","missed":null}"#), "{seen}");
}

#[tokio::test]
async fn feeds_come_and_go_on_an_open_stream() {
    let app = App::new();
    let service = app.service();
    let (mut stream, path) = opened(&service, &[]).await;
    app.b.publish(event(1));
    app.b.publish(event(2));
    let second = app.log.cursor();
    let add = r#"{"add":[["/b?q=1","1"],["/gone",null],["no name",null]]}"#;
    assert_eq!(send(&service, post(&path, add)).await, StatusCode::NO_CONTENT);
    let expected = [
        state(r#"{"feed":"/gone","state":"closed","status":404}"#),
        state(r#"{"feed":"no name","state":"closed","status":400}"#),
        open("/b?q=1"),
        format!("event: /b?q=1\nid: {second} 2\ndata: x\n\n"),
    ];
    assert_eq!(stream.read(), expected.concat());

    let remove = r#"{"remove":["/a","/unknown"]}"#;
    assert_eq!(send(&service, post(&path, remove)).await, StatusCode::NO_CONTENT);
    assert_eq!(stream.read(), "");
    assert_eq!(app.a.readers().count(), 0);
    app.a.publish(event(3));
    assert_eq!(stream.read(), "");
    app.b.publish(event(4));
    assert!(stream.read().starts_with("event: /b?q=1\n"));
}

/// What was due of the old feed is not sent under the new one's name.
#[tokio::test]
async fn a_feed_that_takes_anothers_place_is_not_taken_for_it() {
    let app = App::new();
    let service = app.service();
    let (mut stream, path) = opened(&service, &[]).await;
    for id in 1..=20 {
        app.a.publish(Event::new().id(id.into()).data("x".repeat(10_000)));
    }
    let first = stream.0.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.len() < 20 * 10_000, "the rest is due");
    let swap = r#"{"remove":["/a"],"add":[["/b?q=1",null]]}"#;
    assert_eq!(send(&service, post(&path, swap)).await, StatusCode::NO_CONTENT);
    assert_eq!(stream.read(), open("/b?q=1"));
}

#[tokio::test]
async fn a_feed_that_is_read_already_is_not_read_twice() {
    let app = App::new();
    let service = app.service();
    let (mut stream, path) = opened(&service, &[]).await;
    let twice = r#"{"add":[["/a",null],["/b?q=1",null],["/b?q=1",null]]}"#;
    assert_eq!(send(&service, post(&path, twice)).await, StatusCode::NO_CONTENT);
    assert_eq!(stream.read(), open("/b?q=1"));
    assert_eq!((app.a.readers().count(), app.b.readers().count()), (1, 1));
}

#[tokio::test]
async fn a_waiting_stream_is_woken_by_a_change() {
    let app = App::new();
    let service = app.service();
    let (mut stream, path) = opened(&service, &[]).await;
    let waiting = tokio::spawn(async move { stream.0.frame().await });
    tokio::task::yield_now().await;
    let add = r#"{"add":[["/b?q=1",null]]}"#;
    assert_eq!(send(&service, post(&path, add)).await, StatusCode::NO_CONTENT);
    let frame = waiting.await.unwrap().unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame, open("/b?q=1"));
}

#[tokio::test]
async fn a_stream_is_its_owners() {
    let app = App::new();
    let service = app.service();
    let owner = [(AUTHORIZATION, "Bearer one"), (COOKIE, "s=1")];
    let (stream, path) = opened(&service, &owner).await;
    let change = async |headers: &[(HeaderName, &'static str)]| {
        let request = with(Request::post(&path), headers).body("{}".to_owned());
        send(&service, request.unwrap()).await
    };
    assert_eq!(change(&owner).await, StatusCode::NO_CONTENT);
    let own = [(HOST, "own.example"), (ORIGIN, "https://own.example")];
    let from_own_page = [&owner[..], &own].concat();
    assert_eq!(change(&from_own_page).await, StatusCode::NO_CONTENT);
    for other in [
        &[][..],
        &owner[..1],
        &owner[1..],
        &[(AUTHORIZATION, "s=1"), (COOKIE, "Bearer one")],
        &[(AUTHORIZATION, "Bearer two"), (COOKIE, "s=1")],
    ] {
        assert_eq!(change(other).await, StatusCode::FORBIDDEN, "{other:?}");
    }
    drop(stream);
    assert_eq!(change(&owner).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_of_other_sites_open_and_change_nothing_unless_they_are_named() {
    let app = App::new();
    let (one, two) = ("https://one.example", "https://two.example:8443");
    let service = app.service().origins([two]);
    let (_stream, path) = opened(&service, &[]).await;
    let (_of_two, path_of_two) = opened(&service, &[(ORIGIN, two)]).await;
    let status = async |path: &str, origin, host| {
        let json = if path == "/mux" { r#"{"feeds":[["/a",null]]}"# } else { "{}" };
        let request = with(Request::post(path), &[(ORIGIN, origin), (HOST, host)]);
        let request = request.body(json.to_owned()).unwrap();
        service.clone().oneshot(request).await.unwrap().status()
    };
    for (origin, host, expected) in [
        (one, "one.example", StatusCode::OK),
        (one, "one.example:443", StatusCode::OK),
        (two, "one.example", StatusCode::OK),
        (one, "three.example", StatusCode::FORBIDDEN),
        ("null", "null", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(status("/mux", origin, host).await, expected, "{origin} {host}");
    }
    assert_eq!(status(&path, two, "one.example").await, StatusCode::NO_CONTENT);
    assert_eq!(status(&path, one, "three.example").await, StatusCode::FORBIDDEN);
    // Who opened a stream as a page of one site does not change it as one of another.
    assert_eq!(status(&path_of_two, two, "one.example").await, StatusCode::NO_CONTENT);
    assert_eq!(status(&path_of_two, one, "one.example").await, StatusCode::FORBIDDEN);
    assert_eq!(send(&service, post(&path_of_two, "{}")).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_stream_has_no_more_feeds_and_changes_than_it_may() {
    let app = App::new();
    let service = app.service().max_feeds(1);
    let (mut stream, path) = opened(&service, &[]).await;
    let add = r#"{"add":[["/b?q=1",null]]}"#;
    assert_eq!(send(&service, post(&path, add)).await, StatusCode::NO_CONTENT);
    let closed = state(r#"{"feed":"/b?q=1","state":"closed","status":409}"#);
    assert_eq!(stream.read(), closed);
    let many = r#"{"add":[["/b?q=1",null],["/c",null]]}"#;
    assert_eq!(send(&service, post(&path, many)).await, StatusCode::BAD_REQUEST);
    let mut statuses = Vec::new();
    for _ in 0..17 {
        statuses.push(send(&service, post(&path, "{}")).await);
    }
    assert_eq!(statuses.pop(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert!(statuses.iter().all(|status| *status == StatusCode::NO_CONTENT), "{statuses:?}");
    stream.read();
    assert_eq!(send(&service, post(&path, "{}")).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_is_not_such_json_is_refused() {
    let app = App::new();
    let service = app.service();
    let (_stream, path) = opened(&service, &[]).await;
    for (path, json) in [
        ("/mux", ""),
        ("/mux", "{}"),
        ("/mux", r#"{"feeds":[]}"#),
        (&path, r#"{"add":["/a"]}"#),
        (&path, ""),
    ] {
        assert_eq!(send(&service, post(path, json)).await, StatusCode::BAD_REQUEST, "{json:?}");
    }
    let large = post("/mux", &" ".repeat(64 * 1024 + 1));
    assert_eq!(send(&service, large).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_may_come_in_pieces_or_break_off() {
    let app = App::new();
    let pieces = |last: Result<&'static str, &'static str>| {
        let pieces = [Ok(r#"{"feeds":[["/a","#), last];
        let frames =
            pieces.map(|piece| piece.map(|text| http_body::Frame::data(Bytes::from(text))));
        let body = StreamBody::new(stream::iter(frames));
        app.service().oneshot(Request::post("/mux").body(body).unwrap())
    };
    assert_eq!(pieces(Ok("null]]}")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(pieces(Err("broken")).await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn other_methods_are_told_which_are_served() {
    let request = Request::builder().method(Method::DELETE).uri("/mux").body(String::new());
    let response = App::new().service().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET, HEAD, POST");
}
