//! The keys of a trail on this host's disk: `keys/signing.key`, and its public half beside it; `keys/literals.key`, where hashes of literals are made.
//!
//! Owns the folder `keys/` in the state directory. Hard here: a signing key that others can read is worth nothing, so it
//! is refused and not repaired; a key that is lost or belongs to another trail is never replaced in silence, since a trail
//! under a new key looks like a forged one. What a key signs is for the journal.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::rand::{GetRandomFlags, getrandom};
use sealtrail_seal::{KeyError, Signer, VerifierKey, check_origin};

use crate::disk::{self, Disk, Reader};
use crate::durable;
use crate::hex::hex;
use crate::redact::hash::HashKey;

/// Larger files are no keys.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file or folder cannot be read or made.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// `read`, `create`.
        what: &'static str,
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not hold a key.
    #[error("no key in {}", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The file does not hold a key for hashes.
    #[error("no key in {}", path.display())]
    NoHashKey {
        /// The key file.
        path: PathBuf,
    },
    /// The key signs for another trail.
    #[error("key in {} is that of the trail {found}, not of {origin}", path.display())]
    OtherOrigin {
        /// The key file.
        path: PathBuf,
        /// Its name.
        found: String,
        /// As configured.
        origin: String,
    },
    /// Others than the owner may read or write the key.
    #[error("key {} is open to others (mode {mode:03o})", path.display())]
    Open {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The name cannot be that of a trail.
    #[error(transparent)]
    Origin(KeyError),
}

impl KeysError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Io { .. } => {
                "run as the user that owns the state directory, and look whether the disk is full".into()
            }
            Self::Malformed { source, .. } => format!("{}; or restore the file from a backup", source.hint()),
            Self::NoHashKey { .. } => {
                "64 hex digits: restore it from a backup, or remove it: then hashes of literals are other ones from now on".into()
            }
            Self::OtherOrigin { found, .. } => {
                format!("set origin = \"{found}\" again, or give the other trail a state directory of its own")
            }
            Self::Open { path, .. } => {
                format!(
                    "`chmod 600 {}`; if others could have read it, start anew with a new key: a new trail, if it signs",
                    path.display()
                )
            }
            Self::Origin(source) => source.hint().into(),
        }
    }
}

/// The folder of the keys.
pub fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("keys")
}

/// The key of the hashes that stand in the place of literals; made when the first is needed. Whoever has it can try values against them.
pub fn literals_key(disk: &dyn Disk, state_dir: &Path) -> Result<HashKey, KeysError> {
    let path = literals_path(state_dir);
    let bytes = match read_private(disk, &path)? {
        Some(text) => literals_bytes(&text),
        None => {
            let bytes = random(&path)?;
            create_private(disk, &path, &format!("{}\n", hex(&bytes)))?;
            Some(bytes)
        }
    };
    let malformed = || KeysError::NoHashKey { path: path.clone() };
    bytes.and_then(|bytes| HashKey::new(&bytes)).ok_or_else(malformed)
}

/// The same, where it is there and may be read.
pub fn literals_key_if_any(disk: &dyn Disk, state_dir: &Path) -> Option<HashKey> {
    let text = read_private(disk, &literals_path(state_dir)).ok()??;
    HashKey::new(&literals_bytes(&text)?)
}

fn literals_path(state_dir: &Path) -> PathBuf {
    dir(state_dir).join("literals.key")
}

/// 64 hex digits.
fn literals_bytes(text: &str) -> Option<[u8; 32]> {
    let text = text.trim_end();
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Where the public key of this trail is.
pub fn public_path(state_dir: &Path, origin: &str) -> PathBuf {
    dir(state_dir).join(format!("{}.pub", origin.replace('/', "_")))
}

/// The key that signs this trail; made on the first start, durable before it is used. The caller holds the lock on the
/// state directory.
pub fn load_or_create(disk: &dyn Disk, state_dir: &Path, origin: &str) -> Result<Signer, KeysError> {
    check_origin(origin).map_err(KeysError::Origin)?;
    let path = dir(state_dir).join("signing.key");
    let signer = match load(disk, &path)? {
        Some(signer) => signer,
        None => create(disk, &path, origin)?,
    };
    if signer.verifier().name() != origin {
        let found = signer.verifier().name().to_owned();
        return Err(KeysError::OtherOrigin { path, found, origin: origin.to_owned() });
    }
    publish(disk, &public_path(state_dir, origin), signer.verifier())?;
    Ok(signer)
}

/// The public keys in a folder, each with its file, in the order of their names. A folder that is not there has none.
pub fn public_keys(dir: &Path) -> Result<Vec<(PathBuf, VerifierKey)>, KeysError> {
    let failed = |source| KeysError::Io { what: "read", path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pub") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(|path| Ok((path.clone(), read_public(&path)?))).collect()
}

/// The key in a `.pub` file: one line.
pub fn read_public(path: &Path) -> Result<VerifierKey, KeysError> {
    let text = read(File::open(path), path)?;
    text.trim_end().parse().map_err(|source| KeysError::Malformed { path: path.to_owned(), source })
}

fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Signer>, KeysError> {
    let Some(text) = read_private(disk, path)? else { return Ok(None) };
    let signer = Signer::from_text(text.trim_end());
    signer.map(Some).map_err(|source| KeysError::Malformed { path: path.to_owned(), source })
}

/// A file that nobody else may read.
fn read_private(disk: &dyn Disk, path: &Path) -> Result<Option<String>, KeysError> {
    let failed = |source| KeysError::Io { what: "read", path: path.to_owned(), source };
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.status().map_err(failed)?.mode & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeysError::Open { path: path.to_owned(), mode });
    }
    // It may be from a run that ended before its name was durable; what is made with it from now on is.
    durable::sync(disk, path).map_err(failed)?;
    read(Ok(Reader::new(file, 0)), path).map(Some)
}

