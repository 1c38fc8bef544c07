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
    /// The names that are written as they should be: in another case they are then no fields.
    written: u8,
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
        written: 0,
        is_several: false,
    };

    #[inline]
    pub(super) fn add(&mut self, name: &[u8], is_written: bool) {
        self.lines += 1;
        self.is_several |= self.is_repeated_after_data(name, is_written);
        match name {
            b"data" => self.has_data = true,
            b"id" => self.has_id = true,
            b"event" => self.has_event = true,
            _ => {}
        }
        if is_written {
            self.written |= bit(name);
        }
    }

    /// Whether a line has had this name as it should be written.
    pub(super) const fn is_written(self, name: &[u8]) -> bool {
        self.written & bit(name) != 0
    }

    /// Whether a line with this name seems to start another event: an id or a type comes again,
    /// with data between; or data comes again where there is neither.
    pub(super) fn is_event_before(self, name: &[u8], is_written: bool) -> bool {
        let is_data_alone = self.has_data && !self.has_id && !self.has_event;
        let is_data_again = name == b"data" && is_data_alone && self.is_alike(name, is_written);
        is_data_again || self.is_repeated_after_data(name, is_written)
    }

    fn is_repeated_after_data(self, name: &[u8], is_written: bool) -> bool {
        let is_again = match name {
            b"id" => self.has_id,
            b"event" => self.has_event,
            _ => false,
        };
        is_again && self.has_data && self.is_alike(name, is_written)
    }

    /// Whether a name that has come before has come as it should be written, if this one does:
    /// else that one was no field, as this one is.
    const fn is_alike(self, name: &[u8], is_written: bool) -> bool {
        !is_written || self.is_written(name)
    }

    pub(super) const fn hints(self) -> Repairs {
        if self.is_several { Repairs::LINE_PER_EVENT } else { Repairs::NONE }
    }
}

/// One for each name that tells something.
const fn bit(name: &[u8]) -> u8 {
    match name {
        b"data" => 1,
        b"id" => 1 << 1,
        b"event" => 1 << 2,
        _ => 0,
    }
}
