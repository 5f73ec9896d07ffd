//! A value that is never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use super::bounds::SECRET_FILE_MAX_BYTES;
use super::units;

/// A password, token or key. `Debug` and `Display` show `***`; there is no `Serialize`.
///
/// One that stands in a file is read again each time that it is asked for: whoever changes it need not restart the agent.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    file: Option<PathBuf>,
}

impl Secret {
    /// Wraps it.
    pub fn new(value: String) -> Self {
        Secret { value, file: None }
    }

    /// The same, which stands in a file.
    pub fn of_file(value: String, path: &Path) -> Self {
        Secret { value, file: Some(path.to_owned()) }
    }

    /// The value itself, for the one place that sends it. While its file cannot be read, or holds no secret, it is what it was before: then the far
    /// side says whether that still holds.
    pub fn expose(&self) -> String {
        let read = |path| read(path).ok().filter(|text| Secret::check(text).is_ok());
        self.file.as_deref().and_then(read).unwrap_or_else(|| self.value.clone())
    }

    /// Why a text cannot be a secret.
    pub(super) fn check(text: &str) -> Result<(), &'static str> {
        if text.is_empty() {
            Err("is empty")
        } else if text.contains(char::is_control) {
            Err("holds more than one line, or control characters")
        } else {
            Ok(())
        }
    }
}

/// A file's text without blanks around it. The error never holds any of it.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("is a folder".to_owned());
    }
    if metadata.len() > SECRET_FILE_MAX_BYTES {
        return Err(format!("larger than {}", units::show_size(SECRET_FILE_MAX_BYTES)));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    Ok(text.trim().to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_file_is_what_the_file_says_now() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "one\n").expect("written");
        let secret = Secret::of_file("one".to_owned(), &path);
        assert_eq!(secret.expose(), "one");
        std::fs::write(&path, "two\n").expect("written");
        assert_eq!(secret.expose(), "two");
        std::fs::write(&path, "").expect("written");
        assert_eq!(secret.expose(), "one", "an empty file is being written just now");
        assert_eq!(format!("{secret:?} {secret}"), "*** ***");
    }
}
