//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use super::clock::SECOND;

const EXAMPLES: &str = "\
EXAMPLES (after `cargo bench --bench load --`)
  A thousand readers of any server, for ten seconds:
    --url http://127.0.0.1:3000/events -n 1000

  A source of ten feeds, ten events a second each, and a proxy in front of it:
    --source 127.0.0.1:4000 --rate 10
    --url http://127.0.0.1:8080/feed/{i} --feeds 10 -n 1000 --pid $(pidof sse-proxy)

  How many deliveries a second a server can make: the source sends an event when the one
  before has come to half of the readers, so that the server never waits and never has two
  to send as one:
    --source 127.0.0.1:4000 --paced
    --url http://127.0.0.1:8080/feed/0 -n 1000 --pace 127.0.0.1:4000

  Ten thousand streams of HTTP/2 on a hundred connections, a tenth of which is cut off every
  two seconds and comes back with its last id:
    --url https://localhost:8443/feed/0 --ca cert.pem --h2 -n 10000 --storm 0.1 --storm-every 2

  What the machine can do, without any server in between: a bare loop that writes the
  same bytes to all readers:
    --reference fanout --listen 127.0.0.1:4001 --upstream 127.0.0.1:4000

WHAT IT READS
  Events of its own source carry a number and a time in their data:
    id: 17
    data: 17 81234567890123 xxxxxxxx
  The number counts up by one in each feed; with it, what is lost, doubled or swapped is found.
  Events with a type (as a multiplexed stream has them) are numbered by type. The time is
  CLOCK_MONOTONIC in nanoseconds, when the event was due and not when there was time to write
  it: so a stall is in every latency it caused (no coordinated omission). Source and readers
  must run on one machine. Any other server's events are counted, and no more.

RECONNECTIONS
  A stream that ends or breaks off comes back as an EventSource does: after the time that the last
  `retry:` told, or three seconds, and with the last id (not with --no-resume). One that is
  answered by another status than 200, or another type than text/event-stream, is refused and does
  not come back. Redirections are not followed.

EXIT STATUS
  0 if nothing was lost, doubled or swapped, no stream was refused and all were opened; else 1.";

/// A load tester for servers of server-sent events.
#[derive(Clone, Debug, Parser)]
#[command(name = "load", version, after_long_help = EXAMPLES, max_term_width = 98)]
pub struct Args {
    /// What to read. `{i}` becomes the number of the reader's feed.
    #[arg(long, required_unless_present_any = ["source", "reference"])]
    pub url: Option<String>,
    /// Streams in all.
    #[arg(short = 'n', long, default_value_t = 100)]
    pub streams: usize,
    /// Feeds that `{i}` goes through, from 0; as many as streams if not given.
    #[arg(long)]
    pub feeds: Option<usize>,
    /// Seconds to wait before the first is opened.
    #[arg(long, default_value_t = 0.0)]
    pub start_after: f64,
    /// Streams opened per second; 0: as fast as they can be.
    #[arg(long, default_value_t = 0)]
    pub ramp: u64,
    /// How many streams of a process may be in the making at once.
    #[arg(long, default_value_t = 256)]
    pub opening: usize,
    /// Seconds that are measured, once all streams are open.
    #[arg(short, long, default_value_t = 10.0)]
    pub duration: f64,
    /// Seconds between the last opening and the start of what is measured.
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// Seconds within which all streams must be open.
    #[arg(long, default_value_t = 60.0)]
    pub open_within: f64,
    /// Header field of every request, as `Name: value`. May be given several times.
    #[arg(short = 'H', long)]
    pub header: Vec<String>,
    /// Whom to trust, a file of certificates (PEM); if not given, whom the machine trusts.
    #[arg(long, conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Accepts every certificate.
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// HTTP/2 (over TLS, or with prior knowledge).
    #[arg(long)]
    pub h2: bool,
    /// Streams on each connection of HTTP/2.
    #[arg(long, default_value_t = 100)]
    pub streams_per_connection: usize,
    /// Addresses to connect to 127.0.0.1 from, 127.0.0.1 and up, so that ports do not run out;
    /// one for every 20,000 connections if not given.
    #[arg(long)]
    pub sources: Option<u8>,
    /// Processes to spread the readers over; as many as descriptors demand if not given.
    #[arg(long)]
    pub processes: Option<usize>,
    /// Readers that read too slowly; what they miss is no fault.
    #[arg(long, default_value_t = 0)]
    pub slow: usize,
    /// Bytes a second that a slow reader takes.
    #[arg(long, default_value_t = 1000)]
    pub slow_rate: usize,
    /// Share of the streams (0 to 1) that their clients cut off at once, every `--storm-every`
    /// seconds. They come back like all that end: see RECONNECTIONS.
    #[arg(long, default_value_t = 0.0)]
    pub storm: f64,
    /// Seconds from one storm to the next.
    #[arg(long, default_value_t = 5.0)]
    pub storm_every: f64,
    /// Readers come back without the last id, as a page that is loaded anew.
    #[arg(long)]
    pub no_resume: bool,
    /// The source that waits for the readers (`--paced`).
    #[arg(long)]
    pub pace: Option<SocketAddr>,
    /// Process of the server, whose memory and processor time are reported. Several may be given.
    #[arg(long)]
    pub pid: Vec<u32>,
    /// Writes the report as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Writes the report as a page with plots.
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// A name for the report.
    #[arg(long, default_value = "")]
    pub title: String,
    /// Prints no progress.
    #[arg(short, long)]
    pub quiet: bool,

