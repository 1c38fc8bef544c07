//! Lines through points.

use std::fmt::Write;

use super::{COLOURS, WIDTH, escaped, open, short};

/// An axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// What it tells, with the unit.
    pub label: &'static str,
    /// Whether equal lengths are equal ratios.
    pub is_log: bool,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// Their name.
    pub name: String,
    /// Where they are.
    pub points: Vec<(f64, f64)>,
}

const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 50.0;

/// Lines through each series' points, from left to right.
pub fn lines(title: &str, x: Axis, y: Axis, series: &[Series]) -> String {
    let mut out = open(title, HEIGHT);
    let all = || series.iter().flat_map(|series| &series.points);
    let across = Scale::new(x, all().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let up = Scale::new(y, all().map(|point| point.1), HEIGHT - BOTTOM, TOP);
    // Writing to a string cannot fail.
    let _ = frame(&mut out, x, y, &across, &up);
    for (at, series) in series.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let points = series.points.iter().filter(|(x, y)| across.has(*x) && up.has(*y));
        let places: Vec<_> = points.map(|(x, y)| (across.place(*x), up.place(*y))).collect();
        let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-linejoin=\"round\"/>",
            path.join(" ")
        );
        if places.len() <= 20 {
            for (x, y) in &places {
                let _ =
                    write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
        }
        let left = LEFT + 140.0 * at as f64;
        let _ = write!(
            out,
            "<rect x=\"{left:.0}\" y=\"37\" width=\"10\" height=\"10\" rx=\"2\" fill=\"{colour}\"/>\
             <text x=\"{:.0}\" y=\"46\">{}</text>",
            left + 15.0,
            escaped(&series.name)
        );
    }
    out + "</svg>"
}

/// Grid, numbers and labels.
fn frame(out: &mut String, x: Axis, y: Axis, across: &Scale, up: &Scale) -> std::fmt::Result {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for value in up.ticks() {
        let at = up.place(value);
        write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"small\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(value)
        )?;
    }
    for value in across.ticks() {
        let at = across.place(value);
        write!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"small\" x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            short(value)
        )?;
    }
    write!(
        out,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
         <text class=\"small\" x=\"{right}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
         <text class=\"small\" transform=\"translate(16 {bottom}) rotate(-90)\">{}</text>",
        HEIGHT - 12.0,
        escaped(x.label),
        escaped(y.label)
    )
}

/// From values to places.
struct Scale {
    is_log: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// For all values, and from zero unless ratios are shown.
    fn new(axis: Axis, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let values: Vec<f64> = values.filter(|value| !axis.is_log || *value > 0.0).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = match (axis.is_log, low.is_finite()) {
            (true, true) => (low, high.max(low * 1.001)),
            (false, true) => (low.min(0.0), if high > low.min(0.0) { high } else { 1.0 }),
            (_, false) => (1.0, 10.0),
        };
        Self { is_log: axis.is_log, low, high, from, to }
    }

    fn has(&self, value: f64) -> bool {
        value.is_finite() && (!self.is_log || value > 0.0)
    }

    fn place(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    /// Round values within.
    fn ticks(&self) -> Vec<f64> {
        if self.is_log {
            let first = self.low.log10().floor() as i32;
            let last = self.high.log10().ceil() as i32;
            let steps: &[f64] = if last - first > 3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let all = (first..=last)
                .flat_map(|power| steps.iter().map(move |it| it * 10_f64.powi(power)));
            return all.filter(|tick| (self.low..=self.high).contains(tick)).collect();
        }
        let rough = (self.high - self.low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|it| *it >= rough);
        let step = step.unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        (first..).map(|at| at as f64 * step).take_while(|tick| *tick <= self.high).collect()
    }
}
