//! The servers: what they can do, and how they are started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::rows::{Kind, Row, Wire};

/// A server that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// The bare loop.
    Reference,
    /// This project's.
    SseProxy,
    /// nginx with its module for publishing and subscribing.
    Nchan,
    /// Fanout's proxy, published to.
    Pushpin,
    /// A service of axum's `Sse`, fed by a broadcast channel.
    Axum,
    /// A service of Node and better-sse.
    BetterSse,
    /// nginx as a plain proxy.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Caddy.
    Caddy,
    /// Envoy.
    Envoy,
}

/// Where programs are.
#[derive(Debug)]
pub struct Programs {
    /// sse-proxy.
    pub sse_proxy: PathBuf,
    /// What was installed, and not by Debian's means.
    pub folder: PathBuf,
}

/// Where everything listens in a run.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The source.
    pub source: u16,
    /// The server, plain.
    pub plain: u16,
    /// The server, TLS.
    pub tls: u16,
    /// What else the server wants.
    pub control: u16,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Reference,
        Self::SseProxy,
        Self::Nchan,
        Self::Pushpin,
        Self::Axum,
        Self::BetterSse,
        Self::Nginx,
        Self::Haproxy,
        Self::Caddy,
        Self::Envoy,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::SseProxy => "sse-proxy",
            Self::Nchan => "Nchan",
            Self::Pushpin => "Pushpin",
            Self::Axum => "axum Sse",
            Self::BetterSse => "better-sse",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Caddy => "Caddy",
            Self::Envoy => "Envoy",
        }
    }

    /// Whether it can do what a row asks for.
    pub fn can(self, row: &Row) -> bool {
        match (row.kind, self) {
            (_, Self::SseProxy) => true,
            // One refuses some that are opened that fast, the other takes far longer to let them in
            // than is measured.
            (_, Self::Pushpin | Self::BetterSse) if row.stampede > 0 => false,
            // Libraries of services, which have their say with a thousand readers.
            (_, Self::Axum | Self::BetterSse) if row.streams > 1000 => false,
            (Kind::Mux | Kind::Many, _) => false,
            (_, Self::Reference)
            | (Kind::Shared, Self::Nchan | Self::Pushpin | Self::BetterSse) => row.wire != Wire::H2,
            (Kind::Shared, Self::Axum) => row.wire == Wire::Plain,
            (Kind::Shared, _) => false,
            (Kind::Private, server) => {
                matches!(server, Self::Nginx | Self::Haproxy | Self::Caddy | Self::Envoy)
            }
        }
    }

    /// Programs from Debian, and the packages that bring them.
    pub fn packages(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Nginx => &[("/usr/sbin/nginx", "nginx")],
            Self::Nchan => &[
                ("/usr/sbin/nginx", "nginx"),
                ("/usr/lib/nginx/modules/ngx_nchan_module.so", "libnginx-mod-nchan"),
            ],
            Self::Haproxy => &[("/usr/sbin/haproxy", "haproxy")],
            Self::Pushpin => &[("/usr/bin/pushpin", "pushpin")],
            Self::Caddy | Self::Envoy => &[("/usr/share/python-wheels", "python3-venv")],
            Self::BetterSse => &[("/usr/bin/node", "nodejs"), ("/usr/bin/npm", "npm")],
            Self::Reference | Self::SseProxy | Self::Axum => &[],
        }
    }

    /// What the source needs to know to publish to it, if it takes events by POST.
    pub fn publishing(self, ports: Ports, folder: &Path) -> Option<Vec<String>> {
        match self {
            Self::Nchan => {
                Some(vec![format!("--publish=http://127.0.0.1:{}/publish", ports.plain)])
            }
            Self::Pushpin => Some(vec![
                format!("--publish=http://127.0.0.1:{}/publish/", ports.control),
                format!("--publish-as={}", folder.join("pushpin.publish").display()),
            ]),
            _ => None,
        }
    }

    /// How it is started, once its configuration is in `folder`.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub fn command(
        self,
        row: &Row,
        ports: Ports,
        programs: &Programs,
        folder: &Path,
    ) -> io::Result<Command> {
        let put = |name: &str, text: &str| -> io::Result<String> {
            let text = text
                .replace("{source}", &ports.source.to_string())
                .replace("{port}", &ports.plain.to_string())
                .replace("{tls}", &ports.tls.to_string())
                .replace("{control}", &ports.control.to_string())
                .replace("{workers}", "1")
                .replace("{history}", &row.history.to_string())
                .replace("{dir}", &folder.display().to_string());
            let path = folder.join(name);
            fs::write(&path, text)?;
            Ok(path.display().to_string())
        };
        let ourselves = std::env::current_exe()?;
        let python = programs.folder.join("python/bin");
        let (program, arguments) = match self {
            Self::Reference => {
                let kind = if row.kind == Kind::Shared { "fanout" } else { "relay" };
                let port = if row.wire == Wire::Plain { ports.plain } else { ports.tls };
                let mut arguments = vec![
                    "load".to_owned(),
                    format!("--reference={kind}"),
                    format!("--listen=127.0.0.1:{port}"),
                    format!("--upstream=127.0.0.1:{}", ports.source),
                ];
                arguments.extend((row.wire == Wire::Tls).then(|| "--tls".to_owned()));
                (ourselves, arguments)
            }
            Self::SseProxy => {
                let config = put("sse-proxy.toml", include_str!("conf/sse-proxy.toml"))?;
                (programs.sse_proxy.clone(), vec!["run".into(), "--config".into(), config])
            }
            Self::Nginx | Self::Nchan => {
                let text = match self {
                    Self::Nchan => include_str!("conf/nchan.conf"),
                    _ => include_str!("conf/nginx.conf"),
                };
                let prefix = folder.display().to_string();
                let config = put("nginx.conf", text)?;
                ("/usr/sbin/nginx".into(), vec!["-p".into(), prefix, "-c".into(), config])
            }
            Self::Haproxy => {
                let config = put("haproxy.cfg", include_str!("conf/haproxy.cfg"))?;
                ("/usr/sbin/haproxy".into(), vec!["-f".into(), config])
            }
            Self::Caddy => {
                let config = put("Caddyfile", include_str!("conf/Caddyfile"))?;
                (python.join("caddy"), vec!["run".into(), "--config".into(), config])
            }
            Self::Envoy => {
                let config = put("envoy.yaml", include_str!("conf/envoy.yaml"))?;
                let options = "--concurrency 1 --disable-hot-restart --log-level critical -c";
                let options = options.split(' ').map(str::to_owned);
                (python.join("envoy"), options.chain([config]).collect())
            }
            Self::Pushpin => {
                for name in ["run", "log", "runner/certs"] {
                    fs::create_dir_all(folder.join(name))?;
                }
                for (ours, theirs) in [("cert.pem", "crt"), ("key.pem", "key")] {
                    let theirs = format!("runner/certs/default_{}.{theirs}", ports.tls);
                    fs::copy(folder.join(ours), folder.join(theirs))?;
                }
                put("routes", include_str!("conf/pushpin.routes"))?;
                put("pushpin.publish", include_str!("conf/pushpin.publish"))?;
                let config = put("pushpin.conf", include_str!("conf/pushpin.conf"))?;
                ("/usr/bin/pushpin".into(), vec![format!("--config={config}")])
            }
            Self::Axum => {
                let ports = [ports.source.to_string(), ports.plain.to_string()];
                (ourselves, [vec!["axum".to_owned()], ports.to_vec()].concat())
            }
            Self::BetterSse => {
                let script = put("better-sse.mjs", include_str!("conf/better-sse.mjs"))?;
                let numbers = [ports.source, ports.plain, ports.tls].map(|port| port.to_string());
                let [source, plain, tls] = numbers;
                let modules = programs.folder.display().to_string();
                let folder = folder.display().to_string();
                ("/usr/bin/node".into(), vec![script, modules, source, plain, tls, folder])
            }
        };
        let mut command = Command::new(program);
        // No log of every stream, as with the others; one thread for Go.
        command.args(arguments).env("RUST_LOG", "warn").env("GOMAXPROCS", "1").current_dir(folder);
        Ok(command)
    }
}
