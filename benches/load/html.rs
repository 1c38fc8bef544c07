//! A report as a page with plots, which needs no other file.

use std::fmt::Write;

use super::report::{Moment, Report};
use super::text;
use crate::plot::{Axis, Series, escaped, lines, short};

const STYLE: &str = "
:root { color-scheme: light dark; --ground: #f1f5f9; --ink: #0f172a; --faint: #64748b; --card: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0b1120; --ink: #e2e8f0; --faint: #94a3b8; --card: #1e293b }
}
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1340px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; margin: 0 } .faint { color: var(--faint); margin: 4px 0 24px; overflow-wrap: anywhere }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)) }
.tile { background: var(--card); border-radius: 10px; padding: 14px 16px }
.tile b { display: block; font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums }
.tile span { color: var(--faint); font-size: 13px }
.bad b { color: #dc2626 } .good b { color: #059669 }
.plots { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); margin: 24px 0 }
svg { width: 100%; height: auto; display: block; border-radius: 10px }
pre { background: var(--card); border-radius: 10px; padding: 16px; overflow-x: auto; font-size: 13px }
";

/// A report as a page.
pub fn page(report: &Report) -> String {
    let title = if report.title.is_empty() { "Load test" } else { &report.title };
    let protocol = if report.h2 { "HTTP/2" } else { "HTTP/1.1" };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n\
         <style>{STYLE}</style>\n<main>\n<h1>{0}</h1>\n\
         <p class=\"faint\">{1}, {protocol}<br>{2}</p>\n<div class=\"tiles\">\n",
        escaped(title),
        escaped(&report.url),
        escaped(&report.machine)
    );
    for (kind, value, name) in tiles(report) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<div class=\"tile {kind}\"><b>{}</b><span>{}</span></div>",
            escaped(&value),
            escaped(name)
        );
    }
    out.push_str("</div>\n<div class=\"plots\">\n");
    for plot in plots(report) {
        out.push_str(&plot);
        out.push('\n');
    }
    let _ = write!(out, "</div>\n<pre>{}</pre>\n</main>\n</html>\n", escaped(&text::text(report)));
    out
}

/// The figures that are seen first.
fn tiles(report: &Report) -> Vec<(&'static str, String, &'static str)> {
    let wrong = report.lost.unsigned_abs() + report.doubled + report.swapped;
    let mut tiles = vec![
        (if wrong == 0 { "good" } else { "bad" }, wrong.to_string(), "lost, doubled or swapped"),
        ("", format!("{} of {}", report.open, report.streams), "streams open"),
        ("", short(report.events_per_second), "events a second"),
        ("", text::duration(report.latency.p50), "latency, median"),
        ("", text::duration(report.latency.p99), "latency, p99"),
        ("", format!("{:.2}", report.events_per_read), "events a read"),
        ("", short(report.opened_per_second), "streams opened a second"),
    ];
    if report.to_last.count > 0 {
        tiles.push(("", text::duration(report.to_last.p50), "to the last reader, median"));
    }
    if let Some(server) = &report.server {
        tiles.push((
            "",
            format!("{:.2} s", server.cpu_per_million),
            "server's CPU, a million events",
        ));
        tiles.push((
            "",
            format!("{:.1} KiB", server.memory_per_stream),
            "server's memory, a stream",
        ));
    }
    tiles
}

fn plots(report: &Report) -> Vec<String> {
    const TIME: Axis = Axis { label: "seconds since the start", is_log: false };
    let over_time = |name: &str, value: &dyn Fn(&Moment) -> f64| Series {
        name: name.to_owned(),
        points: report.moments.iter().map(|moment| (moment.time, value(moment))).collect(),
    };
    let axis = |label| Axis { label, is_log: false };
    let log = |label| Axis { label, is_log: true };
    let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    let mut plots = vec![
        lines(
            "Events a second",
            TIME,
            axis("events/s"),
            &[over_time("events", &|it| it.events_per_second)],
        ),
        lines("Streams open", TIME, axis("streams"), &[over_time("open", &|it| it.open as f64)]),
    ];
    if report.latency.count > 0 {
        plots.push(lines(
            "Latency from second to second",
            TIME,
            log("milliseconds"),
            &[
                over_time("median", &|it| milliseconds(it.p50)),
                over_time("p99", &|it| milliseconds(it.p99)),
                over_time("longest", &|it| milliseconds(it.max)),
            ],
        ));
        let curve = report.latency_curve.iter().filter(|(share, _)| *share < 1.0);
        let points = curve.map(|(share, time)| (1.0 / (1.0 - share), milliseconds(*time)));
        plots.push(lines(
            "Latency of the slowest: one event in so many takes longer",
            log("one in"),
            log("milliseconds"),
            &[Series { name: "latency".to_owned(), points: points.collect() }],
        ));
    }
    if report.server.is_some() {
        let memory = over_time("resident", &|it| it.memory as f64 / f64::from(1 << 20));
        plots.push(lines("The server's memory", TIME, axis("MiB"), &[memory]));
        let pairs = report.moments.windows(2).filter_map(|pair| {
            let [before, after] = pair else { return None };
            let used = after.cpu.saturating_sub(before.cpu) as f64 / 1e9;
            Some((after.time, used / (after.time - before.time)))
        });
        let busy = Series { name: "busy".to_owned(), points: pairs.collect() };
        plots.push(lines(
            "Processors that the server keeps busy",
            TIME,
            axis("processors"),
            &[busy],
        ));
    }
    plots
}
