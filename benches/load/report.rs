//! What a run has found.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::args::Args;
use super::clock::SECOND;
use super::histogram::Times;
use super::process::Usage;
use super::tally::Tally;

/// A run's result. Times are in nanoseconds unless the name says otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub title: String,
    /// What was read.
    pub url: String,
    /// Streams that were asked for.
    pub streams: usize,
    /// Whether over HTTP/2.
    pub h2: bool,
    /// The machine, and when.
    pub machine: String,
    /// Streams that were open at the end.
    pub open: u64,
    /// Seconds until all were.
    pub open_seconds: f64,
    /// Streams opened in each of them.
    pub opened_per_second: f64,
    /// From the first try to a connection that can be asked.
    pub connect: Summary,
    /// To the first byte of the response.
    pub first_byte: Summary,
    /// To the first event.
    pub first_event: Summary,
    /// Seconds that were measured; what follows was seen in them.
    pub measured_seconds: f64,
    /// Events, at all readers together.
    pub events: u64,
    /// Events in a second.
    pub events_per_second: f64,
    /// Bytes in a second, with all framing.
    pub bytes_per_second: f64,
    /// Events that came with one read. Much more than one: they were joined.
    pub events_per_read: f64,
    /// From when an event was due to its arrival.
    pub latency: Summary,
    /// The latency that a share of the events did not exceed.
    pub latency_curve: Vec<(f64, u64)>,
    /// The 99th percentiles of the latencies of fiftieths of a second: see [`super::slices`].
    pub p99_of_slices: Summary,
    /// From an event's first arrival to its last, if all read one feed.
    pub first_to_last: Summary,
    /// From when an event was due to its last arrival.
    pub to_last: Summary,
    /// Numbers that did not come, in the whole run as the three that follow.
    pub lost: i64,
    /// Numbers that came again.
    pub doubled: u64,
    /// Numbers that came after a later one.
    pub swapped: u64,
    /// Numbers missing at slow readers, or after a gap that was told.
    pub missed: i64,
    /// Gaps that were told.
    pub gaps: u64,
    /// Streams that ended.
    pub ended: u64,
    /// Streams opened, those that came back included.
    pub opened: u64,
    /// Streams that came back.
    pub reopened: u64,
    /// Streams refused for good.
    pub refused: u64,
    /// Faults, and how often.
    pub faults: BTreeMap<String, u64>,
    /// Processors that the readers kept busy.
    pub own_cpu: f64,
    /// What the server used.
    pub server: Option<Server>,
    /// How it went.
    pub moments: Vec<Moment>,
}

/// A distribution of times.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Summary {
    /// How many.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// Nine of ten are no longer.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p999: u64,
    /// 9,999 of 10,000.
    pub p9999: u64,
    /// The longest.
    pub max: u64,
}

/// What the server's processes used.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Server {
    /// Resident bytes before the first stream.
    pub memory_before: u64,
    /// When all were open, and had settled.
    pub memory_open: u64,
    /// At the end.
    pub memory_after: u64,
    /// What each stream added, in KiB.
    pub memory_per_stream: f64,
    /// Milliseconds of processor time for each stream that was opened.
    pub cpu_per_open: f64,
    /// Processors kept busy while measured.
    pub cpu: f64,
    /// Seconds of processor time for a million events.
    pub cpu_per_million: f64,
}

/// What the server used by the ends of the phases.
#[derive(Clone, Copy, Debug)]
pub struct Usages {
    /// Before the first stream.
    pub before: Usage,
    /// When all were open.
    pub opened: Usage,
    /// When what is measured began.
    pub settled: Usage,
    /// When it ended.
    pub after: Usage,
}

/// A short while of a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Moment {
    /// Its end, in seconds since the start.
    pub time: f64,
    /// Whether it counts.
    pub is_measured: bool,
    /// Streams open.
    pub open: u64,
    /// Events in a second.
    pub events_per_second: f64,
    /// Median latency.
    pub p50: u64,
    /// Its 99th percentile.
    pub p99: u64,
    /// The longest.
    pub max: u64,
    /// The server's memory.
    pub memory: u64,
    /// The server's processor time since it began.
    pub cpu: u64,
}

