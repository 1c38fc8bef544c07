//! sse-proxy beside its peers, and beside the least that a server could do: one command that
//! installs them, runs them in turn, and writes down medians and ratios.
//!
//!     cargo bench --bench peers -- --help

mod axum;
mod figures;
mod install;
mod measure;
mod rows;
mod runs;
mod scale;
mod servers;
mod table;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sse_workspace::load;

use crate::install::install;
use crate::measure::Bench;
use crate::rows::{ROWS, Row};
use crate::scale::SWEEPS;
use crate::servers::Server;

/// sse-proxy beside its peers, in interleaved rounds.
#[derive(Parser)]
#[command(max_term_width = 98)]
struct Args {
    /// Rows to measure, by the beginnings of their names; all if none is given.
    rows: Vec<String>,
    /// Servers to measure; all that can do a row if none is given. May be given several times.
    #[arg(long, value_enum)]
    server: Vec<Server>,
    /// Rounds, in each of which every server has its turn; three times as many where latency
    /// is what is told.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds that each of them is measured.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Where runs and tables go; runs that are there stay, and count.
    #[arg(long, default_value = "target/peers/record")]
    out: PathBuf,
    /// The program sse-proxy; built with all optimizations if not given.
    #[arg(long)]
    sse_proxy: Option<PathBuf>,
    /// A smoke run: few readers, one second, sse-proxy and the reference. Nothing may be lost.
    #[arg(long)]
    quick: bool,
    /// Measures how cost grows, instead of rows; the names are then those of what grows.
    #[arg(long, conflicts_with = "quick")]
    scale: bool,
    /// Lists the rows.
    #[arg(long)]
    list: bool,
    /// Writes the table of the runs that are there.
    #[arg(long)]
    table: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    // This program is also the load tester, the source, the reference and axum's server.
    match std::env::args().nth(1).as_deref() {
        Some("load") => return load::main(std::env::args_os().skip(1)),
        Some("axum") => return axum::main(std::env::args().skip(2)),
        _ => {}
    }
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command that does the same again.
fn command(args: &Args) -> String {
    let mut words = vec!["cargo bench --bench peers --".to_owned()];
    words.extend(args.scale.then(|| "--scale".to_owned()));
    words.push(format!("--rounds {} --seconds {}", args.rounds, args.seconds));
    let servers = args.server.iter().filter_map(Server::to_possible_value);
    words.extend(servers.map(|server| format!("--server {}", server.get_name())));
    words.extend(args.rows.iter().cloned());
    words.join(" ")
}

/// Whether everything came to our own readers and the reference's, once and in order.
fn run(args: &Args) -> io::Result<bool> {
    let is_asked = |name: &str| {
        args.rows.is_empty() || args.rows.iter().any(|start| name.starts_with(start.as_str()))
    };
    if args.list {
        ROWS.iter().for_each(|row| println!("{:20} {}", row.name, row.title));
        SWEEPS.iter().for_each(|sweep| println!("--scale {:12} {}", sweep.name, sweep.what));
        return Ok(true);
    }
    if args.table {
        table::write(&args.out)?;
        return Ok(true);
    }
    let servers = if args.quick {
        vec![Server::Reference, Server::SseProxy]
    } else if args.server.is_empty() {
        Server::ALL.to_vec()
    } else {
        args.server.clone()
    };
    let programs = install(&servers, args.sse_proxy.clone(), args.quick)?;
    let bench = Bench::new(programs, args.seconds, args.quick, command(args))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut is_sound = true;
    let mut measure = |name: &str, row: &Row, server: Server, round: u32| -> io::Result<()> {
        let is_ours = matches!(server, Server::SseProxy | Server::Reference);
        let run = match runtime.block_on(bench.run(name, row, server, round)) {
            // A peer that fails is told of, and ends nothing.
            Err(error) if !is_ours => {
                println!("{name:20} {:12} {round}  FAILED: {error}", server.name());
                return Ok(());
            }
            run => run?,
        };
        println!("{}", runs::line(row, &run));
        is_sound &= run.is_sound() || !is_ours;
        if args.quick { Ok(()) } else { runs::keep(&args.out, &run) }
    };
    for row in ROWS.iter().filter(|row| !args.scale && is_asked(row.name)) {
        let mut servers: Vec<_> = servers.iter().filter(|server| server.can(row)).collect();
        let rounds = if args.quick { 1 } else { args.rounds * row.rounds };
        for round in 1..=rounds {
            for server in &servers {
                measure(row.name, row, **server, round)?;
            }
            // Nobody comes always after the same one.
            let one = servers.len().min(1);
            servers.rotate_left(one);
        }
    }
    let rounds = args.rounds;
    for sweep in SWEEPS.iter().filter(|sweep| args.scale && is_asked(sweep.name)) {
        for round in 1..=rounds {
            for value in sweep.values {
                let row = (sweep.row)(*value);
                for server in sweep.servers.iter().filter(|server| server.can(&row)) {
                    measure(&sweep.run(*value), &row, *server, round)?;
                }
            }
        }
    }
    if !args.quick {
        table::write(&args.out)?;
    }
    Ok(is_sound)
}
