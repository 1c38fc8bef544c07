//! How streams are opened: how many, how fast, from where, and to whom.

use std::collections::BTreeSet;

use crate::listener::{answering, passing_on};
use crate::rig::{certificate, load, proxied, source};

/// A stream of one event that stays open.
const OPEN: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n: stays\n\n";

pub fn a_template_gives_each_stream_its_feed() {
    let (address, asked) = answering(&[OPEN]);
    let outcome = load(&format!("http://{address}/a/{{i}}?b={{i}}"), "-n 6 --feeds 3 -d 0.1");
    outcome.assert_sound();
    let asked = asked.lock().expect("no other test's");
    let paths: BTreeSet<_> = asked.iter().filter_map(|it| it.head.split(' ').nth(1)).collect();
    assert_eq!(paths, BTreeSet::from(["/a/0?b=0", "/a/1?b=1", "/a/2?b=2"]));
    assert_eq!(asked.len(), 6);
}

pub fn streams_are_opened_at_the_rate_that_is_asked_for() {
    let source = source("--rate 20");
    let [_, tls] = proxied(source.address);
    let slowly = "-n 21 --ramp 20 -d 0.2";
    let plain = load(&format!("http://{}/feed/{{i}}", source.address), slowly);
    let many = "--processes 3 -n 21 --ramp 20 -d 0.2";
    let many = load(&format!("http://{}/feed/{{i}}", source.address), many);
    let url = format!("https://localhost:{}/feed/0", tls.port());
    let h2 = load(&url, &format!("{slowly} --h2 --insecure"));
    for outcome in [plain, many, h2] {
        outcome.assert_delivering();
        // The last of 21 begins a second after the first, or nearly so in the last of three shares.
        assert!(outcome.figure("open_seconds") > 0.8, "{} s", outcome.figure("open_seconds"));
    }
}

pub fn processes_share_the_streams() {
    let source = source("--rate 20");
    let url = format!("http://{}/feed/0", source.address);
    let outcome = load(&url, "-n 7 --processes 3 -d 0.5");
    outcome.assert_delivering();
    assert_eq!(outcome.counts(["open", "opened"]), [7, 7]);
    // An event is followed to its last reader, in whichever process.
    assert!(outcome.timed("to_last") > 0);
}

pub fn connections_come_from_several_addresses() {
    let (address, asked) = answering(&[OPEN]);
    load(&format!("http://{address}/"), "-n 6 --sources 3 -d 0.1").assert_sound();
    let asked = asked.lock().expect("no other test's");
    let from: BTreeSet<_> = asked.iter().map(|it| it.from.to_string()).collect();
    assert_eq!(from, ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(str::to_owned).into());
}

pub fn addresses_are_for_servers_of_this_machine_only() {
    let outcome = load("http://[::1]:1/", "-n 1 --sources 2 --open-within 1");
    assert!(!outcome.is_content);
    assert!(outcome.said.contains("--sources: only for a server on 127.0.0.1"), "{}", outcome.said);
}

pub fn streams_of_http2_share_connections() {
    let source = source("--rate 20");
    let (address, connections) = passing_on(proxied(source.address)[1]);
    let url = format!("https://localhost:{}/feed/0", address.port());
    let options = "--h2 --streams-per-connection 4 -n 10 -d 0.5";
    load(&url, &format!("{options} --ca {}", certificate())).assert_delivering();
    assert_eq!(*connections.lock().expect("no other test's"), 3);
}

pub fn a_certificate_is_believed_if_its_issuer_is() {
    let source = source("--rate 20");
    let [_, tls] = proxied(source.address);
    let url = format!("https://localhost:{}/feed/0", tls.port());
    let ca = format!("--ca {}", certificate());
    for protocol in ["", "--h2"] {
        load(&url, &format!("-n 2 -d 0.3 {ca} {protocol}")).assert_delivering();
        let unknown = load(&url, &format!("-n 2 -d 0 --open-within 1 {protocol}"));
        assert!(!unknown.is_content);
        assert_eq!(unknown.counts(["opened"]), [0]);
        assert!(unknown.faults().contains("UnknownIssuer"), "{}", unknown.faults());
        // It is for `localhost`, and for no other name.
        let other = format!("https://127.0.0.1:{}/feed/0", tls.port());
        let other = load(&other, &format!("-n 2 -d 0 --open-within 1 {ca} {protocol}"));
        assert_eq!(other.counts(["opened"]), [0]);
        assert!(other.faults().contains("not valid for name"), "{}", other.faults());
    }
}

pub fn a_server_that_cannot_be_reached_is_a_fault() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let outcome = load(&format!("http://{address}/"), "-n 3 -d 0 --open-within 0.3");
    assert!(!outcome.is_content);
    assert!(outcome.faults().contains("Connection refused"), "{}", outcome.faults());
}
