//! Plain blocks: what most streams consist of, and what is read in one go.

use std::ops::Range;

use memchr::memchr2;

use crate::Field;
use crate::event::is_id;

/// A plain block, and what its lines are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) lines: &'a [Line],
}

/// A line of a plain block: its name, and where in the block its value is.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    name: Name,
    value: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Comment,
    Event,
    Id,
    Data,
}

impl<'a> Plain<'a> {
    /// Its data, if it is all that it has, on one line.
    #[inline]
    pub(crate) fn lone_data(self) -> Option<&'a [u8]> {
        match self.lines {
            [line] => self.bytes.get(line.value.clone()),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn fields(self) -> impl Iterator<Item = Field<'a>> {
        self.lines.iter().filter_map(move |line| {
            let value = self.bytes.get(line.value.clone())?;
            match line.name {
                Name::Comment => Some(Field::Comment(value)),
                Name::Event => Some(Field::Event(value)),
                Name::Id => is_id(value).then_some(Field::Id(value)),
                Name::Data => Some(Field::Data(value)),
            }
        })
    }
}

/// The length of the block that `bytes` begin with, if it is plain: it is there as a whole, has
/// data at its end, all line ends are LF, and no repair concerns a line. Its lines go to `keep`.
#[inline]
pub(super) fn plain_block(bytes: &[u8], mut keep: impl FnMut(Line)) -> Option<usize> {
    let mut start = 0;
    let mut has_data = false;
    loop {
        let rest = bytes.get(start..)?;
        let (name, colon) = match rest {
            [b'd', b'a', b't', b'a', b':', ..] => (Name::Data, 4),
            [b'\n', ..] => return has_data.then_some(start + 1),
            _ if has_data => return None,
            [b'i', b'd', b':', ..] => (Name::Id, 2),
            [b'e', b'v', b'e', b'n', b't', b':', ..] => (Name::Event, 5),
            [b':', ..] => (Name::Comment, 0),
            _ => return None,
        };
        let (line, end) = rest.split_at_checked(line_end(rest)?)?;
        let space = usize::from(line.get(colon + 1) == Some(&b' '));
        let value = start + colon + 1 + space..start + line.len();
        let is_bare = name != Name::Event || bytes.get(value.clone()).is_some_and(is_bare);
        if !end.starts_with(b"\n") || !is_bare {
            return None;
        }
        has_data = name == Name::Data;
        start += line.len() + 1;
        keep(Line { name, value });
    }
}

/// Whether there are no blanks around a value, which could be meant to go.
fn is_bare(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !is_blank(value.first()) && !is_blank(value.last())
}

/// Where the first line of `bytes` ends.
#[inline]
pub(super) fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        // Most lines are followed by a blank one.
        [b'\r' | b'\n', ..] => Some(0),
        _ => memchr2(b'\r', b'\n', bytes),
    }
}
