//! [`Repairs`]: which deviations from the standard are mended.

mod continuation;
mod crcrlf;
mod line;
mod mend;
mod names;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::str::FromStr;

pub(crate) use crcrlf::Collapse;
pub(crate) use mend::{hints, mend};
pub(crate) use names::{is_blank, is_plain, meant};

/// A set of repairs.
///
/// A repair mends one thing that servers are known to get wrong. Those that concern the bytes of
/// a stream are made by a [`Framer`](crate::Framer) or a [`Decoder`](crate::Decoder); the others
/// concern the head of a response, or its encoding, and are for whoever forwards it.
///
/// Four repairs come in several widths: `content-type`, `cache-control` and `decode` are in
/// [`SAFE`](Self::SAFE) as far as they contradict nobody, and in [`LEGACY`](Self::LEGACY) as far
/// as they overrule what the server said; `transcode` is there as far as the server said what to
/// do. Whoever names one wants all of it.
///
/// ```
/// use sse_layer::Repairs;
///
/// let repairs = "field-case".parse::<Repairs>()? | "stray-bom".parse()?;
/// assert!(Repairs::LEGACY.contains(repairs));
/// assert_eq!(repairs.to_string(), "field-case, stray-bom");
/// # Ok::<(), sse_layer::UnknownRepair>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Repairs(u32);

impl Repairs {
    /// No repair: `off`.
    pub const NONE: Self = Self(0);

    /// What changes no meaning: `safe`.
    pub const SAFE: Self = Self::NORMALISE_EOL
        .union(Self::CHARSET)
        .union(Self::CONTENT_TYPE)
        .union(Self::DECODE)
        .union(Self::FRAMING)
        .union(Self::CACHE_CONTROL)
        .union(Self::HOP_BY_HOP);

    /// What old servers need: `legacy`. Everything that is safe, and more.
    pub const LEGACY: Self = Self::SAFE
        .union(Self::FIELD_CASE)
        .union(Self::FIELD_SPACE)
        .union(Self::STRAY_BOM)
        .union(Self::BLANK_LINES)
        .union(Self::RELABEL)
        .union(Self::TRANSCODE)
        .union(Self::OVERRULE_CACHING)
        .union(Self::DECODE_UNDECLARED);

    /// `normalise-eol`: CR and CR LF become LF, for clients that split at LF alone.
    pub const NORMALISE_EOL: Self = Self(1);
    /// `charset`: a `charset` parameter other than `utf-8` is dropped if the bytes are UTF-8.
    pub const CHARSET: Self = Self(1 << 1);
    /// `content-type`, the safe part: a missing one is added.
    pub const CONTENT_TYPE: Self = Self(1 << 2);
    /// `decode`, the safe part: a declared content coding that the client did not ask for.
    pub const DECODE: Self = Self(1 << 3);
    /// `framing`: a length that the stream may outgrow is dropped.
    pub const FRAMING: Self = Self(1 << 4);
    /// `cache-control`, the safe part: a missing one is added.
    pub const CACHE_CONTROL: Self = Self(1 << 5);
    /// `hop-by-hop`: fields meant for the hop before are dropped.
    pub const HOP_BY_HOP: Self = Self(1 << 6);
    /// `field-case`: `Event:`, `ID:`, `DATA:` become lower case, unless the block has a line with
    /// exactly the lower-case name: then the other is an extension that clients ignore.
    pub const FIELD_CASE: Self = Self(1 << 7);
    /// `field-space`: blanks and tabs around a name and before its colon go, if what is left is
    /// one of the four names.
    pub const FIELD_SPACE: Self = Self(1 << 8);
    /// `stray-bom`: byte order marks at the start of a line go.
    pub const STRAY_BOM: Self = Self(1 << 9);
    /// `blank-lines`: a line of nothing but blanks and tabs ends the block.
    pub const BLANK_LINES: Self = Self(1 << 10);
    /// `content-type`, the legacy part: a wrong one is replaced if the body is an event stream.
    pub const RELABEL: Self = Self(1 << 11);
    /// `transcode`, the legacy part: a body in another encoding, which is declared, becomes UTF-8.
    pub const TRANSCODE: Self = Self(1 << 12);
    /// `cache-control`, the legacy part: a harmful one is replaced.
    pub const OVERRULE_CACHING: Self = Self(1 << 13);
    /// `decode`, the legacy part: a content coding that is not declared.
    pub const DECODE_UNDECLARED: Self = Self(1 << 14);
    /// `decode`, by name only: a content coding that is declared, but was not applied.
    pub const DECODE_MISDECLARED: Self = Self(1 << 15);
    /// `final-blank-line`: an event whose last line is whole is closed at an end that is meant.
    pub const FINAL_BLANK_LINE: Self = Self(1 << 16);
    /// `line-per-event`: blocks without blank lines are told apart where an id or a type comes
    /// again after data, or data after data where there is neither. An event then waits for the
    /// next one, or for the end.
    pub const LINE_PER_EVENT: Self = Self(1 << 17);
    /// `crcrlf`: CR CR LF becomes LF if every line of the first block, of 64 KiB at most, ends so.
    /// That block is held back until it is whole.
    pub const CRCRLF: Self = Self(1 << 18);
    /// `json-continuation`: lines that are no field belong to the JSON that is open before them.
    pub const JSON_CONTINUATION: Self = Self(1 << 19);
    /// `text-continuation`: lines that are no field belong to the data before them.
    pub const TEXT_CONTINUATION: Self = Self(1 << 20);
    /// `trim-type`: blanks and tabs around a type go.
    pub const TRIM_TYPE: Self = Self(1 << 21);
    /// `empty-data`: a type without data gets empty data, and so is an event.
    pub const EMPTY_DATA: Self = Self(1 << 22);
    /// `retry-unit`: a reconnection time in `ms`, `s` or `min`, however these are written out,
    /// becomes one without unit.
    pub const RETRY_UNIT: Self = Self(1 << 23);
    /// `retry-floor`: a reconnection time is at least 1000 ms.
    pub const RETRY_FLOOR: Self = Self(1 << 24);
    /// `retry-ceiling`: a reconnection time is at most 2<sup>31</sup> - 1 ms.
    pub const RETRY_CEILING: Self = Self(1 << 25);
    /// `cesu8`: pairs of encoded surrogates become the character that they stand for.
    pub const CESU8: Self = Self(1 << 26);
    /// `add-ids`: events get ids, as long as the server gives none.
    pub const ADD_IDS: Self = Self(1 << 27);
    /// `status`: a stream under another status that means success becomes 200.
    pub const STATUS: Self = Self(1 << 28);
    /// `soften-5xx`: a server's error becomes an empty stream, so that browsers come back.
    pub const SOFTEN_5XX: Self = Self(1 << 29);
    /// `transcode`, by name only: what is not UTF-8, and not declared, is taken for windows-1252.
    pub const TRANSCODE_UNDECLARED: Self = Self(1 << 30);

