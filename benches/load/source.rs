//! A source of numbered events, to put behind a server under test: one thread for all feeds.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use slab::Slab;

use super::args::Args;
use super::clock::{self, SECOND};
use super::pace;
use super::publish::{self, Publisher};
use super::server::{HEAD, Peer, accept, listen};
use super::stamp;

const LISTENER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);

/// What is written at once to a reader that takes as much as it gets.
const BURST: usize = 16 << 10;

/// Events that such a reader gets before others have their turn.
const TURN: u64 = 4096;

/// Events that a reader may have missed and still gets.
const HISTORY: u64 = 1024;

/// Serves feeds until the process is ended.
///
/// # Errors
///
/// If it cannot listen, or the machine has no sockets to give.
pub fn run(args: &Args, address: SocketAddr) -> io::Result<()> {
    let mut source = Source::bind(args, address)?;
    eprintln!("source: http://{}/feed/{{i}}", source.listener.local_addr()?);
    source.run()
}

struct Source<'a> {
    args: &'a Args,
    poll: Poll,
    listener: TcpListener,
    timer: TimerFd,
    readers: Slab<Reader>,
    feeds: HashMap<usize, Feed>,
    /// When each feed that has readers sends its next event.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    began: u64,
    period: u64,
    /// Rounds sent, when readers set the pace.
    rounds: u64,
    /// Who takes feed 0 instead of readers.
    publisher: Option<Publisher>,
    /// Those of the readers that may take more than their turn's share.
    hungry: Vec<usize>,
    scratch: Vec<u8>,
}

struct Reader {
    peer: Peer<TcpStream>,
    role: Role,
}

enum Role {
    /// Has not asked yet.
    New,
    /// Reads a feed, up to the event before this one.
    Feed { feed: usize, end: u64 },
    /// Gets as much as it takes; the last event that was sent.
    Flood(u64),
    /// Says how many rounds it has got, after so many.
    Pace { base: u64, got: u64, line: Vec<u8> },
}

#[derive(Default)]
struct Feed {
    /// The number of the next event.
    next: u64,
    readers: Vec<usize>,
    /// Whether it has its time in `due`.
    is_due: bool,
}

impl<'a> Source<'a> {
    fn bind(args: &'a Args, address: SocketAddr) -> io::Result<Self> {
        let mut listener = listen(address)?;
        let poll = Poll::new()?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let registry = poll.registry();
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        registry.register(&mut SourceFd(&timer.as_fd().as_raw_fd()), TIMER, Interest::READABLE)?;
        let publisher = args.publish.as_deref();
        let publisher = publisher.map(|url| Publisher::new(url, args.publish_as.as_deref()));
        let period = (SECOND as f64 / args.rate.max(0.001)) as u64;
        Ok(Self {
            args,
            poll,
            listener,
            timer,
            readers: Slab::new(),
            feeds: HashMap::new(),
            due: BinaryHeap::new(),
            began: clock::now(),
            period: period.max(1),
            rounds: 0,
            publisher: publisher.transpose()?,
            hungry: Vec::new(),
            scratch: Vec::new(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        if self.publisher.is_some() && self.args.paced.is_none() {
            self.due.push(Reverse((self.began + self.period, 0)));
            self.set_timer()?;
        }
        loop {
            let wait = (!self.hungry.is_empty()).then_some(Duration::ZERO);
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    TIMER => {
                        let _ = self.timer.wait();
                    }
                    Token(reader) => {
                        if self.advance(reader, event.is_readable()).is_err() {
                            self.remove(reader);
                        }
                    }
                }
            }
            self.hungry.sort_unstable();
            self.hungry.dedup();
            for reader in std::mem::take(&mut self.hungry) {
                if self.advance(reader, false).is_err() {
                    self.remove(reader);
                }
            }
            self.send_due()?;
            self.send_rounds()?;
            self.set_timer()?;
        }
    }

    fn set_timer(&self) -> io::Result<()> {
        if let Some(Reverse((due, _))) = self.due.peek() {
            let due = Expiration::OneShot(clock::timespec(*due));
            self.timer.set(due, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(mut socket) = accept(&self.listener)? {
            let place = self.readers.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(place.key()), interest)?;
            place.insert(Reader { peer: Peer::new(socket), role: Role::New });
        }
        Ok(())
    }

    fn advance(&mut self, at: usize, is_readable: bool) -> io::Result<()> {
        let Some(Reader { peer, role }) = self.readers.get_mut(at) else { return Ok(()) };
        if is_readable {
            match role {
                // One that subscribes others may ask again on the same connection.
                Role::New => {
                    let Some(request) = peer.request(Some(pace::HELLO))? else { return Ok(()) };
                    return self.begin(at, &request);
                }
                Role::Pace { got, line, .. } => {
                    read_pace(&mut peer.socket, line, got)?;
                }
                Role::Feed { .. } | Role::Flood(_) => {
                    // Whatever it says now is no matter, but that it leaves.
                    let mut room = [0; 256];
                    match peer.socket.read(&mut room) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                            return Err(error);
                        }
                        _ => {}
                    }
                }
            }
        }
        let is_free = peer.flush()?;
        if let Role::Flood(sent) = role
            && is_free
        {
            let turn = *sent + TURN;
            while peer.flush()? {
                if *sent >= turn {
                    self.hungry.push(at);
                    break;
                }
                self.scratch.clear();
                while self.scratch.len() < BURST {
                    *sent += 1;
                    stamp::chunk(&mut self.scratch, *sent, clock::now(), self.args.size);
                }
                peer.write(&self.scratch)?;
            }
        }
        Ok(())
    }

