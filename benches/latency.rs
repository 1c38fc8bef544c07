//! How long one event takes from an origin to a client: direct, and through the proxy.
//!
//!     cargo bench --bench latency
//!     cargo bench --bench latency -- --events 2000 --clients 100 --rate 100
//!
//! Origin, proxy and clients run in one process on loopback, so that one clock stamps and reads.
//! Every client must get every event once and in order, or the run fails.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hdrhistogram::Histogram;
use hyper::body::Incoming;
use sse_workspace::origin::Origin;
use sse_workspace::{client, proxy};

/// How long one event takes from an origin to a client.
#[derive(Parser)]
struct Args {
    /// Events on each stream.
    #[arg(long, default_value_t = 1000)]
    events: u64,
    /// Clients at once.
    #[arg(long, default_value_t = 10)]
    clients: usize,
    /// Events per second and origin stream.
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The longest delay that is told from longer ones, in microseconds.
const LONGEST: u64 = 60_000_000;

#[derive(Clone, Copy)]
enum Way {
    Direct,
    H1(&'static str),
    H2(&'static str),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    println!(
        "{} events, {} per second, {} clients, {} cores; microseconds",
        args.events,
        args.rate,
        args.clients,
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    println!("{:24} {:>8} {:>8} {:>8} {:>8}", "", "median", "p99", "max", "origins");
    let ways = [
        ("direct, H1", Way::Direct),
        ("private, H1", Way::H1("/private")),
        ("private, H2 with TLS", Way::H2("/private")),
        ("shared, H1", Way::H1("/shared")),
        ("shared, H2 with TLS", Way::H2("/shared")),
    ];
    for (name, way) in ways {
        match runtime.block_on(measure(way, &args)) {
            Ok((delays, origins)) => println!(
                "{name:24} {:>8} {:>8} {:>8} {origins:>8}",
                delays.value_at_quantile(0.5),
                delays.value_at_quantile(0.99),
                delays.max(),
            ),
            Err(error) => return failed(&error),
        }
    }
    ExitCode::SUCCESS
}

fn failed(error: &io::Error) -> ExitCode {
    eprintln!("latency: {error}");
    ExitCode::FAILURE
}

/// Delays in microseconds, and how many connections the origin had.
async fn measure(way: Way, args: &Args) -> io::Result<(Histogram<u64>, usize)> {
    let period = Duration::from_secs(1) / u32::try_from(args.rate.max(1)).unwrap_or(u32::MAX);
    let origin = Origin::start(args.events, period).await?;
    let bodies = open(way, origin.address, args.clients).await?;
    origin.go();
    let clients: Vec<_> =
        bodies.into_iter().map(|body| tokio::spawn(client::read(body, args.events))).collect();
    let mut delays = Histogram::new_with_bounds(1, LONGEST, 3).map_err(io::Error::other)?;
    for client in clients {
        let seen = client.await.map_err(io::Error::other)??;
        if seen.out_of_order > 0 {
            return Err(io::Error::other("events were lost, doubled or swapped"));
        }
        for delay in seen.delays {
            delays.saturating_record(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX));
        }
    }
    Ok((delays, origin.connections()))
}

async fn open(way: Way, origin: SocketAddr, clients: usize) -> io::Result<Vec<Incoming>> {
    if matches!(way, Way::Direct) {
        return client::open_h1(origin, "/", clients).await;
    }
    let (plain, tls) = proxy::start(origin);
    match way {
        Way::Direct => Ok(Vec::new()),
        Way::H1(path) => client::open_h1(plain, path, clients).await,
        Way::H2(path) => client::open_h2(tls, path, clients).await,
    }
}
