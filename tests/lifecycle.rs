//! From start to end: exit codes, addresses, TLS.

use std::sync::Arc;

use nix::sys::signal::Signal;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Client, Folder, Origin, Proxy, Run, Tls, certificate, run};

/// Runs the program's commands that read a configuration on this one.
async fn started_with(folder: &Folder, config: &str) -> [Run; 2] {
    let path = folder.write("sse-proxy.toml", config);
    let path = path.to_str().expect("text");
    [run(&["run", "--config", path]).await, run(&["check", "--config", path]).await]
}

const ROUTE: &str = "[[route]]\npath = \"/*\"\nupstream = \"http://127.0.0.1:9\"\n";

#[tokio::test]
async fn wrong_usage_is_64() {
    for args in [
        &[][..],
        &["fly"],
        &["run"],
        &["run", "--nonsense"],
        &["run", "--upstream", "ftp://h"],
        &["run", "--upstream", "http://h", "--config", "x.toml"],
        &["run", "--upstream", "http://h", "--repair", "magic"],
        &["run", "--upstream", "http://h", "--listen", "nowhere"],
        &["check"],
    ] {
        let run = run(args).await;
        assert_eq!(run.code, Some(64), "{args:?}: {run:?}");
        assert!(!run.stderr.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn help_is_no_fault() {
    for args in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let run = run(args).await;
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(run.stdout.contains("sse-proxy"), "{}", run.stdout);
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_64_and_told_by_file_and_key() {
    let folder = Folder::new();
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
    for (config, key) in [
        (format!("{listener}{ROUTE}keep_alive = \"soon\""), "route[0].keep_alive"),
        (format!("{listener}{ROUTE}keepalive = \"15s\""), "keepalive"),
        (format!("{listener}{ROUTE}[limits]\nconnections = 0"), "limits.connections"),
        (format!("{listener}{ROUTE}[nonsense]"), "nonsense"),
        (format!("[[listener]]\naddress = \"here\"\n{ROUTE}"), "listener[0].address"),
        (ROUTE.to_owned(), "listener"),
        (listener.to_owned(), "route"),
        ("[[listener]".to_owned(), "line 1"),
    ] {
        for run in started_with(&folder, &config).await {
            assert_eq!(run.code, Some(64), "{config}: {run:?}");
            assert!(run.stderr.contains("sse-proxy.toml"), "{config}: {}", run.stderr);
            assert!(run.stderr.contains(key), "{key} is not in: {}", run.stderr);
        }
    }
}

#[tokio::test]
async fn a_missing_configuration_is_64() {
    let missing = Folder::new().path("nowhere.toml");
    let missing = missing.to_str().expect("text");
    for command in ["run", "check"] {
        let run = run(&[command, "--config", missing]).await;
        assert_eq!(run.code, Some(64));
        assert!(run.stderr.contains("nowhere.toml"), "{}", run.stderr);
    }
}

/// A listener with a certificate from files.
fn tls_listener(certificate: &str, key: &str) -> String {
    format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n\
         tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n{ROUTE}"
    )
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_1() {
    let folder = Folder::new();
    let (chain, key) = certificate("localhost");
    folder.write("chain.pem", &chain);
    folder.write("key.pem", &key);
    folder.write("other.pem", &certificate("localhost").1);
    folder.write("empty.pem", "");
    for (certificate, key, named) in [
        ("missing.pem", "key.pem", "missing.pem"),
        ("chain.pem", "missing.pem", "missing.pem"),
        ("chain.pem", "other.pem", "other.pem"),
        ("empty.pem", "key.pem", "empty.pem"),
        ("chain.pem", "empty.pem", "empty.pem"),
        ("chain.pem", "chain.pem", "chain.pem"),
    ] {
        for run in started_with(&folder, &tls_listener(certificate, key)).await {
            assert_eq!(run.code, Some(1), "{certificate} {key}: {run:?}");
            assert!(run.stderr.contains(named), "{named} is not in: {}", run.stderr);
            assert!(!run.stderr.contains("ready"));
        }
    }
}

#[tokio::test]
async fn a_busy_address_is_1() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let config = format!("[[listener]]\naddress = \"{address}\"\n{ROUTE}");
    for run in started_with(&Folder::new(), &config).await {
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains(&address), "{}", run.stderr);
    }
    let run = run(&["run", "--upstream", "http://127.0.0.1:9", "--listen", &address]).await;
    assert_eq!(run.code, Some(1), "{run:?}");
}

#[tokio::test]
async fn a_check_that_finds_no_fault_says_what_would_run() {
    let folder = Folder::new();
    let (chain, key) = certificate("localhost");
    folder.write("chain.pem", &chain);
    folder.write("key.pem", &key);
    let path = folder.write("sse-proxy.toml", &tls_listener("chain.pem", "key.pem"));
    let run = run(&["check", "--config", path.to_str().expect("text")]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("https://127.0.0.1:"), "{}", run.stdout);
    assert!(run.stdout.contains("/* -> http://127.0.0.1:9"), "{}", run.stdout);
}

#[tokio::test]
async fn every_address_is_printed_with_its_real_port_and_served() {
    let origin = Origin::start();
    let more = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"[::1]:0\"\n";
    let config = format!("{more}{}", Proxy::config(&origin, ""));
    let proxy = Proxy::start(&config).await;
    let schemes: Vec<_> = proxy.urls.iter().map(|url| url.rsplit_once(':').expect(url).0).collect();
    let expected = ["http://127.0.0.1", "http://[::1]", "http://127.0.0.1", "https://127.0.0.1"];
    assert_eq!(schemes, expected);
    for url in proxy.urls.iter().filter_map(|url| url.strip_prefix("http://")) {
        let client = Client::h1(url.parse().expect("an address"));
        let (response, ()) = tokio::join!(client.get("/"), async {
            origin.request("/").await.answer("200 OK", "", url).await;
        });
        assert_eq!(response.text().await, url);
    }
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for (version, expected) in [
        (&rustls::version::TLS12, rustls::ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, rustls::ProtocolVersion::TLSv1_3),
    ] {
        let tls = Tls { versions: vec![version], ..Tls::speaking("h2") };
        let stream = tls.connect(proxy.tls()).await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
    }
}

#[tokio::test]
async fn the_protocol_is_agreed_on_by_alpn() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for (offered, expected) in [
        (vec!["h2", "http/1.1"], Some("h2")),
        (vec!["http/1.1", "h2"], Some("h2")),
        (vec!["http/1.1"], Some("http/1.1")),
        (vec![], None),
    ] {
        let tls = Tls { protocols: offered, ..Tls::speaking("") };
        let mut stream = tls.connect(proxy.tls()).await;
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed.as_deref(), expected.map(str::as_bytes));
        if expected != Some("h2") {
            stream.write_all(b"GET /tls HTTP/1.0\r\nHost: h\r\n\r\n").await.expect("connected");
            origin.request("/tls").await.answer("200 OK", "", "over TLS").await;
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            assert!(answer.ends_with("\r\n\r\nover TLS"), "{answer}");
        }
    }
}