/// A new key from the kernel's random source. Its file appears whole or not at all.
fn create(disk: &dyn Disk, path: &Path, origin: &str) -> Result<Signer, KeysError> {
    let signer = Signer::from_seed(origin, random(path)?).map_err(KeysError::Origin)?;
    create_private(disk, path, &format!("{}\n", signer.to_secret_text()))?;
    Ok(signer)
}

fn random(path: &Path) -> Result<[u8; 32], KeysError> {
    let failed = |source| KeysError::Io { what: "create", path: path.to_owned(), source };
    let mut seed = [0u8; 32];
    let filled = getrandom(&mut seed, GetRandomFlags::empty()).map_err(|errno| failed(errno.into()))?;
    if filled != seed.len() {
        return Err(failed(io::Error::other("the kernel gave too few random bytes")));
    }
    Ok(seed)
}

fn create_private(disk: &dyn Disk, path: &Path, text: &str) -> Result<(), KeysError> {
    let failed = |source| KeysError::Io { what: "create", path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        durable::create_dir(disk, dir).map_err(failed)?;
    }
    durable::write_atomic(disk, path, text.as_bytes(), 0o600).map_err(failed)
}

fn publish(disk: &dyn Disk, path: &Path, key: &VerifierKey) -> Result<(), KeysError> {
    let text = format!("{key}\n");
    if disk::read(disk, path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let failed = |source| KeysError::Io { what: "create", path: path.to_owned(), source };
    durable::write_atomic(disk, path, text.as_bytes(), 0o644).map_err(failed)
}

fn read(file: io::Result<impl Read>, path: &Path) -> Result<String, KeysError> {
    let mut text = String::new();
    file.and_then(|file| file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)).map_err(|source| KeysError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn key_is_made_once_private_and_with_its_public_half() {
        let state = tempfile::tempdir().unwrap();
        let first = load_or_create(&RealDisk, state.path(), "acme/prod/db").unwrap();
        let again = load_or_create(&RealDisk, state.path(), "acme/prod/db").unwrap();
        assert_eq!(first.verifier(), again.verifier());
        let mode = |name: &str| fs::metadata(dir(state.path()).join(name)).unwrap().mode() & 0o777;
        assert_eq!((mode(""), mode("signing.key"), mode("acme_prod_db.pub")), (0o700, 0o600, 0o644));
        let listed = public_keys(&dir(state.path())).unwrap();
        assert_eq!(listed, [(public_path(state.path(), "acme/prod/db"), first.verifier().clone())]);
    }

    #[test]
    fn the_key_of_hashes_is_made_once_and_is_private() {
        let state = tempfile::tempdir().unwrap();
        assert!(literals_key_if_any(&RealDisk, state.path()).is_none());
        let first = literals_key(&RealDisk, state.path()).unwrap();
        let again = literals_key(&RealDisk, state.path()).unwrap();
        let read = literals_key_if_any(&RealDisk, state.path()).unwrap();
        assert_eq!(first.hash(b"x"), again.hash(b"x"));
        assert_eq!(first.hash(b"x"), read.hash(b"x"));
        let path = dir(state.path()).join("literals.key");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(first.hash(b"x"), literals_key(&RealDisk, other.path()).unwrap().hash(b"x"));
        durable::write_atomic(&RealDisk, &path, b"short\n", 0o600).unwrap();
        assert!(matches!(literals_key(&RealDisk, state.path()), Err(KeysError::NoHashKey { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(literals_key(&RealDisk, state.path()), Err(KeysError::Open { .. })));
    }

    #[test]
    fn key_that_others_can_read_is_refused_with_the_remedy() {
        let state = tempfile::tempdir().unwrap();
        load_or_create(&RealDisk, state.path(), "a").unwrap();
        let path = dir(state.path()).join("signing.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(&RealDisk, state.path(), "a").unwrap_err();
        assert!(matches!(error, KeysError::Open { mode: 0o640, .. }));
        assert!(error.hint().starts_with("`chmod 600 "));
    }

    #[test]
    fn key_of_another_trail_and_damaged_key_are_refused_and_kept() {
        let state = tempfile::tempdir().unwrap();
        load_or_create(&RealDisk, state.path(), "a").unwrap();
        assert!(matches!(load_or_create(&RealDisk, state.path(), "b"), Err(KeysError::OtherOrigin { .. })));
        let path = dir(state.path()).join("signing.key");
        let mut text = fs::read_to_string(&path).unwrap();
        text.replace_range(15..16, "x");
        durable::write_atomic(&RealDisk, &path, text.as_bytes(), 0o600).unwrap();
        assert!(matches!(load_or_create(&RealDisk, state.path(), "a"), Err(KeysError::Malformed { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
