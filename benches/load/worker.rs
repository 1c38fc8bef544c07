//! The readers of one process, over HTTP/1.1: one thread that waits for all of them at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::args::Args;
use super::clock::{self, SECOND};
use super::connection::{Connection, End, Shared};
use super::control::{Control, Order};
use super::pace::Pace;
use super::reader::Reader;
use super::target::Target;
use super::tls::{self, Trust};

const CONTROL: Token = Token(usize::MAX);

/// How often slow readers read.
const SLOW_TICK: u64 = SECOND / 10;

/// How long the readers wait at most before they look at the clock.
const WAIT: Duration = Duration::from_millis(200);

/// Reads until told to stop.
///
/// # Errors
///
/// If the machine has no sockets to give, or the process that reports is gone.
pub fn run(args: &Args, streams: std::ops::Range<usize>) -> io::Result<()> {
    let target = Target::new(args)?;
    let tls = target.is_tls.then(|| tls::client("http/1.1", Trust::of(args))).transpose()?;
    let slots = streams.map(|stream| Slot {
        stream,
        reader: Reader::new(args.is_slow(stream), target.is_one()),
        connection: None,
    });
    let mut worker = Worker {
        slots: slots.collect(),
        poll: Poll::new()?,
        shared: Shared::default(),
        started: 0,
        opening: 0,
        due: BinaryHeap::new(),
        began: clock::now(),
        hungry: Vec::new(),
        pace: None,
        next_storm: u64::MAX,
        next_slow: clock::now(),
        cpu: 0,
        control: Control::new()?,
        name: ServerName::try_from(target.host.clone()).map_err(io::Error::other)?,
        args,
        target,
        tls,
    };
    worker.run()
}

struct Worker<'a> {
    args: &'a Args,
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    name: ServerName<'static>,
    poll: Poll,
    control: Control,
    slots: Vec<Slot>,
    shared: Shared,
    /// When the first was started.
    began: u64,
    /// How many have been started for the first time.
    started: usize,
    /// How many are between their start and their stream.
    opening: usize,
    /// Those that come back, and when.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    /// Those that may have more to read.
    hungry: Vec<usize>,
    pace: Option<Pace>,
    next_storm: u64,
    next_slow: u64,
    cpu: u64,
}

struct Slot {
    stream: usize,
    reader: Reader,
    connection: Option<Connection>,
}

