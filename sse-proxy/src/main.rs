//! The `sse-proxy` command.

mod cli;

use std::convert::Infallible;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use sse_proxy::config::{Config, ConfigError, LogFormat};
use sse_proxy::{Proxy, Reload, StartError, Stop, demo};
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
        Command::Run(args) => {
            let file = args.config.clone();
            args.into_config().map_err(Failure::from).and_then(|config| run(config, file))
        }
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

fn run(config: Config, file: Option<PathBuf>) -> Result<(), Failure> {
    log_to_stderr(config.log.format, "info");
    let proxy = Proxy::bind(config)?;
    for url in proxy.urls() {
        eprintln!("listening on {url}");
    }
    if let Some(url) = proxy.admin_url() {
        eprintln!("admin on {url}");
    }
    let reload = proxy.reload();
    proxy.run(async move {
        tokio::select! {
            biased;
            never = reload_when_told(&reload, file.as_deref()) => match never {},
            stop = stopped(|| eprintln!("ready")) => stop,
        }
    });
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

/// Reads the configuration file again whenever the process is told to (SIGHUP). One that is wrong
/// changes nothing.
async fn reload_when_told(reload: &Reload, file: Option<&Path>) -> Infallible {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::warn!("signals cannot be caught: SIGHUP will not reload");
        return std::future::pending().await;
    };
    while hangup.recv().await.is_some() {
        let Some(file) = file else {
            tracing::warn!("SIGHUP: there is no configuration file to read again");
            continue;
        };
        let applied = Config::load(file).map_err(Failure::from).and_then(|config| {
            let left_alone = reload.apply(&config)?;
            Ok(left_alone)
        });
        match applied {
            Ok(left_alone) if left_alone.is_empty() => tracing::info!("configuration reloaded"),
            Ok(left_alone) => tracing::warn!(
                at_next_start = left_alone.join(", "),
                "configuration reloaded, but not all that has changed"
            ),
            Err(failure) => {
                tracing::error!(
                    error = failure.what,
                    "configuration not reloaded, nothing changed"
                );
            }
        }
    }
    std::future::pending().await
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
    let level = format!("{level},pingora=error,pingora_core=error,pingora_core::apps=off");
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