impl Report {
    /// Puts it together from what was seen while streams were opened, and then.
    pub fn new(
        args: &Args,
        open_time: Duration,
        measured: Duration,
        opening: &Tally,
        seen: &Tally,
        usages: Usages,
        moments: Vec<Moment>,
    ) -> Self {
        let mut all = opening.clone();
        all.merge_later(seen);
        let seconds = measured.as_secs_f64();
        let readers = args.streams.saturating_sub(args.slow) as u64;
        let (first_to_last, to_last) = seen.spread.times(readers);
        Self {
            title: args.title.clone(),
            url: args.url.clone().unwrap_or_default(),
            streams: args.streams,
            h2: args.h2,
            machine: super::machine::describe(),
            open: seen.open,
            open_seconds: open_time.as_secs_f64(),
            opened_per_second: opening.opened as f64 / open_time.as_secs_f64(),
            connect: Summary::of(&all.connect),
            first_byte: Summary::of(&all.first_byte),
            first_event: Summary::of(&all.first_event),
            measured_seconds: seconds,
            events: seen.events,
            events_per_second: seen.events as f64 / seconds,
            bytes_per_second: seen.bytes as f64 / seconds,
            events_per_read: seen.events as f64 / seen.reads.max(1) as f64,
            latency: Summary::of(&seen.latency),
            latency_curve: seen.latency.curve(),
            p99_of_slices: Summary::of(&seen.slices.p99),
            first_to_last: Summary::of(&first_to_last),
            to_last: Summary::of(&to_last),
            lost: all.lost,
            doubled: all.doubled,
            swapped: all.swapped,
            missed: all.missed,
            gaps: all.gaps,
            ended: all.ended,
            opened: all.opened,
            reopened: all.reopened,
            refused: all.refused,
            faults: all.faults,
            own_cpu: seen.cpu as f64 / SECOND as f64 / seconds,
            server: (!args.pid.is_empty()).then(|| Server::new(opening, seen, usages, seconds)),
            moments,
        }
    }

    /// Whether all that should have come did, once and in order, to all streams.
    pub fn is_sound(&self) -> bool {
        let is_right = self.lost == 0 && self.doubled == 0 && self.swapped == 0;
        is_right && self.refused == 0 && self.opened - self.reopened == self.streams as u64
    }
}

impl Summary {
    /// The shares of a distribution that are told.
    pub fn of(times: &Times) -> Self {
        Self {
            count: times.count(),
            p50: times.quantile(0.5),
            p90: times.quantile(0.9),
            p99: times.quantile(0.99),
            p999: times.quantile(0.999),
            p9999: times.quantile(0.9999),
            max: times.longest(),
        }
    }
}

impl Server {
    fn new(opening: &Tally, seen: &Tally, usages: Usages, seconds: f64) -> Self {
        let Usages { before, opened, settled, after } = usages;
        let per = |used: u64, count: u64| used as f64 / count.max(1) as f64;
        let opening_cpu = opened.cpu.saturating_sub(before.cpu);
        let cpu = after.cpu.saturating_sub(settled.cpu);
        Self {
            memory_before: before.memory,
            memory_open: settled.memory,
            memory_after: after.memory,
            memory_per_stream: (settled.memory as f64 - before.memory as f64)
                / 1024.0
                / opening.opened.max(1) as f64,
            cpu_per_open: per(opening_cpu, opening.opened) / 1e6,
            cpu: cpu as f64 / SECOND as f64 / seconds,
            // Nanoseconds for one are milliseconds for a million.
            cpu_per_million: per(cpu, seen.events) / 1e3,
        }
    }
}

impl Moment {
    /// What was seen from one time to the next.
    pub fn new(
        start: Instant,
        from: Instant,
        to: Instant,
        seen: &Tally,
        usage: Usage,
        is_measured: bool,
    ) -> Self {
        Self {
            time: (to - start).as_secs_f64(),
            is_measured,
            open: seen.open,
            events_per_second: seen.events as f64 / (to - from).as_secs_f64().max(1e-9),
            p50: seen.latency.quantile(0.5),
            p99: seen.latency.quantile(0.99),
            max: seen.latency.longest(),
            memory: usage.memory,
            cpu: usage.cpu,
        }
    }
}
