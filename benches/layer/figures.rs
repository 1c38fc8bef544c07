//! What the rounds took, and what it comes to.

use crate::source::Case;

const CASES: usize = Case::ALL.len();

/// Nanoseconds of whole rounds, by case.
pub(crate) struct Figures([Vec<f64>; CASES]);

/// In which order the cases come: each is first, second and last as often.
pub(crate) fn turns(round: usize) -> impl Iterator<Item = usize> {
    (0..CASES).map(move |at| (at + round) % CASES)
}

impl Figures {
    pub(crate) const fn new() -> Self {
        Self([const { Vec::new() }; CASES])
    }

    pub(crate) fn add(&mut self, case: usize, nanos: f64) {
        if let Some(rounds) = self.0.get_mut(case) {
            rounds.push(nanos);
        }
    }
}

/// The median, and the quartiles beside it.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |quarter| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN);
    [at(1), at(2), at(3)]
}

pub(crate) fn print(what: &str, streams: usize, figures: &Figures) {
    let [bare, ..] = &figures.0;
    println!("{streams} {what}; {} rounds, medians per event", bare.len());
    for (case, rounds) in Case::ALL.iter().zip(&figures.0) {
        let [_, median, _] = quartiles(rounds.clone());
        let nanos = median / streams as f64;
        // Of rounds that were side by side.
        let more = rounds.iter().zip(bare).map(|(with, bare)| 100.0 * (with / bare - 1.0));
        let [low, middle, high] = quartiles(more.collect());
        println!("  {:24}{nanos:8.1} ns  {middle:+6.1} %  ({low:+.1} to {high:+.1})", case.name());
    }
}
