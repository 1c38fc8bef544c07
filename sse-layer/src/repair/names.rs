//! Repairs of what stands before a colon, and of blank lines.

use std::borrow::Cow;

use super::Repairs;
use super::line::{Line, change_each};
use crate::frame::{split, without_space};

/// The names that mean something.
const KNOWN: [&[u8]; 4] = [b"event", b"data", b"id", b"retry"];

/// Whether a line is a comment or a field as it should be, so that no repair of names or values
/// concerns it. (A reconnection time may always be too short or too long.)
#[inline]
pub(crate) fn is_plain(name: &[u8], value: Option<&[u8]>) -> bool {
    match name {
        b"data" | b"id" | b"" => value.is_some(),
        b"event" => value.map(without_space).is_none_or(|name| trim(name) == name),
        _ => false,
    }
}

pub(super) fn is_known(name: &[u8]) -> bool {
    KNOWN.contains(&name)
}

/// Whether a line ends its block: it is empty, or will be when it is mended.
#[inline]
pub(crate) fn is_blank(line: &[u8], repairs: Repairs) -> bool {
    let line = if repairs.contains(Repairs::STRAY_BOM) { without_bom(line) } else { line };
    line.is_empty() || (repairs.contains(Repairs::BLANK_LINES) && trim(line).is_empty())
}

/// The name that a line will have when it is mended, as far as that can be said of it alone; and
/// whether it is written so, and not in another case.
pub(crate) fn meant(line: &[u8], repairs: Repairs) -> (&[u8], bool) {
    let line = if repairs.contains(Repairs::STRAY_BOM) { without_bom(line) } else { line };
    let name = Name::of(line, repairs);
    let known = KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name.bare));
    match known.filter(|_| name.value.is_some()) {
        Some(known) if known == name.bare => (known, true),
        Some(known) if repairs.contains(Repairs::FIELD_CASE) => (known, false),
        _ => (name.written, true),
    }
}

/// `stray-bom`.
pub(super) fn stray_bom(lines: &mut Vec<Line<'_>>) -> bool {
    change_each(lines, |line| {
        let rest = without_bom(line);
        (rest != line).then(|| rest.to_vec())
    })
}

/// `blank-lines`: where the block ends is settled ([`is_blank`]); here the blanks go.
pub(super) fn blank_lines(lines: &mut Vec<Line<'_>>) -> bool {
    change_each(lines, |line| (!line.is_empty() && trim(line).is_empty()).then(Vec::new))
}

/// `field-space` and `field-case`, in one go because a line may need both to be known.
pub(super) fn known_names(lines: &mut [Line<'_>], repairs: Repairs) -> Repairs {
    if !repairs.intersects(Repairs::FIELD_SPACE | Repairs::FIELD_CASE) {
        return Repairs::NONE;
    }
    let is_written = |known: &[u8]| lines.iter().any(|line| Name::of(line, repairs).bare == known);
    let foldable: Vec<_> = KNOWN
        .into_iter()
        .filter(|known| repairs.contains(Repairs::FIELD_CASE) && !is_written(known))
        .collect();
    let mut made = Repairs::NONE;
    for line in lines {
        if let Some((text, repair)) = Name::of(line, repairs).mended(&foldable) {
            *line = Cow::Owned(text);
            made |= repair;
        }
    }
    made
}

/// The name of a line, and what it is without the blanks that may go.
struct Name<'a> {
    written: &'a [u8],
    bare: &'a [u8],
    /// What follows the colon. A line without one may be anything: its name is left alone.
    value: Option<&'a [u8]>,
}

impl<'a> Name<'a> {
    fn of(line: &'a [u8], repairs: Repairs) -> Self {
        let (written, value) = split(line);
        let is_trimmed = value.is_some() && repairs.contains(Repairs::FIELD_SPACE);
        Self { written, bare: if is_trimmed { trim(written) } else { written }, value }
    }

    /// The line with the name that clients know, if that is another than the one written.
    fn mended(&self, foldable: &[&[u8]]) -> Option<(Vec<u8>, Repairs)> {
        let value = self.value?;
        let known = KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(self.bare))?;
        let mut made = Repairs::NONE;
        if self.bare != self.written {
            made |= Repairs::FIELD_SPACE;
        }
        if self.bare != known {
            made |= foldable.contains(&known).then_some(Repairs::FIELD_CASE)?;
        }
        (!made.is_empty()).then(|| ([known, b":", value].concat(), made))
    }
}

fn without_bom(line: &[u8]) -> &[u8] {
    let mut rest = line;
    while let Some(tail) = rest.strip_prefix(b"\xEF\xBB\xBF") {
        rest = tail;
    }
    rest
}

/// Without the blanks and tabs at both ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let is_ink = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = text.iter().position(is_ink).unwrap_or(text.len());
    let end = text.iter().rposition(is_ink).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}
