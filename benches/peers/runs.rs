//! Runs, and where they are kept.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::figures::Figure;
use crate::rows::Row;

/// One run of one server in one row.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// The command that it is of.
    pub command: String,
    /// The row's name.
    pub row: String,
    /// The server's name.
    pub server: String,
    /// Which round it was.
    pub round: u32,
    /// The load tester's report, without what it saw from second to second.
    pub report: Value,
}

impl Run {
    /// The figure as the report has it.
    pub fn figure(&self, figure: &Figure) -> Option<f64> {
        Some(self.report.pointer(figure.pointer)?.as_f64()? / figure.unit)
    }

    /// Whether everything came, once and in order, and to all.
    pub fn is_sound(&self) -> bool {
        let number = |name: &str| self.report.get(name).and_then(Value::as_i64);
        let is_whole = number("open") == number("streams");
        // So must be a crowd that came meanwhile.
        let crowd = |name: &str| self.report.pointer(&format!("/crowd/{name}"));
        let is_whole = is_whole && crowd("open") == crowd("streams");
        let wrong = ["lost", "doubled", "swapped", "refused"];
        wrong.into_iter().all(|name| number(name) == Some(0)) && is_whole
    }
}

/// A run in one line.
pub fn line(row: &Row, run: &Run) -> String {
    let figures = row.figures.iter().filter_map(|figure| {
        Some(format!("{} {}", figure.text(run.figure(figure)?), figure.title))
    });
    let ended = run.report.get("ended").and_then(Value::as_u64).unwrap_or(0);
    let unsound =
        if run.is_sound() { String::new() } else { format!("  NOT SOUND: {ended} ended") };
    let figures = figures.collect::<Vec<_>>().join(", ");
    format!("{:20} {:12} {}  {figures}{unsound}", run.row, run.server, run.round)
}

/// Keeps a run with those that are there.
///
/// # Errors
///
/// If it cannot be written.
pub fn keep(folder: &Path, run: &Run) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("runs.jsonl"))?;
    let mut line = serde_json::to_vec(run)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// The runs that are there.
///
/// # Errors
///
/// If there are none, or they are no runs.
pub fn kept(folder: &Path) -> io::Result<Vec<Run>> {
    let text = fs::read_to_string(folder.join("runs.jsonl"))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