    /// Answers a request.
    fn begin(&mut self, at: usize, request: &[u8]) -> io::Result<()> {
        let Some(Reader { peer, role }) = self.readers.get_mut(at) else { return Ok(()) };
        if request.starts_with(pace::HELLO) {
            *role = Role::Pace { base: self.rounds, got: 0, line: Vec::new() };
            return Ok(());
        }
        let request = String::from_utf8_lossy(request);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if path.ends_with("/feed/silent") {
            return peer.write(HEAD);
        }
        let Some(feed) = path.rsplit_once("/feed/").and_then(|(_, feed)| feed.parse().ok()) else {
            return peer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        };
        if self.publisher.is_some() {
            return peer.write(publish::GRIP);
        }
        let last = request.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("last-event-id").then(|| value.trim().parse::<u64>().ok())?
        });
        peer.write(HEAD)?;
        if let Some(retry) = self.args.retry {
            let retry = format!("retry: {retry}\n\n");
            peer.write(format!("{:x}\r\n{retry}\r\n", retry.len()).as_bytes())?;
        }
        if self.args.saturate {
            *role = Role::Flood(last.unwrap_or(0));
            return self.advance(at, false);
        }
        let now = clock::now();
        let phase = phase(feed, self.period);
        let state = self.feeds.entry(feed).or_default();
        if !state.is_due && self.args.paced.is_none() {
            state.is_due = true;
            // As many as would have been sent by now.
            state.next = (now - self.began).saturating_sub(phase) / self.period + 1;
            let due = self.began + phase + state.next * self.period;
            self.due.push(Reverse((due, feed)));
        }
        state.readers.push(at);
        let next = state.next;
        self.scratch.clear();
        if let Some(last) = last {
            for number in (last + 1).max(next.saturating_sub(HISTORY))..next {
                stamp::chunk(&mut self.scratch, number, 0, self.args.size);
            }
        }
        let events = query.split('&').find_map(|pair| pair.strip_prefix("n=")?.parse::<u64>().ok());
        *role = Role::Feed { feed, end: events.map_or(u64::MAX, |events| next + events) };
        if self.scratch.is_empty() { Ok(()) } else { peer.write(&self.scratch) }
    }

    fn remove(&mut self, at: usize) {
        let Some(Reader { role, .. }) = self.readers.try_remove(at) else { return };
        if let Role::Feed { feed, .. } = role
            && let Some(feed) = self.feeds.get_mut(&feed)
        {
            feed.readers.retain(|reader| *reader != at);
        }
    }

    /// Sends what the clock asks for.
    fn send_due(&mut self) -> io::Result<()> {
        let now = clock::now();
        while let Some(Reverse((due, feed))) = self.due.peek().copied()
            && due <= now
        {
            self.due.pop();
            if let Some(publisher) = &mut self.publisher {
                publisher.publish(due, self.args.size)?;
                self.due.push(Reverse((due + self.period, feed)));
            } else if self.send(feed, due) {
                self.due.push(Reverse((due + self.period, feed)));
            }
        }
        Ok(())
    }

    /// Sends what the readers are ready for.
    fn send_rounds(&mut self) -> io::Result<()> {
        let Some(ahead) = self.args.paced else { return Ok(()) };
        let got = self.readers.iter().filter_map(|(_, reader)| match reader.role {
            Role::Pace { base, got, .. } => Some(base + got),
            _ => None,
        });
        let Some(got) = got.min() else { return Ok(()) };
        while self.rounds < got + ahead {
            self.rounds += 1;
            if let Some(publisher) = &mut self.publisher {
                publisher.publish(clock::now(), self.args.size)?;
                continue;
            }
            let feeds: Vec<_> = self.feeds.keys().copied().collect();
            for feed in feeds {
                self.send(feed, clock::now());
            }
        }
        Ok(())
    }

    /// Sends a feed's next event to its readers. `false` if it has none.
    fn send(&mut self, at: usize, due: u64) -> bool {
        let Some(feed) = self.feeds.get_mut(&at) else { return false };
        feed.is_due = !feed.readers.is_empty();
        if !feed.is_due {
            return false;
        }
        let number = feed.next;
        feed.next += 1;
        self.scratch.clear();
        stamp::chunk(&mut self.scratch, number, due, self.args.size);
        let mut gone = Vec::new();
        for reader in &feed.readers {
            let Some(Reader { peer, role }) = self.readers.get_mut(*reader) else { continue };
            let is_over = matches!(role, Role::Feed { end, .. } if number >= *end);
            let bytes = if is_over { b"0\r\n\r\n" } else { self.scratch.as_slice() };
            if peer.write(bytes).is_err() || is_over {
                gone.push(*reader);
            }
        }
        gone.into_iter().for_each(|reader| self.remove(reader));
        true
    }
}

/// When in its period a feed sends: not all at once.
fn phase(feed: usize, period: u64) -> u64 {
    let golden = (feed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((u128::from(golden) * u128::from(period)) >> 64) as u64
}

fn read_pace(socket: &mut TcpStream, line: &mut Vec<u8>, got: &mut u64) -> io::Result<()> {
    let mut room = [0; 1024];
    loop {
        match socket.read(&mut room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => line.extend_from_slice(&room[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    if let Some(end) = line.iter().rposition(|byte| *byte == b'\n') {
        let whole = String::from_utf8_lossy(&line[..end]).into_owned();
        *got = whole.lines().last().and_then(|line| line.parse().ok()).unwrap_or(*got);
        line.drain(..=end);
    }
    Ok(())
}
