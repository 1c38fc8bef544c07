//! This program once more, as a process that answers lines with lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::Result;

pub(crate) struct Child {
    process: std::process::Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Child {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Result<Self> {
        let mut child = Self::launch(args)?;
        child.answer()?;
        Ok(child)
    }

    /// Starts it. It says when it is ready.
    pub(crate) fn launch(args: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let answers = BufReader::new(process.stdout.take().ok_or("no output")?);
        Ok(Self { process, answers })
    }

    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        let input = self.process.stdin.as_mut().ok_or("no input")?;
        writeln!(input, "{line}")?;
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        // A process that failed has said why.
        line.strip_suffix('\n').map(str::to_owned).ok_or_else(|| "a process has failed".into())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

/// What a child does: says that it is ready, and then answers each line of its input.
pub(crate) fn serve(mut answer: impl FnMut() -> Result<String>) -> Result<()> {
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{}", answer()?);
    }
    Ok(())
}
