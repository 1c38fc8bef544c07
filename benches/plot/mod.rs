//! Plots as SVG that needs nothing else: lines over an axis, and bars.

mod bars;
mod lines;

pub use bars::{Bar, bars};
pub use lines::{Axis, Series, lines};

/// Width of a plot.
const WIDTH: f64 = 640.0;

/// What all plots look like: they carry their ground with them, so that they can be read anywhere.
const STYLE: &str = "<style>\
    text{font:12px system-ui,sans-serif;fill:#334155}\
    .title{font-size:14px;font-weight:600;fill:#0f172a}\
    .small{font-size:11px;fill:#64748b}\
    .grid{stroke:#e2e8f0}\
    .axis{stroke:#94a3b8}</style>";

/// Colours of series, told apart also by eyes that see fewer.
const COLOURS: [&str; 6] = ["#2563eb", "#ea580c", "#059669", "#9333ea", "#64748b", "#db2777"];

/// Opens a plot with a title.
fn open(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">{STYLE}\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#fff\"/>\
         <text class=\"title\" x=\"16\" y=\"24\">{}</text>",
        escaped(title)
    )
}

/// Text that cannot be taken for markup.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number in three digits and a letter.
pub fn short(value: f64) -> String {
    let size = value.abs();
    let (value, letter) = match size {
        1e9.. => (value / 1e9, " G"),
        1e6.. => (value / 1e6, " M"),
        1e4.. => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{letter}")
}
