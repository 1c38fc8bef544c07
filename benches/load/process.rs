//! What the server's processes use, from `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use serde::Serialize;

use super::clock::SECOND;

/// The unit of times in `/proc`, which has been the same on Linux for ever.
const TICK: u64 = SECOND / 100;

/// Memory and processor time of processes, with their children.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    /// Resident memory in bytes. What processes share is counted for each.
    pub memory: u64,
    /// Processor time in nanoseconds, to ten milliseconds.
    pub cpu: u64,
}

/// What these processes and their children use, those that are gone nothing.
///
/// # Errors
///
/// If none of them is there.
pub fn usage(pids: &[u32]) -> io::Result<Usage> {
    let used: Vec<_> = family(pids).into_iter().filter_map(|pid| one(pid).ok()).collect();
    if used.is_empty() && !pids.is_empty() {
        return Err(io::Error::other(format!("--pid: no process {pids:?}")));
    }
    Ok(used.iter().fold(Usage::default(), |sum, used| Usage {
        memory: sum.memory + used.memory,
        cpu: sum.cpu + used.cpu,
    }))
}

/// These processes and their children, and theirs.
pub fn family(pids: &[u32]) -> BTreeSet<u32> {
    let mut all: BTreeSet<u32> = pids.iter().copied().collect();
    let parents = parents();
    loop {
        let known = all.len();
        let children = parents.iter().filter(|(_, parent)| all.contains(parent));
        let children: Vec<_> = children.map(|(pid, _)| *pid).collect();
        all.extend(children);
        if all.len() == known {
            return all;
        }
    }
}

/// Each process and its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid).ok()?.get(1)?.parse().ok()?))).collect()
}

fn one(pid: u32) -> io::Result<Usage> {
    let stat = stat(pid)?;
    let ticks = |at: usize| stat.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(Usage { memory: resident.unwrap_or(0) << 10, cpu: (ticks(11) + ticks(12)) * TICK })
}

/// The fields of `/proc/PID/stat` after the program's name, which may have blanks in it.
fn stat(pid: u32) -> io::Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or(io::ErrorKind::InvalidData)?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}
