//! A run: starts the workers, leads them through its phases, and asks them what they see.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use super::args::Args;
use super::control::Order;
use super::process::usage;
use super::report::{Moment, Report, Usages};
use super::tally::Tally;
use super::text::duration;

/// Descriptors of a process that are no reader's.
const RESERVED: u64 = 64;

/// How often it is looked whether all streams are open.
const GLANCE: Duration = Duration::from_millis(100);

/// Runs the test that the command line asks for.
///
/// # Errors
///
/// If workers cannot be started, or break down.
pub async fn run(args: &Args) -> io::Result<Report> {
    sleep_until(Instant::now() + Duration::from_secs_f64(args.start_after)).await;
    let mut workers = Workers::start(args)?;
    let before = usage(&args.pid)?;
    let started = Instant::now();
    let mut opening = Tally::default();
    let mut moments = Vec::new();
    let mut last = started;
    let streams = args.streams as u64;
    let deadline = started + Duration::from_secs_f64(args.open_within);
    while opening.open + opening.refused < streams && Instant::now() < deadline {
        sleep_until(last + GLANCE).await;
        let tally = workers.tally().await?;
        let now = Instant::now();
        moments.push(Moment::new(started, last, now, &tally, usage(&args.pid)?, false));
        last = now;
        opening.merge_later(&tally);
        progress(args, &moments, &opening);
    }
    let open_time = started.elapsed();
    let opened = usage(&args.pid)?;

    workers.tell(Order::Go).await?;
    sleep_until(Instant::now() + Duration::from_secs_f64(args.warmup)).await;
    opening.merge_later(&workers.tally().await?);
    let settled = usage(&args.pid)?;

    let mut seen = Tally::default();
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(args.duration);
    let mut last = begin;
    while last < end {
        sleep_until(end.min(last + Duration::from_secs(1))).await;
        let tally = workers.tally().await?;
        let now = Instant::now();
        moments.push(Moment::new(started, last, now, &tally, usage(&args.pid)?, true));
        last = now;
        seen.merge_later(&tally);
        progress(args, &moments, &seen);
    }
    let after = usage(&args.pid)?;
    workers.stop().await?;
    if !args.quiet {
        eprintln!();
    }
    let measured = last - begin;
    let usages = Usages { before, opened, settled, after };
    Ok(Report::new(args, open_time, measured, &opening, &seen, usages, moments))
}

struct Workers(Vec<Worker>);

struct Worker {
    child: Child,
    control: BufReader<UnixStream>,
}

impl Workers {
    fn start(args: &Args) -> io::Result<Self> {
        let room = descriptors()?;
        let least = (args.connections() as u64).div_ceil(room.saturating_sub(RESERVED).max(1));
        let count = args.processes.unwrap_or(1).max(usize::try_from(least).unwrap_or(1)).max(1);
        let share = |at: usize| args.streams * at / count;
        (0..count)
            .map(|at| Worker::start(share(at)..share(at + 1)))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    async fn tell(&mut self, order: Order) -> io::Result<()> {
        for worker in &mut self.0 {
            worker.control.write_all(&[order.byte()]).await?;
        }
        Ok(())
    }

    async fn tally(&mut self) -> io::Result<Tally> {
        self.tell(Order::Tally).await?;
        let mut sum = Tally::default();
        let mut line = String::new();
        for worker in &mut self.0 {
            line.clear();
            if worker.control.read_line(&mut line).await? == 0 {
                return Err(io::Error::other("a process of readers has ended"));
            }
            sum.merge(&serde_json::from_str(&line)?);
        }
        Ok(sum)
    }

    async fn stop(mut self) -> io::Result<()> {
        self.tell(Order::Stop).await?;
        for worker in &mut self.0 {
            worker.child.wait().await?;
        }
        Ok(())
    }
}

impl Worker {
    fn start(streams: std::ops::Range<usize>) -> io::Result<Self> {
        let (control, theirs) = std::os::unix::net::UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let child = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .arg(format!("--worker={}..{}", streams.start, streams.end))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, control: BufReader::new(UnixStream::from_std(control)?) })
    }
}

/// Raises the limit of descriptors to what is allowed, and says what that is.
///
/// # Errors
///
/// If it cannot be read.
pub fn descriptors() -> io::Result<u64> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}

fn progress(args: &Args, moments: &[Moment], seen: &Tally) {
    let Some(moment) = moments.last().filter(|_| !args.quiet) else { return };
    let phase = if moment.is_measured { "measuring" } else { "opening" };
    eprint!(
        "\r{:6.1} s {phase:9} {:>7} open {:>9.0} events/s  p50 {:>9} p99 {:>9}  lost {} doubled {} swapped {}  ",
        moment.time,
        moment.open,
        moment.events_per_second,
        duration(moment.p50),
        duration(moment.p99),
        seen.lost,
        seen.doubled,
        seen.swapped,
    );
}
