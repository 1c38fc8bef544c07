//! `crcrlf`: mends line ends that were translated twice, before the stream is cut.

use std::mem;

use bytes::Bytes;
use memchr::{memchr2, memmem};

use super::Repairs;

/// How long the first block may be: it is held back until it is whole.
const MAX_HELD: usize = 64 << 10;

/// Turns CR CR LF into LF, in a stream whose first block has no other line ends.
#[derive(Debug)]
pub(crate) enum Collapse {
    /// Other line ends have come, or the repair is off.
    Off,
    /// All that has come: the first block is not whole.
    Undecided(Vec<u8>),
    /// The CRs at the end of what has come, two at most.
    On(Vec<u8>),
}

impl Collapse {
    pub(crate) fn new(repairs: Repairs) -> Self {
        if repairs.contains(Repairs::CRCRLF) { Self::Undecided(Vec::new()) } else { Self::Off }
    }

    /// What can be said by now of the bytes that have come.
    pub(crate) fn filter(&mut self, bytes: Bytes) -> Bytes {
        match self {
            Self::Off => bytes,
            Self::Undecided(held) => {
                held.extend_from_slice(&bytes);
                match is_doubled(held.get(..MAX_HELD).unwrap_or(held)) {
                    None if held.len() < MAX_HELD => Bytes::new(),
                    Some(true) => {
                        let bytes = self.take_held();
                        *self = Self::On(Vec::new());
                        self.filter(bytes)
                    }
                    _ => self.take_held(),
                }
            }
            Self::On(held) => {
                held.extend_from_slice(&bytes);
                let is_cr = |byte: &&u8| **byte == b'\r';
                let waiting = held.iter().rev().take(2).take_while(is_cr).count();
                let waiting = held.split_off(held.len() - waiting);
                collapsed(&mem::replace(held, waiting))
            }
        }
    }

    /// Takes what is held back, as it came, and lets the rest of the stream pass.
    pub(crate) fn take_held(&mut self) -> Bytes {
        match mem::replace(self, Self::Off) {
            Self::Off => Bytes::new(),
            Self::Undecided(held) | Self::On(held) => Bytes::from(held),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Off => true,
            Self::Undecided(held) | Self::On(held) => held.is_empty(),
        }
    }

    pub(crate) fn made(&self) -> Repairs {
        if matches!(self, Self::On(_)) { Repairs::CRCRLF } else { Repairs::NONE }
    }
}

/// Whether every line of the first block ends with CR CR LF. `None` if the block is not whole.
fn is_doubled(bytes: &[u8]) -> Option<bool> {
    let mut rest = bytes;
    let mut is_in_block = false;
    loop {
        let (line, end) = rest.split_at_checked(memchr2(b'\r', b'\n', rest)?)?;
        match end {
            [b'\r', b'\r', b'\n', ..] if is_in_block && line.is_empty() => return Some(true),
            [b'\r', b'\r', b'\n', next @ ..] => rest = next,
            [b'\r'] | [b'\r', b'\r'] => return None,
            _ => return Some(false),
        }
        is_in_block |= !line.is_empty();
    }
}

/// With LF for each CR CR LF.
fn collapsed(bytes: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((line, end)) =
        memmem::find(rest, b"\r\r\n").and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = end.get(3..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Bytes::from(out)
}
