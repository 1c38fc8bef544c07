//! The `sse-proxy` command.

mod cli;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use sse_proxy::config::{Config, ConfigError, LogFormat};
use sse_proxy::{Proxy, StartError, Stop, demo};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};

/// Could not start, or the check found a fault.
const FAULT: u8 = 1;
/// Wrong usage or configuration.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let asked_for =
                matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked_for { 0 } else { USAGE });
        }
    };
    let done = match cli.command {
        Command::Run(args) => args.into_config().map_err(Failure::from).and_then(run),
        Command::Check { config } => check(&config),
        Command::Demo { listen } => {
            log_to_stderr(LogFormat::Text, "warn");
            demo::run(listen, stopped).map_err(Failure::from)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sse-proxy: {}", failure.what);
            ExitCode::from(failure.code)
        }
    }
}

/// Why the command ends early, for people and for scripts.
struct Failure {
    what: String,
    code: u8,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { what: error.to_string(), code: USAGE }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self { what: error.to_string(), code: FAULT }
    }
}

fn run(config: Config) -> Result<(), Failure> {
    log_to_stderr(config.log.format, "info");
    let proxy = Proxy::bind(config)?;
    for url in proxy.urls() {
        eprintln!("listening on {url}");
    }
    if let Some(url) = proxy.admin_url() {
        eprintln!("admin on {url}");
    }
    proxy.run(stopped(|| eprintln!("ready")));
    Ok(())
}

fn check(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let routes: Vec<_> = config.route.iter().map(ToString::to_string).collect();
    let proxy = Proxy::bind(config)?;
    for url in proxy.urls() {
        println!("listen  {url}");
    }
    if let Some(url) = proxy.admin_url() {
        println!("admin   {url}");
    }
    for route in routes {
        println!("route   {route}");
    }
    let probes = tokio::runtime::Runtime::new().map(|runtime| runtime.block_on(proxy.probe()));
    let probes =
        probes.map_err(|error| Failure { what: format!("no runtime: {error}"), code: FAULT })?;
    for probe in &probes {
        println!("origin  {probe}");
    }
    match probes.iter().find(|probe| probe.is_fault()) {
        Some(probe) => Err(Failure { what: probe.to_string(), code: FAULT }),
        None => Ok(()),
    }
}

/// Resolves when the process is told to go. Says `ready` once it would hear that.
async fn stopped(ready: impl FnOnce() + Send) -> Stop {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be caught: SIGTERM will not drain");
        ready();
        return std::future::pending().await;
    };
    ready();
    tokio::select! {
        _ = terminate.recv() => Stop::Drain,
        _ = interrupt.recv() => Stop::Now,
    }
}

/// Logs to standard error; `RUST_LOG` overrules the level.
fn log_to_stderr(format: LogFormat, level: &str) {
    // What pingora says of single connections is of no use to an operator.
    let level = format!("{level},pingora=error,pingora_core=error");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => log.json().init(),
        _ => log.with_target(false).init(),
    }
}
