//! [`Decoding`]: undoes a content coding, piece by piece.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use sse_layer::Repairs;

use super::brotli::Brotli;
use super::sniff::looks_like_a_stream;

/// How much is decoded at once: what a small input may swell to stays bounded.
const STEP: usize = 512;

/// How many bytes decide at most whether a label lies.
const ENOUGH: usize = 64;

/// The content coding of a body, being undone.
pub(super) enum Decoding {
    /// Not coded.
    Plain,
    /// Not known before the first bytes are seen.
    Unseen(Box<Unseen>),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    /// What some servers call deflate.
    Deflate(Box<DeflateDecoder<Vec<u8>>>),
    Brotli(Box<Brotli>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
    Stacked(Box<Stacked>),
}

/// A coding around another, as where a server and a proxy before it both compress.
pub(super) struct Stacked {
    outer: Decoding,
    /// What has come of the outer one.
    between: Bytes,
    inner: Decoding,
}

/// What is known of a body before its first bytes are.
pub(super) struct Unseen {
    /// What was declared.
    label: Option<Coding>,
    /// Whether the label is believed only if the bytes agree.
    is_doubted: bool,
    /// What has come.
    held: Vec<u8>,
}

/// A coding that browsers know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

pub(super) const GZIP_MARK: &[u8] = &[0x1f, 0x8b];

impl Decoding {
    /// For a body with these headers; `None` if one of its codings is unknown here, or if they are
    /// more than anybody needs.
    pub(super) fn of(headers: &HeaderMap, repairs: Repairs) -> Option<Self> {
        let lines = headers.get_all(CONTENT_ENCODING).iter();
        let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let mut codings = Vec::new();
        for name in names {
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"identity" | b"" => {}
                name => codings.push(Coding::named(name)?),
            }
        }
        // In the order in which they were applied.
        match *codings.as_slice() {
            [] => Self::of_one(None, repairs),
            [coding] => Self::of_one(Some(coding), repairs),
            [inner, outer] => Some(Self::Stacked(Box::new(Stacked {
                outer: Self::of_one(Some(outer), Repairs::NONE)?,
                between: Bytes::new(),
                inner: Self::of_one(Some(inner), Repairs::NONE)?,
            }))),
            _ => None,
        }
    }

    fn of_one(label: Option<Coding>, repairs: Repairs) -> Option<Self> {
        let is_doubted = repairs.contains(match label {
            None => Repairs::DECODE_UNDECLARED,
            Some(_) => Repairs::DECODE_MISDECLARED,
        });
        match label {
            None if !is_doubted => Some(Self::Plain),
            Some(coding) if !is_doubted && coding != Coding::Deflate => Self::open(coding, b""),
            _ => Some(Self::Unseen(Box::new(Unseen { label, is_doubted, held: Vec::new() }))),
        }
    }

    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// For a body that begins so.
    fn open(coding: Coding, begin: &[u8]) -> Option<Self> {
        Some(match coding {
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            // Zlib's mark tells the two meanings of it apart.
            Coding::Deflate if begin.first().is_some_and(|byte| byte & 0x0f == 8) => {
                Self::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
            }
            Coding::Deflate => Self::Deflate(Box::new(DeflateDecoder::new(Vec::new()))),
            Coding::Brotli => Self::Brotli(Box::new(Brotli::new())),
            Coding::Zstd => {
                Self::Zstd(Box::new(zstd::stream::write::Decoder::new(Vec::new()).ok()?))
            }
        })
    }

    /// Whether more may come without more input.
    pub(super) fn has_more(&self) -> bool {
        match self {
            Self::Brotli(decoder) => decoder.has_more,
            Self::Stacked(stacked) => {
                let Stacked { outer, between, inner } = stacked.as_ref();
                !between.is_empty() || outer.has_more() || inner.has_more()
            }
            _ => false,
        }
    }

    /// Takes some of `input`, and returns what comes of it: a bounded piece, or nothing yet.
    pub(super) fn decode(&mut self, input: &mut Bytes) -> io::Result<Bytes> {
        if let Self::Stacked(stacked) = self {
            if stacked.between.is_empty() && !stacked.inner.has_more() {
                stacked.between = stacked.outer.decode(input)?;
            }
            return stacked.inner.decode(&mut stacked.between);
        }
        if let Self::Unseen(unseen) = self {
            unseen.held.extend_from_slice(&std::mem::take(input));
            let Some(decoding) = unseen.verdict() else { return Ok(Bytes::new()) };
            *input = std::mem::take(&mut unseen.held).into();
            *self = decoding;
        }
        match self {
            Self::Plain => return Ok(std::mem::take(input)),
            Self::Brotli(decoder) => return decoder.decode(input).map(Bytes::from),
            _ => {}
        }
        let step = input.split_to(STEP.min(input.len()));
        self.step(&step).map(Bytes::from)
    }

    fn step(&mut self, step: &[u8]) -> io::Result<Vec<u8>> {
        macro_rules! through {
            ($decoder:expr) => {{
                $decoder.write_all(step)?;
                $decoder.flush()?;
                std::mem::take($decoder.get_mut())
            }};
        }
        Ok(match self {
            Self::Plain | Self::Unseen(_) | Self::Brotli(_) | Self::Stacked(_) => step.to_vec(),
            Self::Gzip(decoder) => through!(decoder),
            Self::Zlib(decoder) => through!(decoder),
            Self::Deflate(decoder) => through!(decoder),
            Self::Zstd(decoder) => through!(decoder),
        })
    }
}