    /// The set of a name is all its bits: the widest form of the repair.
    const NAMES: &[(&str, Self)] = &[
        ("normalise-eol", Self::NORMALISE_EOL),
        ("charset", Self::CHARSET),
        ("content-type", Self::CONTENT_TYPE.union(Self::RELABEL)),
        ("decode", Self::DECODE.union(Self::DECODE_UNDECLARED).union(Self::DECODE_MISDECLARED)),
        ("framing", Self::FRAMING),
        ("cache-control", Self::CACHE_CONTROL.union(Self::OVERRULE_CACHING)),
        ("hop-by-hop", Self::HOP_BY_HOP),
        ("field-case", Self::FIELD_CASE),
        ("field-space", Self::FIELD_SPACE),
        ("stray-bom", Self::STRAY_BOM),
        ("blank-lines", Self::BLANK_LINES),
        ("transcode", Self::TRANSCODE.union(Self::TRANSCODE_UNDECLARED)),
        ("final-blank-line", Self::FINAL_BLANK_LINE),
        ("line-per-event", Self::LINE_PER_EVENT),
        ("crcrlf", Self::CRCRLF),
        ("json-continuation", Self::JSON_CONTINUATION),
        ("text-continuation", Self::TEXT_CONTINUATION),
        ("trim-type", Self::TRIM_TYPE),
        ("empty-data", Self::EMPTY_DATA),
        ("add-ids", Self::ADD_IDS),
        ("retry-unit", Self::RETRY_UNIT),
        ("retry-floor", Self::RETRY_FLOOR),
        ("retry-ceiling", Self::RETRY_CEILING),
        ("cesu8", Self::CESU8),
        ("status", Self::STATUS),
        ("soften-5xx", Self::SOFTEN_5XX),
    ];

    const PROFILES: &[(&str, Self)] =
        &[("off", Self::NONE), ("safe", Self::SAFE), ("legacy", Self::LEGACY)];

    /// Whether all of `other` are in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` are in it.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The repairs of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The repairs that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of its repairs, each once, in a fixed order. A repair is named if any part of
    /// it is in the set.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        let named = Self::NAMES.iter().filter(move |(_, repair)| self.intersects(*repair));
        named.map(|(name, _)| *name)
    }
}

impl BitOr for Repairs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Repairs {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}

impl FromIterator<Self> for Repairs {
    fn from_iter<I: IntoIterator<Item = Self>>(repairs: I) -> Self {
        repairs.into_iter().fold(Self::NONE, Self::union)
    }
}

/// The names, separated by commas; `off` if there are none.
impl fmt::Display for Repairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("off");
        }
        f.write_str(&self.iter().collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Repairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repairs({self})")
    }
}

/// One name, or one of `off`, `safe` and `legacy`.
impl FromStr for Repairs {
    type Err = UnknownRepair;

    fn from_str(name: &str) -> Result<Self, UnknownRepair> {
        let mut known = Self::PROFILES.iter().chain(Self::NAMES);
        match known.find(|(known, _)| *known == name) {
            Some((_, repairs)) => Ok(*repairs),
            None => Err(UnknownRepair { name: name.to_owned() }),
        }
    }
}

/// A name that is no repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRepair {
    name: String,
}

impl fmt::Display for UnknownRepair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = Repairs::PROFILES.iter().chain(Repairs::NAMES).map(|(name, _)| *name);
        let allowed = allowed.collect::<Vec<_>>().join(", ");
        write!(f, "`{}` is no repair; allowed are {allowed}", self.name)
    }
}

impl std::error::Error for UnknownRepair {}
