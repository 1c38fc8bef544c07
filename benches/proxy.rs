//! The proxy, in a thread of this process.

use std::net::SocketAddr;
use std::path::Path;

use sse_proxy::config::Config;
use sse_proxy::{Proxy, Stop};

/// Starts a proxy before `origin` with two routes, `/shared` and `/private`, and returns where it
/// listens: plain, and with TLS. It runs as long as the process.
pub fn start(origin: SocketAddr) -> (SocketAddr, SocketAddr) {
    let addresses = start_with(&format!(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [[listener]]
        address = "127.0.0.1:0"
        tls = "self-signed"
        http2 = {{ max_concurrent_streams = 1024 }}
        [[route]]
        path = "/shared"
        upstream = "http://{origin}"
        stream = "shared"
        linger = "0s"
        [[route]]
        path = "/private"
        upstream = "http://{origin}"
        "#
    ));
    (addresses[0], addresses[1])
}

/// Starts a proxy that is configured so, and returns where it listens.
pub fn start_with(text: &str) -> Vec<SocketAddr> {
    let config = Config::parse(text, Path::new("bench")).expect("a right configuration");
    let proxy = Proxy::bind(config).expect("loopback ports");
    let addresses = proxy
        .urls()
        .map(|url| url.rsplit('/').next().unwrap_or_default().parse().expect("an address"))
        .collect();
    std::thread::spawn(|| proxy.run(std::future::pending::<Stop>()));
    addresses
}
