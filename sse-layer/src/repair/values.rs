//! Repairs of values, and of data that is missing.

use std::borrow::Cow;
use std::str;
use std::time::Duration;

use memchr::memchr;

use super::line::{Line, change_each};
use super::names::trim;
use crate::frame::Field;

/// The shortest reconnection time with `retry-floor`. What is shorter was meant in seconds.
const FLOOR: Duration = Duration::from_secs(1);

/// The longest reconnection time with `retry-ceiling`: what a 32-bit timer takes.
const CEILING: Duration = Duration::from_millis(i32::MAX as u64);

/// The units that `retry-unit` knows, in milliseconds.
const UNITS: [(&str, u64); 8] = [
    ("ms", 1),
    ("msec", 1),
    ("s", 1000),
    ("sec", 1000),
    ("seconds", 1000),
    ("min", 60_000),
    ("minute", 60_000),
    ("minutes", 60_000),
];

/// `trim-type`: blanks around a type go.
pub(super) fn trim_type(lines: &mut Vec<Line<'_>>) -> bool {
    change_each(lines, |line| match Field::of(line) {
        Field::Event(name) if trim(name) != name => Some([b"event: ", trim(name)].concat()),
        _ => None,
    })
}

/// `empty-data`: a type without data gets data, and so is dispatched.
pub(super) fn empty_data(lines: &mut Vec<Line<'_>>) -> bool {
    let mut is_named = false;
    for (at, line) in lines.iter().enumerate() {
        match Field::of(line) {
            Field::Event(name) => is_named = !name.is_empty(),
            Field::Data(_) => return false,
            _ if is_named && line.is_empty() => {
                lines.insert(at, Cow::Borrowed(b"data:"));
                return true;
            }
            _ => {}
        }
    }
    false
}

/// `retry-unit`: a time with a unit becomes one in milliseconds.
pub(super) fn retry_unit(lines: &mut Vec<Line<'_>>) -> bool {
    change_each(lines, |line| match Field::of(line) {
        Field::Unknown { name: b"retry", value } => Some(retry(with_unit(value)?)),
        _ => None,
    })
}

fn with_unit(value: &[u8]) -> Option<Duration> {
    let value = str::from_utf8(value).ok()?.trim();
    let (digits, unit) = value.split_at_checked(value.find(|c: char| !c.is_ascii_digit())?)?;
    let unit = unit.trim_start();
    let (_, millis) = UNITS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(unit))?;
    Some(Duration::from_millis(digits.parse::<u64>().ok()?.checked_mul(millis)?))
}

/// `retry-floor`.
pub(super) fn retry_floor(lines: &mut Vec<Line<'_>>) -> bool {
    clamp_retry(lines, |time| time.max(FLOOR))
}

/// `retry-ceiling`, also of what 64 bits do not hold, which clients take for anything.
pub(super) fn retry_ceiling(lines: &mut Vec<Line<'_>>) -> bool {
    let has_clamped = clamp_retry(lines, |time| time.min(CEILING));
    let has_huge = change_each(lines, |line| match Field::of(line) {
        Field::Unknown { name: b"retry", value } if is_number(value) => Some(retry(CEILING)),
        _ => None,
    });
    has_clamped | has_huge
}

fn is_number(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

fn clamp_retry(lines: &mut [Line<'_>], clamp: fn(Duration) -> Duration) -> bool {
    change_each(lines, |line| match Field::of(line) {
        Field::Retry(time) if clamp(time) != time => Some(retry(clamp(time))),
        _ => None,
    })
}

fn retry(time: Duration) -> Vec<u8> {
    format!("retry: {}", time.as_millis()).into_bytes()
}

/// `cesu8`: two surrogates, each encoded as if it were a character, become the character.
pub(super) fn cesu8(lines: &mut Vec<Line<'_>>) -> bool {
    change_each(lines, without_surrogates)
}

fn without_surrogates(line: &[u8]) -> Option<Vec<u8>> {
    let unit = |high: u8, low: u8| 0xD000 | u16::from(high & 0x3F) << 6 | u16::from(low & 0x3F);
    let mut out = Vec::new();
    let mut rest = line;
    let mut has_pair = false;
    while let Some((before, found)) = memchr(0xED, rest).and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(before);
        rest = match found {
            [
                0xED,
                a @ 0xA0..=0xAF,
                b @ 0x80..=0xBF,
                0xED,
                c @ 0xB0..=0xBF,
                d @ 0x80..=0xBF,
                next @ ..,
            ] => {
                let pair = [unit(*a, *b), unit(*c, *d)];
                out.extend_from_slice(String::from_utf16_lossy(&pair).as_bytes());
                has_pair = true;
                next
            }
            _ => {
                out.push(0xED);
                found.get(1..).unwrap_or_default()
            }
        };
    }
    out.extend_from_slice(rest);
    has_pair.then_some(out)
}
