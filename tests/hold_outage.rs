//! `on_origin_error = "hold"` when the origin cannot be found at all: for long, or by its name.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::{Folder, LISTENERS, Origin, Proxy};

/// The routes, both held.
fn config(upstream: &str) -> String {
    let route = |stream| {
        format!(
            "[[route]]\npath = \"/{stream}/*\"\nupstream = \"{upstream}\"\n\
             stream = \"{stream}\"\non_origin_error = \"hold\"\nkeep_alive = \"200ms\"\n"
        )
    };
    [LISTENERS, &route("shared"), &route("private")].concat()
}

/// What each reader asks for, on each kind of route.
const PATHS: [&str; 2] = ["/shared/feed", "/private/feed"];

/// A file of names in the manner of `/etc/hosts`, which a running program looks into.
struct Names {
    path: PathBuf,
    /// How often it was written: its time must differ for that to be seen.
    written: u64,
}

impl Names {
    fn new(folder: &Folder) -> Self {
        Self { path: folder.write("hosts", ""), written: 0 }
    }

    fn write(&mut self, lines: &str) {
        self.written += 1;
        // Put in place whole: who looked in between would remember the time of a half one.
        let next = self.path.with_extension("next");
        let mut file = File::create(&next).expect("a file of ours");
        file.write_all(lines.as_bytes()).expect("a file of ours");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.written);
        file.set_modified(time).expect("a file of ours");
        std::fs::rename(next, &self.path).expect("a file of ours");
    }

    /// What has a program look there (Debian's libnss-wrapper).
    fn environment(&self) -> [(&'static str, PathBuf); 2] {
        let wrapper = PathBuf::from("libnss_wrapper.so");
        [("LD_PRELOAD", wrapper), ("NSS_WRAPPER_HOSTS", self.path.clone())]
    }
}

// The name goes while streams are open, as when a resolver fails; the streams do not care. Then the
// origin restarts, and is found again as soon as its name is.
#[tokio::test]
async fn a_name_that_is_lost_for_a_while_costs_no_event() {
    let folder = Arc::new(Folder::new());
    let mut names = Names::new(&folder);
    let here = "127.0.0.1 origin.example\n";
    names.write(here);
    let mut origin = Origin::start();
    let upstream = format!("http://origin.example:{}", origin.address.port());
    let environment = names.environment();
    let proxy = Proxy::start_under(folder, &config(&upstream), &environment).await;
    let mut open = Vec::new();
    for client in proxy.clients().await {
        for path in PATHS.map(|path| format!("{path}-{}", client.protocol())) {
            let (mut stream, mut exchange) = client.open_from(&origin, &path).await;
            exchange.send("retry: 1\nid: 1\ndata: 1\n\n").await;
            assert_eq!(stream.data().await, "1", "libnss-wrapper must be installed");
            open.push((stream, exchange, path));
        }
    }
    names.write("");
    for (stream, exchange, _) in &mut open {
        exchange.send("id: 2\ndata: 2\n\n").await;
        assert_eq!(stream.data().await, "2", "an open stream needs no name");
    }
    origin.stop_listening().await;
    let mut waiting = Vec::new();
    for (stream, exchange, path) in open {
        exchange.kill();
        waiting.push((stream, path));
    }
    let origin = origin.restarted();
    proxy.logged("cannot connect: dns error").await;
    names.write(here);
    for (stream, path) in &mut waiting {
        let mut exchange = origin.opened(path).await;
        assert_eq!(exchange.head.text("last-event-id").as_deref(), Some("2"));
        exchange.send("id: 3\ndata: 3\n\n").await;
        assert_eq!(stream.data().await, "3", "{path}");
    }
}

// The real thing, of which `hold` tests shorter ones.
#[tokio::test]
#[ignore = "takes a minute and a half"]
async fn an_origin_that_is_down_for_a_minute_is_waited_for() {
    const OUTAGE: Duration = Duration::from_secs(60);
    let mut origin = Origin::start();
    origin.stop_listening().await;
    let proxy = Proxy::start(&config(&origin.url())).await;
    let mut open = Vec::new();
    for client in proxy.clients().await {
        for path in PATHS.map(|path| format!("{path}-{}", client.protocol())) {
            open.push((client.open(&path).await, path));
        }
    }
    tokio::time::sleep(OUTAGE).await;
    let origin = origin.restarted();
    for (stream, path) in &mut open {
        // The longest pause between attempts is half a minute.
        let mut exchange = loop {
            let asked = tokio::time::timeout(Duration::from_secs(15), origin.request(path));
            if let Ok(exchange) = asked.await {
                break exchange;
            }
        };
        exchange.open().await;
        for n in 1..=3 {
            exchange.send(format!("id: {n}\ndata: {n}\n\n")).await;
        }
        assert_eq!(stream.data_of(3).await, ["1", "2", "3"], "{path}");
    }
    assert_eq!(proxy.log().matches("stream opened").count(), 4, "nobody had to come back");
}
