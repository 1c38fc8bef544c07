//! The table: medians, and how they compare with the reference and the best peer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use sse_workspace::plot::{Axis, Bar, Series, bars, lines};

use crate::figures::Figure;
use crate::rows::{ROWS, Row};
use crate::runs::{Run, kept};
use crate::scale::{SWEEPS, Sweep};
use crate::servers::Server;

/// Writes `README.md` and plots beside the runs of a folder.
///
/// # Errors
///
/// If there are no runs.
pub fn write(folder: &Path) -> io::Result<()> {
    let runs = kept(folder)?;
    let mut out = head(&runs);
    for row in ROWS {
        let runs = by_server(&runs, row.name);
        if !runs.is_empty() {
            // Writing to a string cannot fail.
            let _ = table(&mut out, row, &runs);
            fs::write(folder.join(format!("{}.svg", row.name)), plot_row(row, &runs))?;
        }
    }
    out.push_str("\n# How cost grows\n\n");
    for sweep in SWEEPS {
        if let Some(plot) = plot_sweep(sweep, &runs) {
            fs::write(folder.join(format!("{}.svg", sweep.name)), plot)?;
            let _ = writeln!(
                out,
                "![{} against {}]({}.svg)\n\n{}\n",
                sweep.figure.title, sweep.what, sweep.name, sweep.why
            );
        }
    }
    println!("\n{out}");
    fs::write(folder.join("README.md"), out)
}

type Runs<'a> = BTreeMap<&'a str, Vec<&'a Run>>;

fn by_server<'a>(runs: &'a [Run], row: &str) -> Runs<'a> {
    let mut by_server = Runs::new();
    for run in runs.iter().filter(|run| run.row == row) {
        by_server.entry(&run.server).or_default().push(run);
    }
    by_server
}

fn head(runs: &[Run]) -> String {
    let machines = runs.iter().filter_map(|run| run.report.get("machine")?.as_str());
    let machines: BTreeSet<_> = machines.collect();
    let mut commands: Vec<_> = runs.iter().map(|run| run.command.as_str()).collect();
    commands.dedup();
    format!(
        "# sse-proxy beside its peers\n\n    {}\n\n\
         {}. Events of 128 bytes over loopback; the server alone on one core, source and \
         readers on the other, before anything else on the machine (as real-time processes \
         where latency is told); medians of interleaved rounds (lowest to highest). `x ref` is \
         the ratio to the bare loop on epoll (`benches/load/reference.rs`). The machine's halts \
         are in every p99; the fewer in that of the median 20 ms (`benches/load/slices.rs`). \
         `runs.jsonl` has every run.\n",
        commands.join("\n    "),
        machines.into_iter().collect::<Vec<_>>().join("; ")
    )
}

fn table(out: &mut String, row: &Row, runs: &Runs<'_>) -> std::fmt::Result {
    writeln!(out, "\n## {} (`{}`)\n\n![]({}.svg)\n", capital(row.title), row.name, row.name)?;
    let titles: Vec<_> = row.figures.iter().map(|figure| figure.title).collect();
    writeln!(out, "| | {} | rounds |", titles.join(" | "))?;
    writeln!(out, "| --- |{} --- |", " ---: |".repeat(titles.len()))?;
    let reference = runs.get(Server::Reference.name());
    for server in Server::ALL {
        let Some(runs) = runs.get(server.name()) else { continue };
        let cells = row.figures.iter().map(|figure| {
            let reference = reference.filter(|_| server != Server::Reference);
            cell(figure, runs, reference.map(Vec::as_slice))
        });
        let cells: Vec<_> = cells.collect();
        let unsound = runs.iter().filter(|run| !run.is_sound()).count();
        let unsound = if unsound > 0 { format!(", {unsound} unsound") } else { String::new() };
        let rounds = runs.len();
        writeln!(out, "| {} | {} | {rounds}{unsound} |", server.name(), cells.join(" | "))?;
    }
    Ok(())
}

/// Median, range, and ratio.
fn cell(figure: &Figure, runs: &[&Run], reference: Option<&[&Run]>) -> String {
    let Some((low, median, high)) = spread(figure, runs) else { return "-".to_owned() };
    let mut cell = figure.text(median);
    if runs.len() > 1 && figure.more_is_better.is_some() {
        let _ = write!(cell, " ({} to {})", figure.text(low), figure.text(high));
    }
    let reference = reference.and_then(|runs| spread(figure, runs));
    if let Some((_, reference, _)) = reference
        && figure.more_is_better.is_some()
        && reference > 0.0
    {
        let _ = write!(cell, ", {:.2} x ref", median / reference);
    }
    cell
}

/// The lowest, the median and the highest.
fn spread(figure: &Figure, runs: &[&Run]) -> Option<(f64, f64, f64)> {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run.figure(figure)).collect();
    values.sort_by(f64::total_cmp);
    let median = *values.get(values.len() / 2)?;
    Some((*values.first()?, median, *values.last()?))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The row's first figure, a bar for each server.
fn plot_row(row: &Row, runs: &Runs<'_>) -> String {
    let Some(figure) = row.figures.first() else { return String::new() };
    let reference = runs.get(Server::Reference.name()).and_then(|runs| spread(figure, runs));
    let all = Server::ALL.iter().filter_map(|server| {
        let (_, value, _) = spread(figure, runs.get(server.name())?)?;
        let ratio = reference.filter(|(_, reference, _)| *reference > 0.0);
        let ratio = ratio.map(|(_, reference, _)| format!(" ({:.2} x ref)", value / reference));
        Some(Bar {
            name: server.name().to_owned(),
            value,
            text: figure.text(value) + &ratio.unwrap_or_default(),
            colour: match server {
                Server::SseProxy => "#2563eb",
                Server::Reference => "#94a3b8",
                _ => "#cbd5e1",
            },
        })
    });
    bars(&format!("{}: {}", capital(row.title), figure.title), &all.collect::<Vec<_>>())
}

/// A sweep's figure against what grows, a line for each server. `None` if it was not measured.
fn plot_sweep(sweep: &Sweep, runs: &[Run]) -> Option<String> {
    let series = sweep.servers.iter().map(|server| {
        let points = sweep.values.iter().filter_map(|value| {
            let name = sweep.run(*value);
            let runs = by_server(runs, &name);
            let (_, median, _) = spread(&sweep.figure, runs.get(server.name())?)?;
            Some((*value as f64, median))
        });
        Series { name: server.name().to_owned(), points: points.collect() }
    });
    let series: Vec<_> = series.filter(|series| !series.points.is_empty()).collect();
    let across = Axis { label: sweep.what, is_log: true };
    let up = Axis { label: sweep.figure.title, is_log: false };
    let title = format!("{} against {}", sweep.figure.title, sweep.name);
    (!series.is_empty()).then(|| lines(&title, across, up, &series))
}
