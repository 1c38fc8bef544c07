//! [`Sid`]: the name of a stream, which nobody else can guess.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// The name of a stream: 128 bits, written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sid(u128);

impl Sid {
    /// A new one. Its bits are a keyed hash (SipHash); the key is the operating system's random
    /// numbers, and different each time.
    pub(super) fn random() -> Self {
        let keyed = RandomState::new();
        Self(u128::from(keyed.hash_one(0_u8)) << 64 | u128::from(keyed.hash_one(1_u8)))
    }

    /// The one that a path ends with, if it ends with one.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        path.rsplit('/').next()?.parse().ok()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Sid {
    type Err = ();

    /// Accepts exactly what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, ()> {
        let sid = u128::from_str_radix(text, 16).map(Self).map_err(|_| ())?;
        if sid.to_string() == text { Ok(sid) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_with_exactly_one() {
        let sid = Sid::random();
        for path in [format!("/.sse/mux/{sid}"), format!("/{sid}"), sid.to_string()] {
            assert_eq!(Sid::of_path(&path), Some(sid), "{path}");
        }
        let upper = format!("/{:032X}", 0xab);
        for path in ["", "/", "/mux", "/mux/", "/+f", "/ff", &upper, &format!("/{sid}/")] {
            assert_eq!(Sid::of_path(path), None, "{path}");
        }
    }
}
