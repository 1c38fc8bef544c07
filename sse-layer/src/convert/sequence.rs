use bytes::{Buf, Bytes, BytesMut};

use super::TooLong;

/// Cuts a JSON text sequence (RFC 7464) into its texts.
///
/// A text is complete when its line feed has come, outside of all brackets and quotes. One in
/// brackets or quotes is complete without it, if another text or the end follows; a number or a
/// name may have been cut off there.
#[derive(Debug)]
pub(super) struct Sequence {
    limit: usize,
    input: BytesMut,
    /// The text that has begun, if any. What stands outside of one is skipped.
    text: Option<Text>,
    has_ended: bool,
    is_too_long: bool,
}

#[derive(Debug, Default)]
struct Text {
    bytes: BytesMut,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

/// ASCII record separator. JSON has none, not even within strings.
const SEPARATOR: u8 = 0x1E;

impl Text {
    fn push(&mut self, byte: u8) {
        self.bytes.extend_from_slice(&[byte]);
        match byte {
            _ if std::mem::take(&mut self.is_escaped) => {}
            b'\\' if self.in_string => self.is_escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// Whether nothing is open in it.
    fn is_closed(&self) -> bool {
        self.depth == 0 && !self.in_string && !self.bytes.trim_ascii().is_empty()
    }

    /// Whether it cannot go on.
    fn is_delimited(&self) -> bool {
        self.is_closed() && matches!(self.bytes.trim_ascii().last(), Some(b'}' | b']' | b'"'))
    }

    fn into_bytes(self) -> Bytes {
        let bytes = self.bytes.freeze();
        bytes.slice_ref(bytes.trim_ascii())
    }
}

impl Sequence {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, input: BytesMut::new(), text: None, has_ended: false, is_too_long: false }
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.input.is_empty() {
            self.input = BytesMut::from(bytes);
        } else {
            self.input.extend_from_slice(&bytes);
        }
    }

    /// Nothing comes any more.
    pub(super) const fn finish(&mut self) {
        self.has_ended = true;
    }

    /// The next complete text, without the blanks around it.
    pub(super) fn next_text(&mut self) -> Result<Option<Bytes>, TooLong> {
        while !self.is_too_long && self.input.has_remaining() {
            let byte = self.input.get_u8();
            if byte == SEPARATOR {
                let before = self.text.replace(Text::default());
                if let Some(text) = before.filter(Text::is_delimited) {
                    return Ok(Some(text.into_bytes()));
                }
            } else if let Some(text) = &mut self.text {
                if byte == b'\n' && text.is_closed() {
                    return Ok(self.text.take().map(Text::into_bytes));
                }
                text.push(byte);
                self.is_too_long = text.bytes.len() > self.limit;
            }
        }
        if self.is_too_long {
            return Err(TooLong { limit: self.limit });
        }
        let last = self.text.take_if(|text| self.has_ended && text.is_delimited());
        Ok(last.map(Text::into_bytes))
    }
}