impl Worker<'_> {
    fn run(&mut self) -> io::Result<()> {
        let control = self.control.socket().as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&control), CONTROL, Interest::READABLE)?;
        let mut events = Events::with_capacity(1024);
        loop {
            self.start_due();
            match self.poll.poll(&mut events, Some(self.wait())) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                if event.token() == CONTROL {
                    if self.obey()? == Order::Stop {
                        return Ok(());
                    }
                    // Another order may have come with it, of which nothing else would tell.
                    let control = &mut SourceFd(&control);
                    self.poll.registry().reregister(control, CONTROL, Interest::READABLE)?;
                    continue;
                }
                let at = event.token().0;
                if !self.args.is_slow(self.slots[at].stream) {
                    self.advance(at, event.is_read_closed(), usize::MAX);
                } else if !self.is_open(at) {
                    self.advance(at, event.is_read_closed(), self.slow_bytes());
                }
            }
            self.hungry.sort_unstable();
            self.hungry.dedup();
            for at in std::mem::take(&mut self.hungry) {
                self.advance(at, true, usize::MAX);
            }
            self.tick();
            if let Some(pace) = &mut self.pace {
                pace.tell(&mut self.shared.tally)?;
            }
        }
    }

    fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].connection.as_ref().is_some_and(Connection::is_open)
    }

    fn obey(&mut self) -> io::Result<Order> {
        let order = self.control.order()?;
        match order {
            Order::Stop => {}
            Order::Go => {
                self.next_storm = clock::now() + nanoseconds(self.args.storm_every);
                if let Some(source) = self.args.pace {
                    let readers = self.slots.iter().filter(|it| !self.args.is_slow(it.stream));
                    let readers = readers.count() as u64;
                    let round = readers * self.target.feeds_per_stream();
                    self.pace = Some(Pace::new(source, round, self.shared.tally.paced())?);
                }
            }
            Order::Tally => {
                if let Some(pace) = &mut self.pace {
                    pace.counted(self.shared.tally.paced());
                }
                let cpu = clock::own_cpu();
                self.shared.tally.cpu = cpu - std::mem::replace(&mut self.cpu, cpu);
                self.control.answer(&self.shared.tally.take())?;
            }
        }
        Ok(order)
    }

    /// Until something is due.
    fn wait(&self) -> Duration {
        if !self.hungry.is_empty() {
            return Duration::ZERO;
        }
        let mut wait = WAIT;
        if let Some(Reverse((due, _))) = self.due.peek() {
            wait = wait.min(clock::until(*due));
        }
        if self.started < self.slots.len() && self.opening < self.args.opening {
            wait = wait.min(clock::until(self.next_start()));
        }
        if self.args.slow > 0 {
            wait = wait.min(clock::until(self.next_slow));
        }
        wait.min(clock::until(self.next_storm))
    }

    fn start_due(&mut self) {
        let now = clock::now();
        let is_room = |worker: &Self| worker.opening < worker.args.opening;
        while self.started < self.slots.len() && is_room(self) && self.next_start() <= now {
            self.start(self.started);
            self.started += 1;
        }
        while is_room(self)
            && let Some(Reverse((due, slot))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            self.start(slot);
        }
    }

    /// When the next is started for the first time.
    fn next_start(&self) -> u64 {
        self.began + self.args.ramp(self.started, self.slots.len())
    }

    fn start(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        if self.args.no_resume {
            slot.reader.forget();
        }
        slot.reader.start(clock::now());
        let connect = || -> io::Result<Connection> {
            let feed = self.args.feed(slot.stream);
            let request = self.target.request(feed, slot.reader.last_event_id());
            let socket = self.target.connect(slot.stream, self.args.is_slow(slot.stream))?;
            let mut socket = mio::net::TcpStream::from_std(socket);
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(at), interest)?;
            let tls = self.tls.clone().map(|config| (config, self.name.clone()));
            Connection::new(socket, tls, request)
        };
        match connect() {
            Ok(connection) => {
                slot.connection = Some(connection);
                self.opening += 1;
            }
            Err(error) => {
                self.shared.tally.fault(error);
                self.due.push(Reverse((clock::now() + slot.reader.retry(), at)));
            }
        }
    }

    fn advance(&mut self, at: usize, is_at_end: bool, most: usize) {
        let slot = &mut self.slots[at];
        let Some(connection) = &mut slot.connection else { return };
        let was_open = connection.is_open();
        let result = connection.advance(&mut slot.reader, &mut self.shared, is_at_end, most);
        let is_open = connection.is_open();
        self.opening -= usize::from(!was_open && (is_open || result.is_err()));
        match result {
            Ok(true) => self.hungry.push(at),
            Ok(false) => {}
            Err(end) => self.end(at, end),
        }
    }

    fn end(&mut self, at: usize, end: End) {
        let slot = &mut self.slots[at];
        let Some(connection) = slot.connection.take() else { return };
        let tally = &mut self.shared.tally;
        let retry =
            if connection.is_open() { slot.reader.ended(tally) } else { slot.reader.retry() };
        match end {
            End::Closed => {}
            End::Broken(error) => tally.fault(error),
            End::Refused(why) => {
                tally.refused += 1;
                return tally.fault(why);
            }
        }
        self.due.push(Reverse((clock::now() + retry, at)));
    }

    /// What has its time: slow readers, and storms.
    fn tick(&mut self) {
        let now = clock::now();
        if self.args.slow > 0 && now >= self.next_slow {
            self.next_slow = now + SLOW_TICK;
            for at in 0..self.slots.len() {
                if self.args.is_slow(self.slots[at].stream) && self.is_open(at) {
                    self.advance(at, false, self.slow_bytes());
                }
            }
        }
        if self.args.storm > 0.0 && now >= self.next_storm {
            self.next_storm = now + nanoseconds(self.args.storm_every);
            for at in 0..self.slots.len() {
                if self.args.is_cut(self.slots[at].stream) && self.is_open(at) {
                    self.end(at, End::Closed);
                }
            }
        }
    }

    /// What a slow reader takes at a time.
    fn slow_bytes(&self) -> usize {
        let bytes = self.args.slow_rate as u64 * SLOW_TICK / SECOND;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }
}

fn nanoseconds(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).unwrap_or(u64::MAX)
}
