//! [`Proxy`]: the program, running.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::{Client, Folder, Origin, within};

/// A plain address and one with TLS, as a configuration begins.
pub(crate) const LISTENERS: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
                                    [[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"self-signed\"\n";

/// The program, serving. Killed when dropped.
pub(crate) struct Proxy {
    child: Child,
    log: watch::Receiver<Vec<String>>,
    /// The bound addresses in the order of the configuration, as the program printed them.
    pub(crate) urls: Vec<String>,
    _folder: Arc<Folder>,
}

impl Proxy {
    /// Runs the program with this configuration, and returns when it is ready.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_in(Arc::new(Folder::new()), config).await
    }

    /// The same, with the configuration in a folder that has more in it.
    pub(crate) async fn start_in(folder: Arc<Folder>, config: &str) -> Self {
        Self::start_under(folder, config, &[]).await
    }

    /// The same, with more in the program's environment.
    pub(crate) async fn start_under(
        folder: Arc<Folder>,
        config: &str,
        environment: &[(&str, PathBuf)],
    ) -> Self {
        let path = folder.write("sse-proxy.toml", config);
        let mut child = Command::new(env!("CARGO_BIN_EXE_sse-proxy"))
            .args(["run", "--config"])
            .arg(path)
            .env_remove("RUST_LOG")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program runs");
        let stderr = child.stderr.take().expect("piped");
        let (written, mut log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                written.send_modify(|log: &mut Vec<String>| log.push(line));
            }
        });
        let is_ready = |log: &Vec<String>| log.iter().any(|line| line == "ready");
        let is_ready = within("the proxy gets ready", log.wait_for(is_ready)).await.is_ok();
        assert!(is_ready, "the program ended: {:?}", *log.borrow());
        let url = |line: &String| line.strip_prefix("listening on ").map(str::to_owned);
        let urls = log.borrow().iter().filter_map(url).collect();
        Self { child, log, urls, _folder: folder }
    }

    /// Runs the program before `origin`: one route for everything, with these keys, at a plain
    /// and at a TLS address.
    pub(crate) async fn before(origin: &Origin, keys: &str) -> Self {
        Self::start(&Self::config(origin, keys)).await
    }

    /// The configuration of [`before`](Self::before), for tests that add to it.
    pub(crate) fn config(origin: &Origin, keys: &str) -> String {
        Self::route(&format!("upstream = \"{}\"\n{keys}", origin.url()))
    }

    /// Runs the program before whatever `keys` name as upstream, in this folder: one route for
    /// everything, at a plain and at a TLS address.
    pub(crate) async fn with_upstream(folder: Arc<Folder>, keys: &str) -> Self {
        Self::start_in(folder, &Self::route(keys)).await
    }

    fn route(keys: &str) -> String {
        format!("{LISTENERS}[[route]]\npath = \"/*\"\n{keys}\n")
    }

    fn address(&self, scheme: &str) -> SocketAddr {
        let of_scheme = |url: &String| url.strip_prefix(scheme)?.parse().ok();
        self.urls.iter().find_map(of_scheme).expect("a listener for this")
    }

    /// The first plain address.
    pub(crate) fn plain(&self) -> SocketAddr {
        self.address("http://")
    }

    /// The first TLS address.
    pub(crate) fn tls(&self) -> SocketAddr {
        self.address("https://")
    }

    /// A client of the admin address.
    pub(crate) fn admin(&self) -> Client {
        let log = self.log.borrow();
        let address = log.iter().find_map(|line| line.strip_prefix("admin on http://"));
        Client::h1(address.expect("an admin address").parse().expect("an address"))
    }

    /// A client that speaks HTTP/1.1, each request on a connection of its own.
    pub(crate) fn h1(&self) -> Client {
        Client::h1(self.plain())
    }

    /// A client that speaks HTTP/2 on one TLS connection.
    pub(crate) async fn h2(&self) -> Client {
        Client::h2(self.tls()).await
    }

    /// One client of each kind.
    pub(crate) async fn clients(&self) -> [Client; 2] {
        [self.h1(), self.h2().await]
    }

    /// Waits until a log line has this in it.
    pub(crate) async fn logged(&self, text: &str) {
        let mut log = self.log.clone();
        let has = |log: &Vec<String>| log.iter().any(|line| line.contains(text));
        within(&format!("{text:?} in the log"), log.wait_for(has)).await.expect("still running");
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).expect("running");
        kill(Pid::from_raw(pid), signal).expect("a process of ours");
    }

    /// Waits for the program's end.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        within("the proxy exits", self.child.wait()).await.expect("a child of ours")
    }

    /// How much memory the program has used at most, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// How much memory the program uses, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// How much a thread of the program has worked, in the system's ticks: nothing, if it has yet to
    /// begin.
    pub(crate) fn work_of(&self, thread: &str) -> u64 {
        let pid = self.child.id().expect("running");
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("Linux");
        let stats = tasks.map(|task| task.expect("a task").path().join("stat"));
        let mut stats = stats.filter_map(|stat| std::fs::read_to_string(stat).ok());
        let Some(stat) = stats.find(|stat| stat.contains(&format!("({thread})"))) else {
            return 0;
        };
        let fields: Vec<_> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
        ticks(11) + ticks(12)
    }

    fn status(&self, key: &str) -> u64 {
        let pid = self.child.id().expect("running");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib << 10
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the proxy's log:\n{}", self.log());
        }
    }
}
