use std::path::Path;
use std::time::Duration;

use sse_layer::Repairs;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("sse-proxy.toml")).map_err(|error| error.to_string())
}

const MINIMAL: &str = r#"
    [[listener]]
    address = "127.0.0.1:0"
    [[route]]
    path = "/*"
    upstream = "http://127.0.0.1:3000"
"#;

#[test]
fn all_but_three_keys_have_defaults() {
    let config = parse(MINIMAL).unwrap();
    let route = &config.route[0];
    assert_eq!(route.stream, Stream::Private);
    assert_eq!(route.repair, Repairs::SAFE);
    assert_eq!(route.keep_alive, Duration::from_secs(15));
    assert_eq!(route.retry, Retry::Pass);
    assert_eq!(config.mux.path, "/.sse/mux");
    assert_eq!(config.limits.streams_per_ip, 100);
}

#[test]
fn values_are_read_in_the_operators_units() {
    let config = parse(
        r#"
        [[listener]]
        address = "[::1]:8443"
        tls = { certificates = [{ certificate = "a.pem", key = "a.key" }] }
        [[route]]
        path = "/events"
        host = "News.Example.com"
        upstream = "https://origin.example/live"
        stream = "shared"
        repair = ["field-case", "stray-bom"]
        keep_alive = "20s"
        retry = "2500ms"
        history = { events = 10, bytes = "64KiB", age = "1m" }
        lag = { events = 10, policy = "skip" }
        share_by = ["query", "header:Accept-Language", "cookie:tenant"]
        [limits]
        connections = 500
        header_bytes = "8KiB"
        "#,
    )
    .unwrap();
    let route = &config.route[0];
    assert!(route.host.as_ref().unwrap().matches("news.example.com:443"));
    assert_eq!(route.upstream.to_string(), "https://origin.example:443/live");
    assert_eq!(route.repair, Repairs::FIELD_CASE | Repairs::STRAY_BOM);
    assert_eq!(route.retry, Retry::Ours(Duration::from_millis(2500)));
    assert_eq!(route.history.bytes, Size(65536));
    assert_eq!(route.lag.policy, LagPolicy::Skip);
    assert_eq!(route.share_by.len(), 3);
    assert_eq!(config.limits.connections, Connections::AtMost(500));
}

#[test]
fn an_error_names_file_key_finding_and_what_is_allowed() {
    let with = |line: &str| parse(&format!("{MINIMAL}\n{line}")).unwrap_err();
    for (line, expected) in [
        ("stream = \"public\"", &["route[0].stream", "public", "private", "shared", "off"][..]),
        ("keep_alive = \"soon\"", &["route[0].keep_alive"]),
        ("keepalive = \"15s\"", &["keepalive", "keep_alive"]),
        ("retry = \"never\"", &["route[0].retry", "\"never\"", "\"pass\"", "3s"]),
        ("repair = [\"field-kase\"]", &["route[0].repair", "field-kase", "field-case"]),
        ("lag = { policy = \"conflate\" }", &["route[0].lag.policy", "conflate", "resume", "skip"]),
        ("share_by = [\"ip\"]", &["route[0].share_by[0]", "\"ip\"", "header:NAME"]),
        ("[limits]\nconnections = \"many\"", &["limits.connections", "auto"]),
        ("[nonsense]", &["nonsense", "listener"]),
        ("[[route]]\npath = \"x\"\nupstream = \"http://h\"", &["route[1].path", "\"x\"", "/x/*"]),
        (
            "[[route]]\npath = \"/y\"\nupstream = \"h:80\"",
            &["route[1].upstream", "h:80", "http://HOST"],
        ),
        ("[[route]]\npath = \"/*\"\nupstream = \"http://h\"", &["route[1].path", "route[0]"]),
        ("[[route]]\npath = \"/z\"", &["route[1]", "upstream"]),
    ] {
        let error = with(line);
        for part in expected {
            assert!(error.contains(part), "{line}: {part:?} is not in: {error}");
        }
        assert!(error.starts_with("sse-proxy.toml"), "{error}");
    }
}

#[test]
fn something_must_be_listened_to_and_served() {
    assert!(parse("").unwrap_err().contains("[[listener]]"));
    assert!(parse("[[listener]]\naddress = \"127.0.0.1:0\"").unwrap_err().contains("[[route]]"));
    assert!(parse("[[listener]\n").unwrap_err().contains("sse-proxy.toml"));
}

#[test]
fn a_password_in_an_upstream_url_is_not_repeated() {
    let error = "http://user:secret@h/".parse::<Upstream>().unwrap_err();
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn values_that_can_never_work_are_refused_with_what_was_found() {
    for (line, expected) in [
        ("keep_alive = 15", "route[0].keep_alive: expected a duration such as \"15s\", found 15"),
        ("linger = \"9\"", "route[0].linger: expected a duration such as \"15s\", found \"9\""),
        ("retry = \"500000000000y\"", "found \"500000000000y\""),
        ("history = { age = \"0s\" }", "route[0].history.age: must be more than zero"),
        ("history = { bytes = -1 }", "history.bytes: expected a size such as \"4MiB\", found -1"),
        ("lag = { bytes = \"much\" }", "expected a size such as \"4MiB\", found \"much\""),
        ("max_feeds = 0", "route[0].max_feeds: must be more than zero"),
        ("max_connections = 0", "route[0].max_connections: must be more than zero"),
        ("host = \"*.example.com\"", "found \"*.example.com\""),
        ("[shutdown]\ndrain = \"500000000000y\"", "shutdown.drain"),
        ("[mux]\nmax_feeds = 0", "mux.max_feeds: must be more than zero"),
        ("[mux]\npath = \"/\"", "mux.path: must be a path such as"),
        ("[limits]\nheader_bytes = 0", "limits.header_bytes: must be more than zero"),
    ] {
        let error = parse(&format!("{MINIMAL}\n{line}")).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn an_upstream_url_is_taken_as_it_is_or_not_at_all() {
    for (url, expected) in [
        ("http://127.0.0.1:70000", "no such port"),
        ("http://127.0.0.1:", "no such port"),
        ("http://127.0.0.1:1/a#b", "a fragment has no place here"),
    ] {
        let text = MINIMAL.replace("http://127.0.0.1:3000", url);
        let error = parse(&text).unwrap_err();
        assert!(error.contains(expected) && error.contains(url), "{url}: {error}");
    }
    let text = MINIMAL.replace("http://127.0.0.1:3000", "http://[::1]:3000");
    assert_eq!(parse(&text).unwrap().route[0].upstream.to_string(), "http://[::1]:3000");
}
