//! Where origins may be, and what they must prove.

use http::Method;
use serde_json::Value;

use crate::support::{Client, Echo, Folder, Proxy, certificate, fields, request, run};

async fn asked(client: &Client, method: Method) -> Value {
    let mut ask = request(method, "/asked?x=1");
    *ask.headers_mut() = fields(&[("host", "news.example:8443"), ("x-end", "1")]);
    let answer = client.send(ask).await;
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.text().await).expect("JSON")
}

#[tokio::test]
async fn every_kind_of_origin_is_asked_in_its_own_way() {
    let echo = Echo::start().await;
    for (upstream, version) in echo.upstreams() {
        let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
        for client in proxy.clients().await {
            for method in [Method::GET, Method::PUT] {
                let asked = asked(&client, method.clone()).await;
                assert_eq!(asked["method"], method.as_str(), "{upstream}");
                assert_eq!(asked["url"], "/asked?x=1", "{upstream}");
                assert_eq!(asked["httpVersion"], version, "{upstream}");
                let headers = asked["headers"].to_string().to_ascii_lowercase();
                let host = match version {
                    "2.0" => "\":authority\",\"news.example:8443\"",
                    _ => "\"host\",\"news.example:8443\"",
                };
                assert!(headers.contains(host), "{headers}, {upstream}");
                assert!(headers.contains("\"x-end\",\"1\""), "{headers}, {upstream}");
            }
        }
    }
}

/// What becomes of a request to the echo's TLS port, with these keys in the route.
async fn answer(echo: &Echo, host: &str, keys: &str) -> (u16, Proxy) {
    let upstream = format!("upstream = \"https://{host}:{}\"\n{keys}", echo.ports.https);
    let proxy = Proxy::with_upstream(echo.folder.clone(), &upstream).await;
    let status = proxy.h1().get("/page").await.status.as_u16();
    (status, proxy)
}

#[tokio::test]
async fn an_origin_must_prove_who_it_is() {
    let echo = Echo::start().await;
    let (other, _) = certificate("localhost");
    echo.folder.write("other.pem", &other);
    for (host, keys, expected) in [
        ("localhost", "upstream_tls = { ca = \"cert.pem\" }", 200),
        // Nobody vouches for it, or somebody else does.
        ("localhost", "", 502),
        ("localhost", "upstream_tls = { ca = \"other.pem\" }", 502),
        // The certificate is for another name, unless that is the one it is asked for by.
        ("127.0.0.1", "upstream_tls = { ca = \"cert.pem\" }", 502),
        ("127.0.0.1", "upstream_tls = { ca = \"cert.pem\", server_name = \"localhost\" }", 200),
        ("127.0.0.1", "upstream_tls = { insecure = true }", 200),
    ] {
        let (status, proxy) = answer(&echo, host, keys).await;
        assert_eq!(status, expected, "{host} with {keys:?}");
        if expected == 502 {
            proxy.logged("invalid peer certificate").await;
        }
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_502_and_named_in_the_log() {
    let keys = "upstream = \"http://nowhere.invalid:80\"";
    let proxy = Proxy::with_upstream(Folder::new().into(), keys).await;
    assert_eq!(proxy.h1().get("/page").await.status, 502);
    proxy.logged("nowhere.invalid").await;
}

/// `sse-proxy check` on a route with these keys.
async fn checked(folder: &Folder, keys: &str) -> (Option<i32>, String) {
    let config =
        format!("[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\npath = \"/*\"\n{keys}\n");
    let path = folder.write("check.toml", &config);
    let run = run(&["check", "--config", path.to_str().expect("text")]).await;
    (run.code, format!("{}{}", run.stdout, run.stderr))
}

#[tokio::test]
async fn check_tries_every_upstream_and_says_what_it_found() {
    let echo = Echo::start().await;
    for (upstream, version) in echo.upstreams() {
        let (code, said) = checked(&echo.folder, &upstream).await;
        assert_eq!(code, Some(0), "{said}");
        let spoken = if version == "2.0" { "HTTP/2" } else { "HTTP/1.1" };
        assert!(said.contains(spoken), "{said}");
        if upstream.contains("https:") {
            assert!(said.contains("certificate for localhost"), "{said}");
        }
    }
    let https = echo.ports.https;
    for (keys, expected, named) in [
        ("upstream = \"http://127.0.0.1:1\"", 0, "127.0.0.1:1: not there now"),
        ("upstream = \"unix:/nowhere.sock\"", 0, "/nowhere.sock: not there now"),
        (&format!("upstream = \"https://localhost:{https}\""), 1, "invalid peer certificate"),
        ("upstream = \"https://h\"\nupstream_tls = { ca = \"none.pem\" }", 1, "none.pem"),
    ] {
        let (code, said) = checked(&echo.folder, keys).await;
        assert_eq!(code, Some(expected), "{keys}: {said}");
        assert!(said.contains(named), "{keys}: {said}");
    }
    for (keys, named) in [
        ("upstream = \"http://h\"\nupstream_tls = { insecure = true }", "route[0].upstream_tls"),
        (
            "upstream = \"https://h\"\nupstream_tls = { insecure = true, ca = \"cert.pem\" }",
            "route[0].upstream_tls.ca",
        ),
        ("upstream = [\"http://h\", \"http://h:80\"]", "twice"),
        ("upstream = { url = \"http://h\", weight = 0 }", "1 to 100"),
        ("upstream = \"unix:here.sock\"", "unix:/PATH"),
        ("upstream = \"http://h\"\nhealth_check = { path = \"x\" }", "route[0].health_check.path"),
    ] {
        let (code, said) = checked(&echo.folder, keys).await;
        assert_eq!(code, Some(64), "{keys}: {said}");
        assert!(said.contains(named), "{keys}: {said}");
    }
}