impl Coding {
    /// By its name in lower case.
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            b"br" => Self::Brotli,
            b"zstd" => Self::Zstd,
            _ => return None,
        })
    }
}

impl Unseen {
    /// `None` if more bytes are needed.
    fn verdict(&self) -> Option<Decoding> {
        let held = self.held.as_slice();
        match self.label {
            Some(coding) if !self.is_doubted && !held.is_empty() => Decoding::open(coding, held),
            None | Some(Coding::Gzip) => match held.get(..GZIP_MARK.len()) {
                Some(GZIP_MARK) => Decoding::open(Coding::Gzip, held),
                None if GZIP_MARK.starts_with(held) => None,
                _ => Some(Decoding::Plain),
            },
            Some(coding) => match looks_like_a_stream(held) {
                Some(true) => Some(Decoding::Plain),
                None if held.len() < ENOUGH => None,
                _ => Decoding::open(coding, held),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn decode(
        coding: Option<&'static str>,
        repairs: Repairs,
        body: &[u8],
        step: usize,
    ) -> io::Result<Vec<u8>> {
        let mut headers = HeaderMap::new();
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, coding.parse().unwrap());
        }
        let mut decoding = Decoding::of(&headers, repairs).unwrap();
        let mut out = Vec::new();
        for piece in body.chunks(step) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() || decoding.has_more() {
                out.extend(decoding.decode(&mut piece)?);
            }
        }
        Ok(out)
    }

    /// What has left the encoder after one flush, without an end: so a live stream looks.
    macro_rules! flushed {
        ($encoder:expr) => {{
            let mut encoder = $encoder;
            encoder.write_all(b"data: x\n\n").unwrap();
            encoder.flush().unwrap();
            encoder.get_ref().clone()
        }};
    }

    #[test]
    fn every_coding_that_a_browser_knows_is_undone_as_it_comes() {
        for (coding, body) in [
            ("gzip", flushed!(GzEncoder::new(Vec::new(), Compression::fast()))),
            ("deflate", flushed!(ZlibEncoder::new(Vec::new(), Compression::fast()))),
            ("deflate", flushed!(DeflateEncoder::new(Vec::new(), Compression::fast()))),
            ("br", flushed!(brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20))),
            ("zstd", flushed!(zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap())),
        ] {
            for step in [1, 2, 4096] {
                let out = decode(Some(coding), Repairs::SAFE, &body, step);
                assert_eq!(out.unwrap(), b"data: x\n\n", "{coding}, {step} bytes at a time");
            }
        }
    }

    #[test]
    fn two_codings_are_undone_the_last_one_first() {
        let inner = flushed!(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut outer = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
        outer.write_all(&inner).unwrap();
        outer.flush().unwrap();
        for step in [1, 2, 4096] {
            let out = decode(Some("gzip, identity, BR"), Repairs::SAFE, outer.get_ref(), step);
            assert_eq!(out.unwrap(), b"data: x\n\n", "{step} bytes at a time");
        }
        for unknown in ["gzip, compress", "aws-chunked", "gzip, gzip, gzip"] {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, unknown.parse().unwrap())]);
            assert!(Decoding::of(&headers, Repairs::SAFE).is_none(), "{unknown}");
        }
        let mut lines = HeaderMap::new();
        lines.append(CONTENT_ENCODING, "gzip".parse().unwrap());
        lines.append(CONTENT_ENCODING, "br".parse().unwrap());
        assert!(matches!(Decoding::of(&lines, Repairs::SAFE), Some(Decoding::Stacked(_))));
    }

    #[test]
    fn a_label_that_the_bytes_belie_is_believed_only_without_the_repair() {
        let body = b"data: not coded at all\n\n";
        for coding in ["gzip", "deflate", "br", "zstd"] {
            for step in [1, 4096] {
                let decode = |repairs| decode(Some(coding), repairs, body, step);
                assert_eq!(decode(Repairs::DECODE_MISDECLARED).unwrap(), body, "{coding}");
                assert_ne!(decode(Repairs::SAFE).ok().as_deref(), Some(&body[..]), "{coding}");
            }
        }
        let coded = flushed!(GzEncoder::new(Vec::new(), Compression::fast()));
        let out = decode(Some("gzip"), Repairs::DECODE_MISDECLARED, &coded, 1);
        assert_eq!(out.unwrap(), b"data: x\n\n", "a label that is right is believed");
    }

    #[test]
    fn gzip_that_nobody_declared_is_known_by_its_mark_wherever_it_is_cut() {
        let body = flushed!(GzEncoder::new(Vec::new(), Compression::fast()));
        for step in [1, 4096] {
            let out = decode(None, Repairs::DECODE_UNDECLARED, &body, step);
            assert_eq!(out.unwrap(), b"data: x\n\n");
            assert_eq!(decode(None, Repairs::SAFE, &body, step).unwrap(), body);
        }
    }
}
