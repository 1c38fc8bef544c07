//! A report for the terminal.

use std::fmt::Write;

use super::report::{Report, Summary};

/// A report as text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let Report { streams, open, url, .. } = report;
    if !report.title.is_empty() {
        writeln!(out, "{}", report.title)?;
    }
    writeln!(out, "{url}  ({})", report.machine)?;
    writeln!(
        out,
        "streams      {open} of {streams} open, in {:.2} s ({:.0}/s)",
        report.open_seconds, report.opened_per_second
    )?;
    writeln!(
        out,
        "events       {} in {:.1} s: {:.0}/s, {:.2} MB/s, {:.2} a read",
        report.events,
        report.measured_seconds,
        report.events_per_second,
        report.bytes_per_second / 1e6,
        report.events_per_read
    )?;
    let columns = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
    writeln!(out, "{:26}{}", "", columns.map(|name| format!("{name:>10}")).concat())?;
    for (name, times) in [
        ("connection made", report.connect),
        ("first byte", report.first_byte),
        ("first event", report.first_event),
        ("latency", report.latency),
        ("p99 of 20 ms each", report.p99_of_slices),
        ("first to last reader", report.first_to_last),
        ("to the last reader", report.to_last),
    ] {
        if times.count > 0 {
            writeln!(out, "  {name:24}{}", row(times))?;
        }
    }
    writeln!(
        out,
        "order        lost {}, doubled {}, swapped {}; missed {}, gaps told {}",
        report.lost, report.doubled, report.swapped, report.missed, report.gaps
    )?;
    if report.ended + report.refused > 0 {
        writeln!(
            out,
            "ends         {} ended, {} came back, {} refused",
            report.ended, report.reopened, report.refused
        )?;
    }
    for (fault, count) in &report.faults {
        writeln!(out, "fault        {count} x {fault}")?;
    }
    writeln!(out, "readers      {:.2} processors busy", report.own_cpu)?;
    if let Some(server) = &report.server {
        writeln!(
            out,
            "server       {:.2} processors busy, {:.2} s for a million events; {:.3} ms to open a stream",
            server.cpu, server.cpu_per_million, server.cpu_per_open
        )?;
        writeln!(
            out,
            "memory       {:.1} MiB, then {:.1}, at last {:.1}: {:.2} KiB a stream",
            mebibytes(server.memory_before),
            mebibytes(server.memory_open),
            mebibytes(server.memory_after),
            server.memory_per_stream
        )?;
    }
    Ok(())
}

fn row(times: Summary) -> String {
    [times.p50, times.p90, times.p99, times.p999, times.p9999, times.max]
        .map(|time| format!("{:>10}", duration(time)))
        .concat()
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Nanoseconds as people write them.
pub fn duration(nanoseconds: u64) -> String {
    let time = nanoseconds as f64;
    match nanoseconds {
        0..10_000_000 => format!("{:.0} us", time / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} ms", time / 1e6),
        _ => format!("{:.1} s", time / 1e9),
    }
}
