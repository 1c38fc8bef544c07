//! Whether a feed's events come once each, and in order.

use std::ops::Range;

/// What a number is to the numbers before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next one, or the first of all.
    Next,
    /// So many numbers are missing before it.
    After(u64),
    /// It was missing, and comes after a later one.
    Swapped,
    /// It has come before.
    Doubled,
}

/// The numbers of one feed as one reader has seen them.
#[derive(Debug, Default)]
pub struct Order {
    next: Option<u64>,
    missing: Vec<Range<u64>>,
}

/// Missing ranges that are remembered, to tell a late event from one that came twice.
const REMEMBERED: usize = 256;

impl Order {
    /// Takes the next number.
    pub fn take(&mut self, number: u64) -> Place {
        let next = self.next.unwrap_or(number);
        if number >= next {
            self.next = Some(number.saturating_add(1));
            if number == next {
                return Place::Next;
            }
            if self.missing.len() == REMEMBERED {
                self.missing.remove(0);
            }
            self.missing.push(next..number);
            return Place::After(number - next);
        }
        let Some(at) = self.missing.iter().position(|range| range.contains(&number)) else {
            return Place::Doubled;
        };
        let range = self.missing.swap_remove(at);
        self.missing.extend([range.start..number, number + 1..range.end]);
        self.missing.retain(|range| !range.is_empty());
        Place::Swapped
    }

    /// Forgets what came: any number may be the next.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::Place::{After, Doubled, Next, Swapped};
    use super::{Order, Place};

    fn places(numbers: &[u64]) -> Vec<Place> {
        let mut order = Order::default();
        numbers.iter().map(|number| order.take(*number)).collect()
    }

    #[test]
    fn a_feed_may_begin_anywhere() {
        assert_eq!(places(&[7, 8, 9]), [Next, Next, Next]);
    }

    #[test]
    fn what_is_missing_is_counted() {
        assert_eq!(places(&[1, 5]), [Next, After(3)]);
    }

    #[test]
    fn what_comes_again_is_doubled() {
        assert_eq!(places(&[1, 2, 2, 1]), [Next, Next, Doubled, Doubled]);
    }

    #[test]
    fn what_comes_late_is_swapped_once_and_then_doubled() {
        assert_eq!(places(&[1, 4, 3, 2, 3]), [Next, After(2), Swapped, Swapped, Doubled]);
    }
}
