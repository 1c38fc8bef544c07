//! What the process that reports and those that read say to each other: one word, one answer.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// What a worker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Say what you have seen since you were last asked.
    Tally,
    /// All streams are open: begin.
    Go,
    /// Leave.
    Stop,
}

impl Order {
    /// As it is sent, a single byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Tally => b't',
            Self::Go => b'g',
            Self::Stop => b's',
        }
    }

    /// From how it is sent. What is not known means to leave.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            b't' => Self::Tally,
            b'g' => Self::Go,
            _ => Self::Stop,
        }
    }
}

/// A worker's end, which is its standard input.
#[derive(Debug)]
pub struct Control(UnixStream);

impl Control {
    /// Takes it.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn new() -> io::Result<Self> {
        Ok(Self(io::stdin().as_fd().try_clone_to_owned()?.into()))
    }

    /// The socket, to wait for orders.
    pub fn socket(&self) -> &UnixStream {
        &self.0
    }

    /// The order that has come.
    ///
    /// # Errors
    ///
    /// If the other side is gone in an unusual way.
    pub fn order(&mut self) -> io::Result<Order> {
        let mut byte = [0];
        let read = self.0.read(&mut byte)?;
        Ok(if read == 0 { Order::Stop } else { Order::from_byte(byte[0]) })
    }

    /// Answers with one line of JSON.
    ///
    /// # Errors
    ///
    /// If the other side is gone.
    pub fn answer(&mut self, tally: &super::tally::Tally) -> io::Result<()> {
        let mut line = serde_json::to_vec(tally).map_err(io::Error::other)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}
