//! What the tests start: load testers, sources, references, and the proxy.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use sse_workspace::proxy;

/// A program that serves, and ends with this value.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    /// Kept open, so that it can say more.
    _says: BufReader<ChildStderr>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A source with these options.
pub fn source(options: &str) -> Serving {
    serve(&format!("--source 127.0.0.1:0 {options}"))
}

/// The bare loop that writes a source's feed to all readers.
pub fn fan_out(source: SocketAddr) -> Serving {
    serve(&format!("--reference fanout --listen 127.0.0.1:0 --upstream {source}"))
}

fn serve(options: &str) -> Serving {
    let mut command = tester(options);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("this program");
    let mut says = BufReader::new(child.stderr.take().expect("it was asked for"));
    let mut line = String::new();
    says.read_line(&mut line).expect("where it listens");
    let address = line.split(['/', ' ', '\n']).find_map(|word| word.parse().ok());
    let address = address.unwrap_or_else(|| panic!("{options}: {line}"));
    Serving { address, child, _says: says }
}

/// What a load test has found.
pub struct Outcome {
    /// Whether it was content.
    pub is_content: bool,
    /// What it said on standard error.
    pub said: String,
    report: Value,
}

impl Outcome {
    /// A figure of the report.
    pub fn figure(&self, name: &str) -> f64 {
        self.report[name].as_f64().unwrap_or_else(|| panic!("no {name} in {}", self.report))
    }

    /// The figures, which are whole numbers.
    pub fn counts<const N: usize>(&self, names: [&str; N]) -> [i64; N] {
        names.map(|name| self.report[name].as_i64().expect("a whole number"))
    }

    /// How many of something were timed.
    pub fn timed(&self, name: &str) -> i64 {
        self.report[name]["count"].as_i64().expect("a whole number")
    }

    /// Fails if something was lost, doubled or swapped, or not everything was opened.
    pub fn assert_sound(&self) {
        let wrong = self.counts(["lost", "doubled", "swapped", "refused"]);
        assert_eq!(wrong, [0; 4], "{}", self.report);
        assert!(self.is_content, "{}", self.report);
    }

    /// Fails if anything is wrong, or no event came while it was measured.
    pub fn assert_delivering(&self) {
        self.assert_sound();
        assert!(self.figure("events") > 0.0, "{}", self.report);
    }

    /// The faults.
    pub fn faults(&self) -> String {
        self.report["faults"].to_string()
    }
}

/// Runs a load test to its end.
pub fn load(url: &str, options: &str) -> Outcome {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let name = format!("load-{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let json = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = tester(&format!("--quiet --warmup 0 {options}"));
    let out = command.args(["--url", url, "--json"]).arg(&json).output().expect("this program");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let report = std::fs::read(&json).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let _ = std::fs::remove_file(&json);
    Outcome { is_content: out.status.success(), said, report: report.unwrap_or_default() }
}

fn tester(options: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg("load").args(options.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The proxy before a source, plain and with TLS; its feeds are shared.
pub fn proxied(source: SocketAddr) -> [SocketAddr; 2] {
    let Secret { certificate, key } = &*SECRET;
    let addresses = proxy::start_with(&format!(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [[listener]]
        address = "127.0.0.1:0"
        tls = {{ certificate = {certificate:?}, key = {key:?} }}
        [[route]]
        path = "/feed/*"
        upstream = "http://{source}"
        stream = "shared"
        retry = "100ms"
        "#
    ));
    addresses.try_into().expect("two listeners")
}

/// The file with the certificate that the proxy shows.
pub fn certificate() -> String {
    SECRET.certificate.display().to_string()
}

struct Secret {
    certificate: PathBuf,
    key: PathBuf,
}

static SECRET: LazyLock<Secret> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.expect("a certificate");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (certificate, key) = (folder.join("load-cert.pem"), folder.join("load-key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    Secret { certificate, key }
});
