//! The least that a server can do, to compare others with: a bare loop on epoll.
//!
//! The fan-out reads one feed and writes its bytes to every connection; the relay joins each
//! connection with one of its own to the source. Neither looks at what it carries.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::{ServerConfig, ServerConnection};
use slab::Slab;

use super::args::{Args, Reference};
use super::server::{self, HEAD, Peer, accept};
use super::tls;

const LISTENER: Token = Token(usize::MAX);
const FEED: Token = Token(usize::MAX - 1);

/// Connections to the source have odd tokens, those to readers even ones.
const UPSTREAM: usize = 1;

/// Runs until the process is ended.
///
/// # Errors
///
/// If it cannot listen, the source is gone, or the machine has no sockets to give.
pub fn run(args: &Args, kind: Reference, listen: SocketAddr, source: SocketAddr) -> io::Result<()> {
    let mut listener = server::listen(listen)?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let tls = args.tls.then(tls::server).transpose()?;
    eprintln!("reference: {}", listener.local_addr()?);
    let mut joint = Joint { poll, listener, tls, readers: Slab::new(), room: vec![0; 64 << 10] };
    match kind {
        Reference::Fanout => joint.fan_out(source),
        Reference::Relay => joint.relay(source),
    }
}

struct Joint {
    poll: Poll,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    readers: Slab<Reader>,
    room: Vec<u8>,
}

struct Reader {
    peer: Peer<Wire>,
    has_asked: bool,
    upstream: Option<Peer<TcpStream>>,
}

/// What a reader has just asked for.
enum Asked {
    Nothing,
    Feed,
    /// A feed without events.
    Silence,
}

/// A socket, plain or with TLS.
enum Wire {
    Plain(TcpStream),
    Tls(TcpStream, Box<ServerConnection>),
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(room),
            Self::Tls(socket, tls) => loop {
                match tls.reader().read(room) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return result,
                }
                let read = tls.read_tls(socket);
                tls.process_new_packets().map_err(io::Error::other)?;
                write_tls(tls, socket)?;
                if read? == 0 {
                    return Ok(0);
                }
            },
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(socket, tls) => {
                write_tls(tls, socket)?;
                if tls.wants_write() {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let written = tls.writer().write(bytes)?;
                write_tls(tls, socket)?;
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(socket, tls) => write_tls(tls, socket),
        }
    }
}

/// Writes what TLS has ready, as far as the socket takes it.
fn write_tls(tls: &mut ServerConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            result => result?,
        };
    }
    Ok(())
}

impl Joint {
    fn accept(&mut self) -> io::Result<()> {
        while let Some(mut socket) = accept(&self.listener)? {
            let place = self.readers.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(place.key() * 2), interest)?;
            let wire = match &self.tls {
                None => Wire::Plain(socket),
                Some(config) => {
                    let tls =
                        ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                    Wire::Tls(socket, Box::new(tls))
                }
            };
            place.insert(Reader { peer: Peer::new(wire), has_asked: false, upstream: None });
        }
        Ok(())
    }

    fn fan_out(&mut self, source: SocketAddr) -> io::Result<()> {
        let mut feed = std::net::TcpStream::connect(source)?;
        feed.write_all(b"GET /feed/0 HTTP/1.1\r\nhost: source\r\n\r\n")?;
        skip_head(&mut feed)?;
        feed.set_nonblocking(true)?;
        let mut feed = TcpStream::from_std(feed);
        self.poll.registry().register(&mut feed, FEED, Interest::READABLE)?;
        let mut listening: Vec<usize> = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        let mut is_between = true;
        let mut events = Events::with_capacity(1024);
        loop {
            wait(&mut self.poll, &mut events)?;
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    FEED => {
                        let read = match feed.read(&mut self.room) {
                            Ok(0) => return Err(io::Error::other("the source has ended")),
                            Ok(read) => read,
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                            Err(error) => return Err(error),
                        };
                        let bytes = &self.room[..read];
                        listening.retain(|at| {
                            let reader = &mut self.readers[*at];
                            let is_there = reader.peer.write(bytes).is_ok();
                            if !is_there {
                                self.readers.remove(*at);
                            }
                            is_there
                        });
                        // Those who have asked join between two chunks, not in one.
                        is_between = bytes.ends_with(b"\n\n\r\n");
                        if is_between {
                            listening.append(&mut waiting);
                        }
                        if read == self.room.len() {
                            self.poll.registry().reregister(&mut feed, FEED, Interest::READABLE)?;
                        }
                    }
                    Token(token) => {
                        let at = token / 2;
                        match self.greet(at) {
                            Ok(Asked::Feed) if is_between => listening.push(at),
                            Ok(Asked::Feed) => waiting.push(at),
                            Ok(Asked::Nothing | Asked::Silence) => {}
                            Err(_) => {
                                listening.retain(|other| *other != at);
                                waiting.retain(|other| *other != at);
                                self.readers.try_remove(at);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Takes what a reader says, and answers with a head.
    fn greet(&mut self, at: usize) -> io::Result<Asked> {
        let Some(reader) = self.readers.get_mut(at) else { return Ok(Asked::Nothing) };
        reader.peer.flush()?;
        let Some(request) = reader.peer.request(None)?.filter(|_| !reader.has_asked) else {
            return Ok(Asked::Nothing);
        };
        reader.has_asked = true;
        reader.peer.write(HEAD)?;
        let is_silent = request.starts_with(b"GET /feed/silent ");
        Ok(if is_silent { Asked::Silence } else { Asked::Feed })
    }

    fn relay(&mut self, source: SocketAddr) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            wait(&mut self.poll, &mut events)?;
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(token) => {
                        if self.pass(token / 2, token % 2 == UPSTREAM, source).is_err() {
                            self.readers.try_remove(token / 2);
                        }
                    }
                }
            }
        }
    }

    /// Passes on what one side of a connection has said.
    fn pass(&mut self, at: usize, is_upstream: bool, source: SocketAddr) -> io::Result<()> {
        let Some(Reader { peer, upstream, .. }) = self.readers.get_mut(at) else { return Ok(()) };
        if upstream.is_none() {
            let mut socket = TcpStream::connect(source)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            let token = Token(at * 2 + UPSTREAM);
            self.poll.registry().register(&mut socket, token, interest)?;
            socket.set_nodelay(true)?;
            *upstream = Some(Peer::new(socket));
        }
        let Some(upstream) = upstream else { return Ok(()) };
        if is_upstream {
            upstream.flush()?;
            copy(&mut upstream.socket, peer, &mut self.room, true)
        } else {
            peer.flush()?;
            let is_plain = matches!(peer.socket, Wire::Plain(_));
            copy(&mut peer.socket, upstream, &mut self.room, is_plain)
        }
    }
}

/// Passes on what is there. A plain socket that fills less than the room has no more.
fn copy<S: Read + Write>(
    from: &mut impl Read,
    to: &mut Peer<S>,
    room: &mut [u8],
    is_plain: bool,
) -> io::Result<()> {
    loop {
        match from.read(room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                to.write(&room[..read])?;
                if is_plain && read < room.len() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn wait(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    match poll.poll(events, None) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        result => result,
    }
}

fn skip_head(feed: &mut std::net::TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        feed.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    Ok(())
}
