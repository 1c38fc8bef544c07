//! SIGHUP: another configuration, while streams go on.

use std::sync::Arc;

use nix::sys::signal::Signal;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::support::{Folder, LISTENERS, Origin, Proxy, Tls, certificate, eventually};

fn route(path: &str, origin: &Origin, keys: &str) -> String {
    let upstream = origin.url();
    format!("[[route]]\npath = \"{path}\"\nupstream = \"{upstream}\"\n{keys}\n")
}

/// Has the proxy read this configuration, and waits for what it says to it.
async fn reload(proxy: &Proxy, folder: &Folder, config: &str, told: &str) {
    folder.write("sse-proxy.toml", config);
    proxy.signal(Signal::SIGHUP);
    proxy.logged(told).await;
}

#[tokio::test]
async fn routes_change_and_no_stream_ends() {
    let (old, new) = (Origin::start(), Origin::start());
    let folder = Arc::new(Folder::new());
    let shared = "stream = \"shared\"";
    let same = route("/same/*", &old, shared);
    let before = [
        LISTENERS,
        &same,
        &route("/moved/*", &old, shared),
        &route("/gone/*", &old, ""),
        &route("/mended/*", &old, ""),
    ];
    let proxy = Proxy::start_in(Arc::clone(&folder), &before.concat()).await;
    let mut open = Vec::new();
    for client in proxy.clients().await {
        for path in ["same", "moved", "gone", "mended"] {
            let path = format!("/{path}/{}", client.protocol());
            let (stream, exchange) = client.open_from(&old, &path).await;
            open.push((stream, exchange, path));
        }
    }
    let after = [
        LISTENERS,
        &same,
        &route("/moved/*", &new, shared),
        &route("/mended/*", &old, "repair = \"legacy\""),
        &route("/added/*", &new, ""),
    ];
    reload(&proxy, &folder, &after.concat(), "configuration reloaded").await;
    for (stream, exchange, path) in &mut open {
        exchange.send(format!("data: {path}\n\n")).await;
        assert_eq!(stream.data().await, *path, "it goes on");
    }
    for client in proxy.clients().await {
        let path = |route: &str| format!("/{route}/{}", client.protocol());
        // The feed of a route that has not changed is still everybody's.
        let mut stream = client.open(&path("same")).await;
        let (_, exchange, _) =
            open.iter_mut().find(|(.., open)| *open == path("same")).expect("it is open");
        exchange.send("data: same\n\n").await;
        assert_eq!(stream.data().await, "same");
        for route in ["moved", "added"] {
            let (mut stream, mut exchange) = client.open_from(&new, &path(route)).await;
            exchange.send("data: new\n\n").await;
            assert_eq!(stream.data().await, "new", "{route}");
        }
        let (mut stream, mut exchange) = client.open_from(&old, &path("mended")).await;
        exchange.send("Data: mended\n\n").await;
        assert_eq!(stream.data().await, "mended");
        assert_eq!(client.get(&path("gone")).await.status, 404);
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_told_and_changes_nothing() {
    let origin = Origin::start();
    let folder = Arc::new(Folder::new());
    let good = [LISTENERS, &route("/feed", &origin, "")].concat();
    let proxy = Proxy::start_in(Arc::clone(&folder), &good).await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let missing = "upstream_tls = { ca = \"missing.pem\" }";
    let tls = format!("[[route]]\npath = \"/x\"\nupstream = \"https://127.0.0.1:9\"\n{missing}\n");
    for (wrong, told) in [
        ("[[route]", "sse-proxy.toml"),
        (&[LISTENERS, &route("/other", &origin, "nonsense = 1")].concat(), "nonsense"),
        (&[LISTENERS, &route("/other", &origin, ""), &tls].concat(), "missing.pem"),
    ] {
        reload(&proxy, &folder, wrong, told).await;
    }
    assert_eq!(proxy.log().matches("configuration not reloaded").count(), 3, "{}", proxy.log());
    assert_eq!(proxy.h1().get("/other").await.status, 404);
    exchange.send("data: x\n\n").await;
    assert_eq!(stream.data().await, "x");
    let (_stream, _exchange) = proxy.h1().open_from(&origin, "/feed").await;
}

#[tokio::test]
async fn what_is_only_read_at_start_is_named() {
    let origin = Origin::start();
    let folder = Arc::new(Folder::new());
    let before = [LISTENERS, &route("/feed", &origin, "")].concat();
    let proxy = Proxy::start_in(Arc::clone(&folder), &before).await;
    let after = [&before, "[limits]\nstreams_per_ip = 7\n[log]\nformat = \"json\"\n"].concat();
    reload(&proxy, &folder, &after, "at_next_start=\"limits, log\"").await;
}

#[tokio::test]
async fn certificates_are_read_again() {
    let origin = Origin::start();
    let folder = Arc::new(Folder::new());
    let tls = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
               tls = { certificate = \"chain.pem\", key = \"key.pem\" }\n";
    let config = [tls, &route("/feed", &origin, "")].concat();
    let write = || {
        let (chain, key) = certificate("a.example");
        folder.write("chain.pem", &chain);
        folder.write("key.pem", &key);
        CertificateDer::from_pem_slice(chain.as_bytes()).expect("a certificate")
    };
    let shown = async |proxy: &Proxy| {
        let tls = Tls { name: "a.example", ..Tls::speaking("h2") };
        let stream = tls.connect(proxy.tls()).await;
        stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned()
    };
    let first = write();
    let proxy = Proxy::start_in(Arc::clone(&folder), &config).await;
    assert_eq!(shown(&proxy).await, first);
    let second = write();
    proxy.signal(Signal::SIGHUP);
    eventually("the second certificate", async || shown(&proxy).await == second).await;
}
