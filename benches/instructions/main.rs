//! How many instructions the layer's parts take, counted by valgrind: other than times, counts
//! hardly vary, so a change for the worse shows at once.
//!
//!     cargo run --release -p sse-instructions              compare with baseline.txt
//!     cargo run --release -p sse-instructions -- --renew   write baseline.txt
//!
//! Each job runs in a process of its own, once with one round of work and once with more, so that
//! what is prepared, or done but once, does not count.

mod jobs;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

/// How much more than the baseline is too much, in hundredths of it. Allocators and the C
/// library of another machine may account for some of it.
const TOLERANCE: u64 = 10;

/// Rounds that are counted.
const ROUNDS: u64 = 10;

fn main() -> io::Result<ExitCode> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--renew"] => renew(),
        ["--job", name, rounds] => {
            let (_, job) = jobs::ALL.iter().find(|(known, _)| *known == name).expect("a job");
            job(rounds.parse().expect("a number"));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("usage: sse-instructions [--renew]");
            Ok(ExitCode::from(64))
        }
    }
}

fn baseline() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.txt")
}

fn renew() -> io::Result<ExitCode> {
    let mut lines = String::from(
        "# Instructions for one round. Renew: cargo run --release -p sse-instructions -- --renew\n",
    );
    for (name, count) in counts()? {
        lines += &format!("{name} {count}\n");
    }
    fs::write(baseline(), lines)?;
    Ok(ExitCode::SUCCESS)
}

fn compare() -> io::Result<ExitCode> {
    let text = fs::read_to_string(baseline())?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let expected: BTreeMap<_, u64> =
        lines.filter_map(|(name, count)| Some((name, count.parse().ok()?))).collect();
    let mut has_grown = false;
    println!("{:24} {:>12} {:>12}", "instructions", "now", "baseline");
    for (name, count) in counts()? {
        let before = expected.get(name).copied().unwrap_or_default();
        let is_worse = count * 100 > before * (100 + TOLERANCE);
        has_grown |= is_worse;
        let mark = if is_worse { "  grown" } else { "" };
        println!("{name:24} {count:>12} {before:>12}{mark}");
    }
    if has_grown {
        eprintln!(
            "a count has grown by more than {TOLERANCE} %: find out why, or, if it is worth it, \
             renew the baseline with `cargo run --release -p sse-instructions -- --renew`"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The instructions of one round of each job.
fn counts() -> io::Result<Vec<(&'static str, u64)>> {
    let count = |(name, _): &(&'static str, jobs::Job)| {
        let more = instructions(name, 1 + ROUNDS)?.saturating_sub(instructions(name, 1)?);
        Ok((*name, more / ROUNDS))
    };
    jobs::ALL.iter().map(count).collect()
}

/// The instructions of a whole process that does a job.
fn instructions(job: &str, rounds: u64) -> io::Result<u64> {
    let out = env::temp_dir().join(format!("sse-instructions.{}", std::process::id()));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .args(["--job", job, &rounds.to_string()])
        .status()
        .map_err(|error| io::Error::new(error.kind(), format!("valgrind: {error}")))?;
    let told = fs::read_to_string(&out)?;
    fs::remove_file(&out)?;
    let total = told.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    match total {
        Some(total) if status.success() => Ok(total),
        _ => Err(io::Error::other(format!("valgrind counted nothing for {job}: {status}"))),
    }
}
