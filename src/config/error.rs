//! What is wrong with a configuration: all of it at once, each mistake with its line, its key and a way out.
//!
//! A mistake never holds a value that came from the environment or from a file of secrets.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Why there is no plan.
#[derive(Debug)]
pub enum ConfigError {
    /// The file could not be read at all.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// A lower-case fragment.
        reason: String,
        /// What to do.
        hint: String,
        /// What the system said.
        source: Option<io::Error>,
    },
    /// It was read, and this is wrong with it, in the order of the file.
    Mistakes {
        /// The file.
        path: PathBuf,
        /// At least one.
        mistakes: Vec<Mistake>,
    },
}

/// One mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// `[agent]`, `[[source]] orders-pg`; empty at the top of the file.
    pub section: String,
    /// The key, where it is about one.
    pub key: Option<String>,
    /// A lower-case fragment.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The line itself, for mistakes of syntax.
    pub excerpt: Option<Excerpt>,
}

/// A line of the file with what is wrong in it underlined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line; what looks like a secret is taken out.
    pub line: String,
    /// Column of the caret, from 0, in characters.
    pub caret: usize,
}

impl ConfigError {
    /// The file that it is about.
    pub fn path(&self) -> &Path {
        match self {
            ConfigError::Unreadable { path, .. } | ConfigError::Mistakes { path, .. } => path,
        }
    }

    /// All mistakes; none when the file could not be read.
    pub fn mistakes(&self) -> &[Mistake] {
        match self {
            ConfigError::Unreadable { .. } => &[],
            ConfigError::Mistakes { mistakes, .. } => mistakes,
        }
    }

    /// For machines: `{"file", "error"?, "hint"?, "mistakes": [{"line", "column", "section", "key", "message", "hint"}]}`.
    pub fn json(&self) -> Value {
        let file = self.path().display().to_string();
        match self {
            ConfigError::Unreadable { reason, hint, .. } => {
                json!({ "file": file, "error": reason, "hint": hint, "mistakes": [] })
            }
            ConfigError::Mistakes { mistakes, .. } => {
                json!({ "file": file, "mistakes": mistakes.iter().map(Mistake::json).collect::<Vec<_>>() })
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unreadable { path, reason, hint, .. } => {
                write!(f, "{}: {reason}\n  hint: {hint}", path.display())
            }
            ConfigError::Mistakes { path, mistakes } => {
                for (index, mistake) in mistakes.iter().enumerate() {
                    let newline = if index == 0 { "" } else { "\n" };
                    write!(f, "{newline}{}:{mistake}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConfigError::Unreadable { source, .. } => source.as_ref().map(|source| source as _),
            ConfigError::Mistakes { .. } => None,
        }
    }
}

impl Mistake {
    fn json(&self) -> Value {
        json!({
            "line": self.line,
            "column": self.column,
            "section": self.section,
            "key": self.key,
            "message": self.message,
            "hint": self.hint,
        })
    }
}

impl fmt::Display for Mistake {
    /// `12: [agent] jornal_max_bytes: unknown key`, then the excerpt and the hint on lines of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.line)?;
        if self.excerpt.is_some() {
            write!(f, "{}:", self.column)?;
        }
        if !self.section.is_empty() {
            write!(f, " {}", self.section)?;
        }
        match (&self.key, self.section.is_empty()) {
            (Some(key), _) => write!(f, " {key}: ")?,
            (None, false) => write!(f, ": ")?,
            (None, true) => write!(f, " ")?,
        }
        f.write_str(&self.message)?;
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n  | {}\n  | {:>width$}", excerpt.line, "^", width = excerpt.caret + 1)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
