//! What the fields of an unfinished block tell of it.

use crate::repair::Repairs;

/// What is known of the current block by the lines that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noted {
    /// How many there are.
    pub(super) lines: usize,
    /// Whether a repair may concern one of them.
    pub(super) is_odd: bool,
    /// Whether one of them ended with CR, or CR LF.
    pub(super) has_cr: bool,
    pub(super) has_data: bool,
    has_id: bool,
    has_event: bool,
    /// Whether there seem to be several events in it.
    is_several: bool,
}

impl Noted {
    pub(super) const NONE: Self = Self {
        lines: 0,
        is_odd: false,
        has_cr: false,
        has_data: false,
        has_id: false,
        has_event: false,
        is_several: false,
    };

    #[inline]
    pub(super) fn add(&mut self, name: &[u8]) {
        self.lines += 1;
        self.is_several |= self.is_repeated_after_data(name);
        match name {
            b"data" => self.has_data = true,
            b"id" => self.has_id = true,
            b"event" => self.has_event = true,
            _ => {}
        }
    }

    /// Whether a line with this name seems to start another event: an id or a type comes again,
    /// with data between; or data comes again where there is neither.
    pub(super) fn is_event_before(self, name: &[u8]) -> bool {
        let is_data_alone = self.has_data && !self.has_id && !self.has_event;
        self.is_repeated_after_data(name) || (is_data_alone && name == b"data")
    }

    fn is_repeated_after_data(self, name: &[u8]) -> bool {
        match name {
            b"id" => self.has_data && self.has_id,
            b"event" => self.has_data && self.has_event,
            _ => false,
        }
    }

    pub(super) const fn hints(self) -> Repairs {
        if self.is_several { Repairs::LINE_PER_EVENT } else { Repairs::NONE }
    }
}
