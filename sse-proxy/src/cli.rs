//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sse_layer::Repairs;

use sse_proxy::config::{self, Config, ConfigError, Listener, Route, Tls, Upstream};

/// A proxy for Server-Sent Events.
///
/// Mends the streams of servers that you cannot change, shares one origin connection among all
/// readers of a feed, keeps history for those who come back, and merges many feeds on one browser
/// connection.
#[derive(Debug, Parser)]
#[command(name = "sse-proxy", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve, by a configuration file or for one upstream.
    ///
    /// Prints one line per bound address and then `ready` to standard error. SIGTERM drains:
    /// streams are ended over the configured window, and clients told when to come back. SIGHUP reads
    /// the configuration's routes and certificates again, and ends no stream.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// See the point: a legacy origin, the proxy before it, and a page that shows both.
    Demo {
        /// Address of the page.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
        listen: SocketAddr,
    },
    /// Check a configuration file: parse it, load its certificates, try its addresses.
    ///
    /// Prints what would run, and what is found at each origin. Exits with 0 if it would, with 1 if
    /// a certificate or an address cannot be used, with 64 if the file is wrong. An origin that is
    /// not there now is told, and is no fault.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  sse-proxy run --config sse-proxy.toml
  sse-proxy run --upstream http://127.0.0.1:3000 --repair legacy --stream shared
  sse-proxy run --upstream http://127.0.0.1:3000 --self-signed --listen 0.0.0.0:443";

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["config", "upstream"]))]
pub(crate) struct RunArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The origin of every request.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<Upstream>,
    /// Address to listen on [default: 127.0.0.1:8080, with TLS 127.0.0.1:8443].
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    pub(crate) listen: Option<SocketAddr>,
    /// Speak TLS with a certificate made at start, for development.
    #[arg(long, conflicts_with = "config")]
    pub(crate) self_signed: bool,
    /// What to mend: off, safe, legacy, or repairs by name.
    #[arg(
        long,
        value_name = "REPAIR",
        value_delimiter = ',',
        default_value = "safe",
        conflicts_with = "config"
    )]
    pub(crate) repair: Vec<Repairs>,
    /// Who shares an origin stream.
    #[arg(long, value_enum, default_value_t, conflicts_with = "config")]
    pub(crate) stream: StreamArg,
}

/// [`config::Stream`], as an argument.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum StreamArg {
    /// One origin stream per client.
    #[default]
    Private,
    /// One origin stream for all.
    Shared,
    /// Plain proxy.
    Off,
}

impl From<StreamArg> for config::Stream {
    fn from(arg: StreamArg) -> Self {
        match arg {
            StreamArg::Private => Self::Private,
            StreamArg::Shared => Self::Shared,
            StreamArg::Off => Self::Off,
        }
    }
}

impl RunArgs {
    /// The configuration that the arguments name or make up.
    pub(crate) fn into_config(self) -> Result<Config, ConfigError> {
        if let Some(file) = &self.config {
            return Config::load(file);
        }
        let mut config = Config::default();
        let port = if self.self_signed { 8443 } else { 8080 };
        let address = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)));
        config.listener.push(Listener::new(address, self.self_signed.then_some(Tls::SelfSigned)));
        config.mux.page = address.ip().is_loopback();
        if let Some(upstream) = self.upstream {
            let mut route = Route::new(config::PathPattern::everything(), upstream);
            route.repair = self.repair.into_iter().collect();
            route.stream = self.stream.into();
            config.route.push(route);
        }
        Ok(config)
    }
}
