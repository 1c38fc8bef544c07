//! [`Echo`]: a real server of every kind, in Node.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Folder, certificate, within};

/// One process that listens in many ways. Its certificate is for `localhost`.
pub(crate) struct Echo {
    pub(crate) ports: Ports,
    pub(crate) folder: Arc<Folder>,
    _child: Child,
}

#[derive(Deserialize)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) http6: u16,
    pub(crate) https: u16,
    pub(crate) h2c: u16,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let folder = Arc::new(Folder::new());
        let (cert, key) = certificate("localhost");
        folder.write("key.pem", &key);
        let cert = folder.write("cert.pem", &cert);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/support/echo.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(cert.parent().expect("in a folder"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is installed");
        let stdout = child.stdout.take().expect("piped");
        let mut lines = BufReader::new(stdout).lines();
        let line = within("node listens", lines.next_line()).await.expect("text");
        let ports = serde_json::from_str(&line.expect("a line")).expect("ports");
        Self { ports, folder, _child: child }
    }

    /// Where plain HTTP/1.1 is spoken.
    pub(crate) fn plain(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.http))
    }

    /// Where TLS is spoken.
    pub(crate) fn tls(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.https))
    }

    /// Every way to write it as an upstream: the keys of a route, and the version of HTTP that is
    /// spoken then.
    pub(crate) fn upstreams(&self) -> [(String, &'static str); 5] {
        let Ports { http, http6, https, h2c } = self.ports;
        let socket = self.folder.path("echo.sock");
        [
            (format!("upstream = \"http://127.0.0.1:{http}\""), "1.1"),
            (format!("upstream = \"http://[::1]:{http6}\""), "1.1"),
            (format!("upstream = \"unix:{}\"", socket.display()), "1.1"),
            (format!("upstream = \"h2c://localhost:{h2c}\""), "2.0"),
            (
                format!(
                    "upstream = \"https://localhost:{https}\"\nupstream_tls = {{ ca = \"cert.pem\" }}"
                ),
                "2.0",
            ),
        ]
    }
}
