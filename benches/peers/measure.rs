//! One run: a source, a server between, and readers, each on the processor that it is given.
//!
//! The server has the first processor for itself, source and readers share the second, so that
//! every server has the same, however many threads it would like to use.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sse_workspace::load::process::family;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::rows::{Beat, Kind, Row, Wire};
use crate::runs::Run;
use crate::servers::{Ports, Programs, Server};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// What all runs have in common.
pub struct Bench {
    programs: Programs,
    seconds: f64,
    is_quick: bool,
    command: String,
    has_two_cores: bool,
    /// Whether processes may be in the system's real-time class.
    may_be_first: bool,
    folder: PathBuf,
}

/// A program that ends with this value, and its children with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One by one: Pushpin's children have groups of their own.
        for pid in family(&[self.0.id()]).into_iter().filter_map(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

impl Bench {
    /// Gets ready to measure, as `command` says.
    ///
    /// # Errors
    ///
    /// If the machine does not tell how many processors it has.
    pub fn new(
        programs: Programs,
        seconds: f64,
        is_quick: bool,
        command: String,
    ) -> io::Result<Self> {
        let folder = programs.folder.join(format!("run-{}", std::process::id()));
        let cores = std::thread::available_parallelism()?.get();
        let has_two_cores = cores > 1 && !is_quick;
        let may_be_first =
            !is_quick && Command::new("chrt").args(["--rr", "1", "true"]).status()?.success();
        Ok(Self { programs, seconds, is_quick, command, has_two_cores, may_be_first, folder })
    }

    /// Measures a server in a row, under a name.
    ///
    /// # Errors
    ///
    /// If something cannot be started, or the load tester gives no report.
    pub async fn run(&self, name: &str, row: &Row, server: Server, round: u32) -> io::Result<Run> {
        fs::create_dir_all(&self.folder)?;
        self.write_certificate()?;
        let report = self.run_in_folder(row, server).await;
        fs::remove_dir_all(&self.folder)?;
        let because = |error| io::Error::other(format!("{} in {name}: {error}", server.name()));
        let report = report.map_err(because)?;
        let (row, server) = (name.to_owned(), server.name().to_owned());
        Ok(Run { command: self.command.clone(), row, server, round, report })
    }

    async fn run_in_folder(&self, row: &Row, server: Server) -> io::Result<Value> {
        let ports = ports()?;
        let command = server.command(row, ports, &self.programs, &self.folder)?;
        let publishing = server.publishing(ports, &self.folder);
        let is_publishing = publishing.is_some();
        let mut source = load(&[format!("--source=127.0.0.1:{}", ports.source)])?;
        source.arg(format!("--size={}", row.size));
        source.args(publishing.unwrap_or_default()).arg(match row.beat {
            Beat::Paced => "--paced".to_owned(),
            Beat::Rate(rate) => format!("--rate={rate}"),
        });
        let port = if row.wire == Wire::Plain { ports.plain } else { ports.tls };
        let _source;
        let running;
        if is_publishing {
            running = self.start(row, command, 0)?;
            listening(if server == Server::Pushpin { ports.control } else { port }).await?;
            listening(port).await?;
            _source = self.start(row, source, 1)?;
            listening(ports.source).await?;
        } else {
            _source = self.start(row, source, 1)?;
            listening(ports.source).await?;
            running = self.start(row, command, 0)?;
            listening(port).await?;
        }
        // A server that has only just begun still finds its feet.
        sleep(Duration::from_millis(300)).await;
        self.read(row, server, ports, running.0.id())
    }

    /// Runs the load tester.
    fn read(&self, row: &Row, server: Server, ports: Ports, pid: u32) -> io::Result<Value> {
        let path = self.folder.join("report.json");
        let seconds = if self.is_quick { 1.0 } else { self.seconds * row.length };
        let mut command = self.readers(row, row.streams, "/feed/0", ports)?;
        command.arg(format!("--duration={seconds}")).arg(format!("--pid={pid}"));
        command.arg(format!("--json={}", path.display()));
        if server == Server::Pushpin {
            // Opened faster, it refuses some.
            command.arg("--ramp=1000").arg("--opening=16");
        }
        if row.beat == Beat::Paced {
            command.arg(format!("--pace=127.0.0.1:{}", ports.source));
        }
        let mut running = self.start(row, command, 1)?;
        let crowd = self.folder.join("crowd.json");
        let stampede = if row.stampede > 0 {
            // They come while the others are measured, for a feed that is silent, and stay longer.
            let mut command = self.readers(row, row.stampede, "/feed/silent", ports)?;
            command.arg(format!("--duration={seconds}")).arg("--start-after=1.5");
            command.arg(format!("--json={}", crowd.display()));
            // Where clients really come from is no processor of the readers': these get it when
            // the readers do not want it.
            Some(self.start(row, behind(&["chrt", "--idle", "0"], &command), 1)?)
        } else {
            None
        };
        running.0.wait()?;
        let mut report: Value = serde_json::from_slice(&fs::read(&path)?)?;
        if let Some(mut stampede) = stampede {
            stampede.0.wait()?;
            let crowd: Value = serde_json::from_slice(&fs::read(&crowd)?)?;
            let of = ["streams", "open", "opened_per_second", "refused", "ended"];
            report["crowd"] = of.into_iter().map(|name| (name, crowd[name].clone())).collect();
        }
        if let Some(report) = report.as_object_mut() {
            report.remove("moments");
            report.remove("latency_curve");
            report.remove("url");
        }
        Ok(report)
    }

    /// The load tester with so many streams of a row; of this feed, if they share one.
    fn readers(
        &self,
        row: &Row,
        streams: usize,
        shared: &str,
        ports: Ports,
    ) -> io::Result<Command> {
        let (scheme, port) = match row.wire {
            Wire::Plain => ("http", ports.plain),
            Wire::Tls | Wire::H2 => ("https", ports.tls),
        };
        let what = match row.kind {
            Kind::Shared => shared.to_owned(),
            Kind::Private => "/private/feed/{i}".to_owned(),
            Kind::Many => "/feed/{i}".to_owned(),
            Kind::Mux => {
                let feeds: Vec<_> =
                    (0..row.feeds).map(|feed| format!("feed=/feed/{feed}")).collect();
                format!("/.sse/mux?{}", feeds.join("&"))
            }
        };
        let streams = if self.is_quick { streams.min(50) } else { streams };
        let mut command = load(&[
            format!("--url={scheme}://localhost:{port}{what}"),
            format!("--streams={streams}"),
            "--insecure".into(),
            "--quiet".into(),
        ])?;
        if row.wire == Wire::H2 {
            command.arg("--h2");
        }
        if row.kind == Kind::Many {
            command.arg(format!("--feeds={}", row.feeds));
        }
        Ok(command)
    }

    /// Starts a program in a group of its own, on a processor of its own.
    fn start(&self, row: &Row, mut command: Command, core: usize) -> io::Result<Running> {
        // Should this process be killed, those that it has started end too, and their children.
        command = behind(&["setpriv", "--pdeathsig", "TERM"], &command);
        // What else runs on the machine does not come in between, as far as this user may say so.
        // At the limit of what a processor can do, the system's own threads must have their turn.
        let first = if row.tells_latency() && self.may_be_first {
            &["chrt", "--rr", "1"]
        } else {
            &["nice", "-n", "-20"]
        };
        command = behind(first, &command);
        if self.has_two_cores {
            command = behind(&["taskset", "-c", &core.to_string()], &command);
        }
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("PEERS_DEBUG").is_none() {
            command.stderr(Stdio::null());
        }
        match command.spawn() {
            Ok(child) => Ok(Running(child)),
            Err(error) => Err(io::Error::other(format!("{command:?}: {error}"))),
        }
    }

    fn write_certificate(&self) -> io::Result<()> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
        let made = made.map_err(io::Error::other)?;
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(self.folder.join("cert.pem"), &certificate)?;
        fs::write(self.folder.join("key.pem"), &key)?;
        fs::write(self.folder.join("both.pem"), certificate + &key)
    }
}

/// A command as the argument of another.
fn behind(words: &[&str], command: &Command) -> Command {
    let (program, first) = words.split_first().unwrap_or((&"env", &[]));
    let mut all = Command::new(program);
    all.args(first).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        value.map(|value| all.env(name, value));
    }
    command.get_current_dir().map(|folder| all.current_dir(folder));
    all
}

/// This program as the load tester.
fn load(arguments: &[String]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("load").args(arguments);
    Ok(command)
}

/// Four ports that are free.
fn ports() -> io::Result<Ports> {
    let free = || std::net::TcpListener::bind("127.0.0.1:0");
    let listeners = [free()?, free()?, free()?, free()?];
    let [source, plain, tls, control] = listeners.map(|it| it.local_addr().map(|it| it.port()));
    Ok(Ports { source: source?, plain: plain?, tls: tls?, control: control? })
}

async fn listening(port: u16) -> io::Result<()> {
    let tries = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(START, tries).await.map_err(|_| io::Error::other("it does not listen"))
}
