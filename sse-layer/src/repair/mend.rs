//! Applies the repairs that concern bytes to the lines of one block.

use std::borrow::Cow;

use memchr::memchr;

use super::{Repairs, names};
use crate::frame::Lines;

/// A line of a block that is being mended, without its end.
pub(super) type Line<'a> = Cow<'a, [u8]>;

/// A repair, as a change of a block's lines. Tells whether it changed any.
type Step = fn(&mut [Line<'_>]) -> bool;

/// In the order in which they are made: the mark before a name hides what is wrong with the name.
const STEPS: &[(Repairs, Step)] =
    &[(Repairs::STRAY_BOM, names::stray_bom), (Repairs::BLANK_LINES, names::blank_lines)];

/// What is worth a hint when it is off. A stream with other line ends than LF breaks no rule.
const HINTED: Repairs = Repairs::STRAY_BOM
    .union(Repairs::BLANK_LINES)
    .union(Repairs::FIELD_CASE)
    .union(Repairs::FIELD_SPACE);

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
fn apply(lines: &mut [Line<'_>], repairs: Repairs) -> Repairs {
    let mut made = Repairs::NONE;
    for (repair, step) in STEPS {
        if repairs.contains(*repair) && step(lines) {
            made |= *repair;
        }
    }
    made | names::known_names(lines, repairs)
}
