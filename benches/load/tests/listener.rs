//! A server that answers as it is told, and remembers who asked what, and when.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::time::Instant;

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where it came from.
    pub from: IpAddr,
    /// When.
    pub at: Instant,
    /// Its head.
    pub head: String,
}

/// What was asked so far.
pub type Log = Arc<Mutex<Vec<Asked>>>;

/// Answers the first request with the first of these answers, and so on, and each that is left
/// with the last. An answer that ends with [`STAYS`] stays open.
pub fn answering(answers: &'static [&'static str]) -> (SocketAddr, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let log = Log::default();
    let asked = Arc::clone(&log);
    thread::spawn(move || {
        let mut open = Vec::new();
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { continue };
            let Ok(asked_now) = request(&mut connection) else { continue };
            let mut log = log.lock().expect("no other test's");
            let answer = answers[log.len().min(answers.len() - 1)];
            log.push(asked_now);
            let _ = connection.write_all(answer.as_bytes());
            if answer.ends_with(STAYS) {
                open.push(connection);
            }
        }
    });
    (address, asked)
}

/// The end of an answer after which the connection stays open.
const STAYS: &str = ": stays\n\n";

fn request(connection: &mut TcpStream) -> io::Result<Asked> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    Ok(Asked { from: connection.peer_addr()?.ip(), at: Instant::now(), head })
}

/// Passes connections on to a server. Returns where it listens, and how many there were.
pub fn passing_on(to: SocketAddr) -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let count = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&count);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            *count.lock().expect("no other test's") += 1;
            let server = TcpStream::connect(to).expect("the server");
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (copy(from), copy(to));
                thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
    });
    (address, seen)
}

fn copy(socket: &TcpStream) -> TcpStream {
    socket.try_clone().expect("a descriptor")
}
