//! [`Line`]: what the repairs of a block work on.

use std::borrow::Cow;

/// A line of a block that is being mended, without its end.
pub(super) type Line<'a> = Cow<'a, [u8]>;

/// Replaces each line that `change` has another for. Tells whether there was any.
pub(super) fn change_each(
    lines: &mut [Line<'_>],
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> bool {
    let mut has_changed = false;
    for line in lines {
        if let Some(changed) = change(line) {
            *line = Cow::Owned(changed);
            has_changed = true;
        }
    }
    has_changed
}
