//! What the layer costs per event, beside the same bodies without it.
//!
//!     cargo bench -p sse-layer --bench layer
//!     taskset -c 1 cargo bench -p sse-layer --bench layer
//!     cargo bench -p sse-layer --bench layer -- --streams 1000 --rounds 20
//!
//! `alone` polls bodies themselves. `hyper` lets hyper's HTTP/1 server send them over loopback,
//! a connection and a task for each; so it tells, system calls included, what an event costs
//! there, of which the layer's cost is a share. A process may open fewer files than that takes, so
//! each server is a process of its own, and its clients are another. In each round each case
//! sends one event on each of its streams, in turns; so what else the machine does is spread over
//! them all. Every event is read and compared before the next round, or the run fails.

mod alone;
mod child;
mod clients;
mod figures;
mod server;
mod source;

use std::error::Error;

use child::Child;
use figures::Figures;
use source::Case;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve", case, streams] => server::run(case.parse()?, streams.parse()?),
        ["clients", address, streams] => clients::run(address, streams.parse()?),
        ["--test", ..] => compare(20, 2),
        _ => compare(option(&args, "--streams", 10_000)?, option(&args, "--rounds", 101)?),
    }
}

/// The number after `name`, or `default`.
fn option(args: &[&str], name: &str, default: usize) -> Result<usize> {
    let value = args.iter().position(|arg| *arg == name).map(|at| args.get(at + 1));
    value.map_or(Ok(default), |value| Ok(value.ok_or("an option without its number")?.parse()?))
}

fn compare(streams: usize, rounds: usize) -> Result<()> {
    figures::print("bodies polled alone", streams, &alone::measure(streams, rounds));

    let count = streams.to_string();
    let start = |case: Case| Child::start(&["serve", case.name(), &count]);
    let mut servers = Case::ALL.into_iter().map(start).collect::<Result<Vec<_>>>()?;
    let mut figures = Figures::new();
    for round in 0..=rounds {
        for at in figures::turns(round) {
            let Some(server) = servers.get_mut(at) else { continue };
            let nanos = server.ask("round")?.parse()?;
            // The first round warms up.
            if round > 0 {
                figures.add(at, nanos);
            }
        }
    }
    figures::print("connections of hyper, HTTP/1", streams, &figures);
    Ok(())
}
