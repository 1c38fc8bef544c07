//! The load tester: readers that count and time every event, a source of such events, and the
//! least that a server could do, to compare with.
//!
//! Readers live in processes of their own ([`worker`], [`h2`]), which [`run`] starts, leads and
//! asks; as many as descriptors demand. What they see is a [`tally`], which can be added up.

pub mod args;
pub mod body;
pub mod clock;
pub mod connection;
pub mod control;
pub mod h2;
pub mod histogram;
pub mod html;
pub mod machine;
pub mod order;
pub mod pace;
pub mod parser;
pub mod process;
pub mod publish;
pub mod reader;
pub mod reference;
pub mod report;
pub mod run;
pub mod server;
pub mod slices;
pub mod source;
pub mod stamp;
pub mod tally;
pub mod target;
pub mod text;
pub mod tls;
pub mod worker;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use args::Args;
use clap::Parser;

/// Does what a command line asks for.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match act(&Args::parse_from(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all was as it should be.
fn act(args: &Args) -> io::Result<bool> {
    run::descriptors()?;
    if let Some(streams) = args.worker.clone() {
        if args.h2 { h2::run(args, streams)? } else { worker::run(args, streams)? }
    } else if let Some(address) = args.source {
        source::run(args, address)?;
    } else if let (Some(kind), Some(listen), Some(source)) =
        (args.reference, args.listen, args.upstream)
    {
        reference::run(args, kind, listen, source)?;
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(run::run(args))?;
        print!("{}", text::text(&report));
        if let Some(path) = &args.json {
            std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
        }
        if let Some(path) = &args.html {
            std::fs::write(path, html::page(&report))?;
        }
        return Ok(report.is_sound());
    }
    Ok(true)
}
