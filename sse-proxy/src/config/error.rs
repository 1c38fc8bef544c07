//! [`ConfigError`]: for the operator.

use std::fmt;
use std::path::{Path, PathBuf};

/// A configuration that cannot be used: which file, which key, what was found, what is allowed.
#[derive(Debug)]
pub struct ConfigError {
    file: PathBuf,
    /// Line in the file, from 1.
    line: Option<usize>,
    /// Where in the tables, such as `route[1].keep_alive`.
    key: Option<String>,
    problem: String,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::new(file, None, None, format!("cannot be read: {error}"))
    }

    pub(super) fn syntax(file: &Path, error: &toml::de::Error) -> Self {
        Self::new(file, None, None, error.to_string().trim_end().to_owned())
    }

    pub(super) fn value(
        file: &Path,
        text: &str,
        error: &serde_path_to_error::Error<toml::de::Error>,
    ) -> Self {
        let start = error.inner().span().map(|span| span.start);
        let line =
            start.and_then(|at| text.get(..at)).map(|before| before.matches('\n').count() + 1);
        let key = error.path().to_string();
        let key = (key != ".").then_some(key);
        Self::new(file, line, key, error.inner().message().to_owned())
    }

    pub(super) fn rule(file: &Path, key: &str, problem: String) -> Self {
        Self::new(file, None, Some(key.to_owned()), problem)
    }

    fn new(file: &Path, line: Option<usize>, key: Option<String>, problem: String) -> Self {
        Self { file: file.to_owned(), line, key, problem }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}
