//! [`Sid`]: the name of a stream, which nobody else can guess.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// The name of a stream: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sid(u128);

impl Sid {
    /// A new one. Its bits are a keyed hash (SipHash); the key is the operating system's random
    /// numbers, and different each time.
    pub(super) fn random() -> Self {
        let keyed = RandomState::new();
        Self(u128::from(keyed.hash_one(0_u8)) << 64 | u128::from(keyed.hash_one(1_u8)))
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
