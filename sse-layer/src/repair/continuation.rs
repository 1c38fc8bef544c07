//! Repairs of data that came with line breaks of its own.

use std::borrow::Cow;

use super::line::Line;
use super::names::{is_known, trim};
use crate::frame::Field;

/// `json-continuation`: what follows an unfinished JSON text and is no field belongs to it.
pub(super) fn json(lines: &mut Vec<Line<'_>>) -> bool {
    let mut depth = 0;
    let mut has_changed = false;
    for line in lines {
        match Field::of(line) {
            Field::Data(value) => depth = depth_after(depth, value),
            Field::Comment(_) => {}
            Field::Unknown { name, .. } if depth > 0 && !is_known(name) => {
                depth = depth_after(depth, line);
                *line = Cow::Owned([b"data: ", line.as_ref()].concat());
                has_changed = true;
            }
            _ => depth = 0,
        }
    }
    has_changed
}

/// How many objects and arrays of a JSON text are open after one more line of it.
fn depth_after(depth: usize, line: &[u8]) -> usize {
    if depth == 0 && !matches!(trim(line).first(), Some(b'{' | b'[')) {
        return 0;
    }
    let mut depth = depth;
    let mut is_in_string = false;
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_in_string = !is_in_string,
            b'\\' if is_in_string => _ = bytes.next(),
            b'{' | b'[' if !is_in_string => depth += 1,
            b'}' | b']' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    // No string reaches across lines: this is no JSON.
    if is_in_string { 0 } else { depth }
}

/// `text-continuation`: what follows data and is no field belongs to it, without the one blank
/// that a folded line starts with.
pub(super) fn text(lines: &mut Vec<Line<'_>>) -> bool {
    let mut is_after_data = false;
    let mut has_changed = false;
    for line in lines {
        match Field::of(line) {
            Field::Data(_) => is_after_data = true,
            Field::Comment(_) => {}
            Field::Unknown { name, .. } if is_after_data && !is_known(name) => {
                let text = line.strip_prefix(b" ").or_else(|| line.strip_prefix(b"\t"));
                *line = Cow::Owned([b"data: ", text.unwrap_or(line)].concat());
                has_changed = true;
            }
            _ => is_after_data = false,
        }
    }
    has_changed
}
