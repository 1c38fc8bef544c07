use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use crate::head;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// The one we like best first.
    const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As in `Content-Encoding`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    fn is_named(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.as_str().as_bytes())
            || (self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip"))
    }
}

/// The coding that a client with these headers likes best, ours first among equals; none if it
/// likes the plain bytes better, or says nothing (RFC 9110, 12.5.3).
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Coding> {
    let accepted: Vec<(&[u8], u16)> = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .flat_map(head::members)
        .filter_map(|member| {
            let mut parts = member.splitn(2, |byte| *byte == b';').map(<[u8]>::trim_ascii);
            Some((parts.next()?, parts.next().map_or(Some(1000), weight)?))
        })
        .collect();
    let weight_of = |is_named: &dyn Fn(&[u8]) -> bool| {
        let named = accepted.iter().find(|(name, _)| is_named(name));
        named.or_else(|| accepted.iter().find(|(name, _)| *name == b"*")).map(|(_, weight)| *weight)
    };
    // Plain bytes that are not mentioned are the last resort, and `*` does not recommend them.
    let plain = accepted
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"identity"))
        .map_or(1, |(_, weight)| *weight)
        .max(1);
    let weighed = Coding::ALL
        .into_iter()
        .filter_map(|coding| Some((coding, weight_of(&|name| coding.is_named(name))?)));
    // The last of equals is what `max_by_key` gives.
    let best = weighed.rev().max_by_key(|(_, weight)| *weight)?;
    (best.1 >= plain).then_some(best.0)
}

/// The thousandths in `q=0.5`. What is none of the form that the standard asks for is no weight.
fn weight(parameter: &[u8]) -> Option<u16> {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    let (whole, decimals) = match value {
        [whole] | [whole, b'.'] => (whole, [].as_slice()),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let padded = decimals.iter().copied().chain([b'0'; 3]).take(3);
    let thousandths = padded.into_iter().try_fold(0, |sum, byte| Some(sum * 10 + digit(byte)?))?;
    let weight = digit(*whole)? * 1000 + thousandths;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_likes_best_is_taken() {
        use Coding::{Brotli, Gzip, Zstd};
        let cases: [(&[&'static str], Option<Coding>); 29] = [
            (&[], None),
            (&[""], None),
            (&["gzip, deflate, br, zstd"], Some(Zstd)),
            (&["gzip, deflate, br"], Some(Brotli)),
            (&["gzip", "br"], Some(Brotli)),
            (&["deflate"], None),
            (&["GZip"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["gzip;q=1.0, br;q=0.9"], Some(Gzip)),
            (&["gzip; q=0.5 , zstd ; q=0.501"], Some(Zstd)),
            (&["gzip;q=0.001"], Some(Gzip)),
            (&["gzip;q=0"], None),
            (&["gzip;q=0.000, br;q=0."], None),
            (&["*"], Some(Zstd)),
            (&["*;q=0"], None),
            (&["*, zstd;q=0"], Some(Brotli)),
            (&["gzip, *;q=0"], Some(Gzip)),
            (&["gzip;q=0.5, *;q=0.6"], Some(Zstd)),
            (&["identity"], None),
            (&["identity, gzip"], Some(Gzip)),
            (&["identity, gzip;q=0.9"], None),
            (&["identity;q=0.5, gzip;q=0.9"], Some(Gzip)),
            (&["identity;q=0, gzip;q=0.1"], Some(Gzip)),
            (&["identity;q=0"], None),
            (&["gzip;q=2"], None),
            (&["gzip;q=0.1234"], None),
            (&["gzip;q=x, br;q=1.000"], Some(Brotli)),
            (&["gzip;level=1"], None),
            (&["gzip;q=1.001"], None),
        ];
        for (lines, expected) in cases {
            let line = |line: &&'static str| (ACCEPT_ENCODING, line.parse().unwrap());
            let headers: HeaderMap = lines.iter().map(line).collect();
            assert_eq!(negotiate(&headers), expected, "{lines:?}");
        }
    }
}
