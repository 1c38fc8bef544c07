use std::fmt;
use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::Coding;

/// Codes a stream, so that whatever was encoded can be decoded at once.
pub(crate) enum Encoder {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(Box<ZstdEncoder<'static, Vec<u8>>>),
}

/// Events are short: what larger windows and harder work would gain is little.
mod strength {
    pub(super) const GZIP: u32 = 5;
    pub(super) const BROTLI: u32 = 4;
    pub(super) const BROTLI_WINDOW_LOG: u32 = 16;
    pub(super) const ZSTD: i32 = 1;
    pub(super) const ZSTD_WINDOW_LOG: u32 = 16;
}

impl Encoder {
    /// # Errors
    ///
    /// If zstd has no memory.
    pub(crate) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(strength::GZIP);
                Self::Gzip(Box::new(GzEncoder::new(Vec::new(), level)))
            }
            Coding::Brotli => Self::Brotli(Box::new(CompressorWriter::new(
                Vec::new(),
                4096,
                strength::BROTLI,
                strength::BROTLI_WINDOW_LOG,
            ))),
            Coding::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), strength::ZSTD)?;
                encoder.set_parameter(CParameter::WindowLog(strength::ZSTD_WINDOW_LOG))?;
                Self::Zstd(Box::new(encoder))
            }
        })
    }

    /// The coded `bytes`, all of them.
    pub(crate) fn encode(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        let writer: &mut dyn Write = match self {
            Self::Gzip(encoder) => encoder,
            Self::Brotli(encoder) => encoder,
            Self::Zstd(encoder) => encoder,
        };
        writer.write_all(bytes)?;
        writer.flush()?;
        let written = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        Ok(std::mem::take(written).into())
    }

    /// What ends the stream.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        let rest = match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
        };
        Ok(rest.into())
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Brotli(_) => "Brotli",
            Self::Zstd(_) => "Zstd",
        })
    }
}
