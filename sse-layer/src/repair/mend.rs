//! Applies the repairs that concern bytes to the lines of one block.

use std::borrow::Cow;

use memchr::memchr;

use super::line::Line;
use super::{Repairs, continuation, names, values};
use crate::frame::Lines;

/// A repair, as a change of a block's lines. Tells whether it changed any.
type Step = fn(&mut Vec<Line<'_>>) -> bool;

/// What stands in the way of reading names.
const BEFORE_NAMES: &[(Repairs, Step)] =
    &[(Repairs::STRAY_BOM, names::stray_bom), (Repairs::BLANK_LINES, names::blank_lines)];

/// What needs names that can be read.
const AFTER_NAMES: &[(Repairs, Step)] = &[
    (Repairs::JSON_CONTINUATION, continuation::json),
    (Repairs::TEXT_CONTINUATION, continuation::text),
    (Repairs::TRIM_TYPE, values::trim_type),
    (Repairs::RETRY_UNIT, values::retry_unit),
    (Repairs::RETRY_FLOOR, values::retry_floor),
    (Repairs::RETRY_CEILING, values::retry_ceiling),
    (Repairs::CESU8, values::cesu8),
    (Repairs::EMPTY_DATA, values::empty_data),
];

/// What is worth a hint when it is off, of the repairs of lines.
const HINTED: Repairs = Repairs::STRAY_BOM
    .union(Repairs::BLANK_LINES)
    .union(Repairs::FIELD_CASE)
    .union(Repairs::FIELD_SPACE)
    .union(Repairs::JSON_CONTINUATION)
    .union(Repairs::TRIM_TYPE)
    .union(Repairs::RETRY_UNIT)
    .union(Repairs::RETRY_FLOOR)
    .union(Repairs::RETRY_CEILING)
    .union(Repairs::EMPTY_DATA);

/// Mends a block, or the complete lines of one. `None` if there is nothing to mend.
///
/// A mended block has LF line ends. Were each line to keep its own, a lone CR and the LF of a
/// line that is blank now would become one.
pub(crate) fn mend(block: &[u8], repairs: Repairs) -> Option<(Vec<u8>, Repairs)> {
    let mut lines = lines(block);
    let mut made = apply(&mut lines, repairs);
    if repairs.contains(Repairs::NORMALISE_EOL) && memchr(b'\r', block).is_some() {
        made |= Repairs::NORMALISE_EOL;
    }
    if made.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(block.len());
    for line in &lines {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    Some((out, made))
}

/// The repairs that would change a block, or the complete lines of one.
pub(crate) fn hints(block: &[u8]) -> Repairs {
    apply(&mut lines(block), HINTED)
}

fn lines(block: &[u8]) -> Vec<Line<'_>> {
    Lines::of(block).map(Cow::Borrowed).collect()
}

/// Makes those of `repairs` that apply, and tells which did.
fn apply(lines: &mut Vec<Line<'_>>, repairs: Repairs) -> Repairs {
    let run = |steps: &[(Repairs, Step)], lines: &mut Vec<Line<'_>>| {
        let wanted = steps.iter().filter(|(repair, _)| repairs.contains(*repair));
        wanted.filter(|(_, step)| step(lines)).map(|(repair, _)| *repair).collect()
    };
    let marks: Repairs = run(BEFORE_NAMES, lines);
    let names = names::known_names(lines, repairs);
    marks | names | run(AFTER_NAMES, lines)
}