    /// Instead of reading: serves feeds at `/feed/{i}` on this address.
    #[arg(long, conflicts_with = "url")]
    pub source: Option<SocketAddr>,
    /// Events a second in each feed of the source.
    #[arg(long, default_value_t = 10.0)]
    pub rate: f64,
    /// Bytes of an event of the source, blank line included.
    #[arg(long, default_value_t = 128)]
    pub size: usize,
    /// Milliseconds that the source tells its readers to wait before they come back.
    #[arg(long)]
    pub retry: Option<u64>,
    /// The source writes to each connection as much as it takes, whoever asks for which feed.
    #[arg(long, conflicts_with = "paced")]
    pub saturate: bool,
    /// The source sends the next event when readers have got half of the one before (see
    /// `--pace`), or of one so many before.
    #[arg(long, num_args = 0..=1, default_missing_value = "1")]
    pub paced: Option<u64>,
    /// The source posts its feed 0 to this URL, in the manner of `--publish-as`, and serves none.
    #[arg(long)]
    pub publish: Option<String>,
    /// What is posted: a file with `{data}`, or with `{json}` for the event in a JSON string.
    #[arg(long)]
    pub publish_as: Option<PathBuf>,

    /// Instead of reading: runs a bare loop that a server can be compared with.
    #[arg(long, conflicts_with_all = ["url", "source"], requires = "listen", requires = "upstream")]
    pub reference: Option<Reference>,
    /// Where the reference listens.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// The source that the reference reads.
    #[arg(long)]
    pub upstream: Option<SocketAddr>,
    /// The reference speaks TLS.
    #[arg(long)]
    pub tls: bool,

    /// The readers of this process: set by the process that started it.
    #[arg(long, hide = true, value_parser = range)]
    pub worker: Option<std::ops::Range<usize>>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// What the reference does with the source's bytes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Reference {
    /// Reads feed 0 once, and writes its bytes to every connection.
    Fanout,
    /// Joins each connection with one of its own to the source.
    Relay,
}

impl Args {
    /// Connections that carry the streams.
    pub fn connections(&self) -> usize {
        let each = if self.h2 { self.streams_per_connection.max(1) } else { 1 };
        self.streams.div_ceil(each)
    }

    /// When the stream with this index among the `share` of a process begins, in nanoseconds after
    /// its start. The rate is that of all processes together.
    pub fn ramp(&self, index: usize, share: usize) -> u64 {
        let rate = share as u128 * u128::from(self.ramp);
        let due = (index * self.streams) as u128 * u128::from(SECOND);
        due.checked_div(rate).map_or(0, |due| u64::try_from(due).unwrap_or(u64::MAX))
    }

    /// Whether a storm cuts off a stream.
    pub fn is_cut(&self, stream: usize) -> bool {
        let cut_before = |stream: usize| (stream as f64 * self.storm) as usize;
        cut_before(stream + 1) > cut_before(stream)
    }

    /// The feed of a stream.
    pub fn feed(&self, stream: usize) -> usize {
        stream % self.feeds.unwrap_or(self.streams).max(1)
    }

    /// Whether a stream is read slowly.
    pub fn is_slow(&self, stream: usize) -> bool {
        stream < self.slow
    }
}

fn range(text: &str) -> Result<std::ops::Range<usize>, String> {
    let (start, end) = text.split_once("..").ok_or("not START..END")?;
    let parse = |number: &str| number.parse().map_err(|_| "not START..END".to_owned());
    Ok(parse(start)?..parse(end)?)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Args, SECOND};

    fn args(line: &str) -> Args {
        Args::parse_from(["load", "--url=http://127.0.0.1/"].into_iter().chain(line.split(' ')))
    }

    #[test]
    fn every_option_says_what_it_does() {
        let command = Args::command();
        let silent = |option: &&clap::Arg| !option.is_hide_set() && option.get_help().is_none();
        let silent: Vec<_> = command.get_arguments().filter(silent).collect();
        assert!(silent.is_empty(), "{silent:?}");
    }

    #[test]
    fn streams_go_through_the_feeds_in_turn() {
        let args = args("-n 5 --feeds 2");
        assert_eq!((0..5).map(|stream| args.feed(stream)).collect::<Vec<_>>(), [0, 1, 0, 1, 0]);
    }

    #[test]
    fn processes_share_the_rate_of_opening() {
        let args = args("-n 100 --ramp 50");
        assert_eq!(args.ramp(50, 100), SECOND);
        // Half of the streams at half of the rate.
        assert_eq!(args.ramp(25, 50), SECOND);
    }

    #[test]
    fn a_storm_cuts_off_its_share() {
        let args = args("-n 10 --storm 0.3");
        assert_eq!((0..10).filter(|stream| args.is_cut(*stream)).count(), 3);
    }
}
