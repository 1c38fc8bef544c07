//! Bars beside each other, one for each thing that is compared.

use std::fmt::Write;

use super::{WIDTH, escaped, open};

/// A bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// What is written beside it.
    pub text: String,
    /// Its colour.
    pub colour: &'static str,
}

/// Height of a bar with the room around it.
const STEP: f64 = 26.0;

const LEFT: f64 = 110.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 40.0;

/// Bars from the top down, as they come.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let height = TOP + STEP * bars.len() as f64 + 12.0;
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let mut out = open(title, height);
    for (at, bar) in bars.iter().enumerate() {
        let top = TOP + STEP * at as f64;
        let length = (bar.value.max(0.0) / longest * (WIDTH - LEFT - RIGHT)).max(1.0);
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"18\" rx=\"3\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{}</text>",
            LEFT - 8.0,
            top + 14.0,
            escaped(&bar.name),
            top,
            bar.colour,
            LEFT + length + 6.0,
            top + 14.0,
            escaped(&bar.text)
        );
    }
    out + "</svg>"
}
