//! Clients, in a process of their own: each reads what its stream has sent, and compares.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Result;
use crate::child::serve;
use crate::source::EVENT;

pub(crate) fn run(address: &str, streams: usize) -> Result<()> {
    let clients = (0..streams).map(|_| Client::connect(address));
    let mut clients = clients.collect::<Result<Vec<_>>>()?;
    let mut is_open = false;
    serve(|| {
        let read = if is_open { Client::read_event } else { Client::read_opening };
        clients.iter_mut().try_for_each(read)?;
        is_open = true;
        Ok(String::new())
    })
}

struct Client(TcpStream);

impl Client {
    fn connect(address: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        // Longer than any machine takes for what has been written.
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        Ok(Self(stream))
    }

    /// Reads the head, and what else came with it.
    fn read_opening(&mut self) -> Result<()> {
        let mut read = [0; 1024];
        let len = self.0.read(&mut read)?;
        let head = read.get(..len).unwrap_or_default();
        let is_right = head.starts_with(b"HTTP/1.1 200 OK\r\n") && head.ends_with(b"\r\n");
        if is_right { Ok(()) } else { Err("not the opening of a stream".into()) }
    }

    fn read_event(&mut self) -> Result<()> {
        let expected = format!("{:X}\r\n{EVENT}\r\n", EVENT.len()).into_bytes();
        let mut read = [0; 1024];
        let len = self.0.read(&mut read)?;
        let is_right = read.get(..len).is_some_and(|read| read == expected);
        if is_right { Ok(()) } else { Err("not the event, and it alone".into()) }
    }
}