#[tokio::test]
async fn the_certificate_is_the_one_for_the_name_that_the_client_wants() {
    let folder = Arc::new(Folder::new());
    for name in ["a.example", "b.example"] {
        let (chain, key) = certificate(name);
        folder.write(&format!("{name}.pem"), &chain);
        folder.write(&format!("{name}.key"), &key);
    }
    let pair = |name| format!("{{ certificate = \"{name}.pem\", key = \"{name}.key\" }}");
    let config = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = {{ certificates = [{}, {}] }}\n{ROUTE}",
        pair("a.example"),
        pair("b.example")
    );
    let proxy = Proxy::start_in(Arc::clone(&folder), &config).await;
    for (name, shown) in
        [("a.example", "a.example"), ("b.example", "b.example"), ("c.example", "a.example")]
    {
        let tls = Tls { name, ..Tls::speaking("h2") };
        let stream = tls.connect(proxy.tls()).await;
        let certificates = stream.get_ref().1.peer_certificates().expect("a certificate");
        let pem = std::fs::read(folder.path(&format!("{shown}.pem"))).expect("a file");
        let expected = CertificateDer::from_pem_slice(&pem);
        assert_eq!(certificates.first(), expected.ok().as_ref(), "{name}");
    }
}

#[tokio::test]
async fn an_interrupt_ends_the_program_at_once() {
    let origin = Origin::start();
    let mut proxy = Proxy::before(&origin, "").await;
    let (mut stream, _exchange) = proxy.h1().open_from(&origin, "/feed").await;
    proxy.signal(Signal::SIGINT);
    assert_eq!(proxy.exit().await.code(), Some(0));
    stream.rest().await;
}
