//! [`Decoding`]: undoes a content coding, piece by piece.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use sse_layer::Repairs;

/// How much is decoded at once: what a small input may swell to stays bounded.
const STEP: usize = 512;

/// The content coding of a body, being undone.
pub(super) enum Decoding {
    /// Not coded.
    Plain,
    /// Not known before the first bytes are seen.
    Unseen(Rule),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    /// What some servers call deflate.
    Deflate(Box<DeflateDecoder<Vec<u8>>>),
    Brotli(Box<brotli::DecompressorWriter<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

/// What decides, with the first bytes, about the coding.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// No coding was declared, but gzip's mark is believed.
    Undeclared,
    /// Gzip was declared, and is believed only with its mark.
    Gzip,
    /// Deflate was declared; zlib's mark tells the two meanings of it apart.
    Deflate,
}

const GZIP_MARK: &[u8] = &[0x1f, 0x8b];

impl Decoding {
    /// For a body with these headers; `None` if its coding is unknown here.
    pub(super) fn of(headers: &HeaderMap, repairs: Repairs) -> Option<Self> {
        let coding =
            headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
        Some(match coding.as_deref().map(<[u8]>::trim_ascii) {
            None | Some(b"identity" | b"") if repairs.contains(Repairs::DECODE_UNDECLARED) => {
                Self::Unseen(Rule::Undeclared)
            }
            None | Some(b"identity" | b"") => Self::Plain,
            Some(b"gzip" | b"x-gzip") if repairs.contains(Repairs::DECODE_MISDECLARED) => {
                Self::Unseen(Rule::Gzip)
            }
            Some(b"gzip" | b"x-gzip") => Self::gzip(),
            Some(b"deflate") => Self::Unseen(Rule::Deflate),
            Some(b"br") => {
                Self::Brotli(Box::new(brotli::DecompressorWriter::new(Vec::new(), STEP)))
            }
            Some(b"zstd") => {
                Self::Zstd(Box::new(zstd::stream::write::Decoder::new(Vec::new()).ok()?))
            }
            Some(_) => return None,
        })
    }

    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    fn gzip() -> Self {
        Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
    }

    /// Takes some of `input`, and returns what comes of it: a bounded piece, or nothing yet.
    pub(super) fn decode(&mut self, input: &mut Bytes) -> io::Result<Bytes> {
        if let Self::Unseen(rule) = *self {
            if input.is_empty() {
                return Ok(Bytes::new());
            }
            *self = match rule {
                Rule::Deflate if input.first().is_some_and(|byte| byte & 0x0f == 8) => {
                    Self::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
                }
                Rule::Deflate => Self::Deflate(Box::new(DeflateDecoder::new(Vec::new()))),
                Rule::Gzip | Rule::Undeclared if input.starts_with(GZIP_MARK) => Self::gzip(),
                Rule::Gzip | Rule::Undeclared => Self::Plain,
            };
        }
        if self.is_plain() {
            return Ok(std::mem::take(input));
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
            Self::Plain | Self::Unseen(_) => step.to_vec(),
            Self::Gzip(decoder) => through!(decoder),
            Self::Zlib(decoder) => through!(decoder),
            Self::Deflate(decoder) => through!(decoder),
            Self::Brotli(decoder) => through!(decoder),
            Self::Zstd(decoder) => through!(decoder),
        })
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
            while !piece.is_empty() {
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
    fn a_label_that_the_bytes_belie_is_believed_only_without_the_repair() {
        let body = b"data: not gzip at all\n\n";
        let decode = |repairs| decode(Some("gzip"), repairs, body, 4096);
        assert_eq!(decode(Repairs::DECODE_MISDECLARED).unwrap(), body);
        assert!(decode(Repairs::SAFE).is_err());
    }
}
