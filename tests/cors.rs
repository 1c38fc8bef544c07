//! `cors`: which pages of other sites may read a route's answers, whatever the origin says.

use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Full};

use crate::support::{Client, Exchange, HOST_NAME, Origin, Proxy, Response, fields, request};

const APP: &str = "https://app.example";

/// What an origin says that would let everybody in.
const LAX: &str = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
                   Access-Control-Expose-Headers: Mcp-Session-Id\r\nVary: Accept\r\n";

/// Answers whatever is asked: with one event, or, for what is no stream, with a text.
async fn talk(mut exchange: Exchange) {
    if exchange.head.path().ends_with("text") {
        return exchange.answer("200 OK", LAX, "a text").await;
    }
    exchange.open_with(LAX).await;
    exchange.send("data: x\n\n").await;
    exchange.gone_in_the_end().await;
}

/// A route for each kind of stream that lets pages of one site in, with cookies; one for those of
/// all sites; and one that leaves it to the origin.
async fn proxy(origin: &Origin) -> Proxy {
    let upstream = origin.url();
    let route = |path: &str, keys: &str| {
        format!("[[route]]\npath = \"/{path}/*\"\nupstream = \"{upstream}\"\n{keys}\n")
    };
    let cors = format!("cors = {{ origins = [\"{APP}\"], credentials = true }}");
    let routes: String = [
        route("private", &cors),
        route("shared", &format!("stream = \"shared\"\n{cors}")),
        route("held", &format!("on_origin_error = \"hold\"\n{cors}")),
        route("off", &format!("stream = \"off\"\n{cors}")),
        route("public", "cors = { origins = [\"*\"] }"),
    ]
    .concat();
    Proxy::before(origin, &routes).await
}

const NAMED: [&str; 4] = ["/private", "/shared", "/held", "/off"];

async fn ask(client: &Client, method: Method, target: &str, headers: HeaderMap) -> Response {
    let mut request = request(method.clone(), target);
    *request.headers_mut() = headers;
    if method == Method::POST {
        *request.body_mut() = Full::from("{}").boxed();
    }
    client.send(request).await
}

fn from(origin: &str) -> HeaderMap {
    fields(&[("origin", origin), ("accept", "text/event-stream")])
}

/// Origin and credentials that are allowed, and what the answer is told to depend on.
fn told(answer: &Response) -> (Vec<&str>, Vec<&str>, String) {
    (
        answer.values("access-control-allow-origin"),
        answer.values("access-control-allow-credentials"),
        answer.values("vary").join(", "),
    )
}

#[tokio::test]
async fn pages_of_the_sites_that_are_named_may_read_streams_and_all_else() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin).await;
    for client in proxy.clients().await {
        for path in NAMED {
            for (method, name) in
                [(Method::GET, "stream"), (Method::POST, "stream"), (Method::GET, "text")]
            {
                let target = format!("{path}/{}/{name}", client.protocol());
                let answer = ask(&client, method.clone(), &target, from(APP)).await;
                assert_eq!(answer.status, 200, "{method} {target}");
                let expected = (vec![APP], vec!["true"], "Accept, Origin".to_owned());
                assert_eq!(told(&answer), expected, "{method} {target}");
                // What else the origin lets them see is its own business.
                assert_eq!(answer.values("access-control-expose-headers"), ["Mcp-Session-Id"]);
            }
        }
    }
}

#[tokio::test]
async fn pages_of_other_sites_may_not_whatever_the_origin_says() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin).await;
    for client in proxy.clients().await {
        for path in NAMED {
            for page in [
                "https://evil.example",
                "https://app.example.evil.example",
                "http://app.example",
                "null",
            ] {
                let target = format!("{path}/{}/stream", client.protocol());
                let answer = ask(&client, Method::GET, &target, from(page)).await;
                let expected = (vec![], vec![], "Accept, Origin".to_owned());
                assert_eq!(told(&answer), expected, "{target} for {page}");
            }
        }
    }
}

