//! [`Sid`]: the name of a stream, which nobody else can guess.

use std::fmt;

/// The name of a stream: 128 bits, written as 32 lower-case hexadecimal digits.
///
/// ```
/// use sse_layer::mux::Sid;
///
/// let sid = Sid::of_path("/.sse/mux/9f2c02e1b6ac4b7e8d1f0c5a7e3b9d64").unwrap();
/// assert_eq!(sid.to_string(), "9f2c02e1b6ac4b7e8d1f0c5a7e3b9d64");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid(u128);

impl Sid {
    /// A new one, of the operating system's random numbers. Fails if it has none.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        Ok(Self(u128::from_ne_bytes(bits)))
    }

    /// The one that a path ends with, if it ends with one.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        let sid = Self(u128::from_str_radix(name, 16).ok()?);
        // Nothing else than what is written here.
        (sid.to_string() == name).then_some(sid)
    }
}

impl fmt::Debug for Sid {
    /// Without the name: whoever knows it may change the stream.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sid")
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_with_exactly_one() {
        let sid = Sid::random().unwrap();
        for path in [format!("/.sse/mux/{sid}"), format!("/{sid}"), sid.to_string()] {
            assert_eq!(Sid::of_path(&path), Some(sid), "{path}");
        }
        let upper = format!("/{:032X}", 0xab);
        for path in ["", "/", "/mux", "/mux/", "/+f", "/ff", &upper, &format!("/{sid}/")] {
            assert_eq!(Sid::of_path(path), None, "{path}");
        }
    }
}