#[tokio::test]
async fn a_cache_learns_that_the_answer_depends_on_the_page_even_if_none_asks() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin).await;
    for path in NAMED {
        let own = fields(&[("accept", "text/event-stream")]);
        let answer = ask(&proxy.h1(), Method::GET, &format!("{path}/stream"), own).await;
        assert_eq!(told(&answer), (vec![], vec![], "Accept, Origin".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn pages_of_all_sites_may_read_what_is_public_but_not_as_the_user() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin).await;
    let answer = ask(&proxy.h1(), Method::GET, "/public/stream", from("https://any.example")).await;
    let expected = (vec!["https://any.example"], vec![], "Accept, Origin".to_owned());
    assert_eq!(told(&answer), expected);
}

#[tokio::test]
async fn without_the_key_the_origin_decides() {
    let origin = Origin::scripted(talk);
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let answer = ask(&client, Method::GET, "/stream", from("https://any.example")).await;
        assert_eq!(told(&answer), (vec!["*"], vec!["true"], "Accept".to_owned()));
    }
}

fn asks_first(page: &str, method: &str, headers: &str) -> HeaderMap {
    fields(&[
        ("origin", page),
        ("access-control-request-method", method),
        ("access-control-request-headers", headers),
    ])
}

#[tokio::test]
async fn a_browser_that_asks_first_is_answered_here() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin).await;
    for client in proxy.clients().await {
        for path in NAMED {
            let target = format!("{path}/stream");
            for (method, wanted) in [
                ("GET", "last-event-id"),
                ("POST", "content-type,x-a"),
                ("DELETE", "mcp-session-id"),
            ] {
                let headers = asks_first(APP, method, wanted);
                let answer = ask(&client, Method::OPTIONS, &target, headers).await;
                assert_eq!(answer.status, 204, "{target}");
                assert_eq!(told(&answer), (vec![APP], vec!["true"], "Origin".to_owned()));
                assert_eq!(answer.values("access-control-allow-methods"), [method]);
                let allowed = format!("last-event-id, {wanted}");
                assert_eq!(answer.values("access-control-allow-headers"), [allowed.as_str()]);
                assert_eq!(answer.values("access-control-max-age"), ["600"]);
            }
            let headers = asks_first("https://evil.example", "POST", "content-type");
            let answer = ask(&client, Method::OPTIONS, &target, headers).await;
            assert_eq!(answer.status, 403, "{target}");
            assert_eq!(told(&answer), (vec![], vec![], "Origin".to_owned()));
        }
    }
    assert_eq!(origin.accepted(), 0, "the origin need not know of any of this");
}

#[tokio::test]
async fn an_ordinary_options_request_is_the_origins() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin).await;
    let answer = ask(&proxy.h1(), Method::OPTIONS, "/private/text", from(APP)).await;
    assert_eq!((answer.status.as_u16(), origin.accepted()), (200, 1));
}

#[tokio::test]
async fn a_held_page_of_another_site_is_told_at_once_that_it_may_read() {
    let origin = Origin::scripted(talk);
    let upstream = origin.url();
    drop(origin);
    for stream in ["private", "shared"] {
        let proxy = Proxy::start(&format!(
            r#"
            [[listener]]
            address = "127.0.0.1:0"
            [[route]]
            path = "/*"
            upstream = "{upstream}"
            stream = "{stream}"
            on_origin_error = "hold"
            cors = {{ origins = ["{APP}"] }}
            "#
        ))
        .await;
        let answer = ask(&proxy.h1(), Method::GET, "/stream", from(APP)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(told(&answer), (vec![APP], vec![], "Origin".to_owned()), "{stream}");
        let answer = ask(&proxy.h1(), Method::GET, "/stream", from("https://evil.example")).await;
        assert!(told(&answer).0.is_empty(), "{stream} at {HOST_NAME}");
    }
}
