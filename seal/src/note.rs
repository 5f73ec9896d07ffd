//! Signed checkpoints: C2SP's `tlog-checkpoint` inside a `signed-note`, with Ed25519.
//!
//! Owns the text forms of a checkpoint, a verifier key and a signing key. Hard here: one meaning must have one
//! spelling, or a byte could be changed without anybody noticing. So what is not canonical is refused: padded numbers,
//! other base64, other signatures of the same key, empty lines. Signatures by unknown keys are passed over, as the
//! specification asks.
//!
//! <https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::tree::{Hash, SIZE_MAX};

/// Longest origin, in bytes: it is part of file names and object keys.
pub const ORIGIN_BYTES_MAX: usize = 200;

/// Longest signed note that is read, in bytes. Ours are under 500; the rest is room for signatures of witnesses.
pub const NOTE_BYTES_MAX: usize = 64 << 10;

/// C2SP's signature type of Ed25519.
const ED25519: u8 = 0x01;
const PRIVATE_KEY: &str = "PRIVATE+KEY+";

/// Why a name or a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An origin may not be empty, longer than [`ORIGIN_BYTES_MAX`], or hold white space, control characters or `+`.
    #[error("origin {0:?} is empty, too long, or holds white space, a control character or '+'")]
    Origin(String),
    /// Not `<name>+<key id>+<key>`.
    #[error("not a key: {0}")]
    Malformed(&'static str),
    /// The id in the text is not that of the key in the text.
    #[error("key id {found} does not belong to the key, whose id is {expected}")]
    Id {
        /// Of the key.
        expected: String,
        /// In the text.
        found: String,
    },
}

impl KeyError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Origin(_) => "name the trail like `org/cluster/host`, without blanks or '+'",
            Self::Malformed(_) | Self::Id { .. } => "copy the key again from its source: one line, all of it",
        }
    }
}

/// Why a signed note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note, or not in its one canonical spelling.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A signed note whose text is not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// No signature of the key that was asked for.
    #[error("not signed by {0}")]
    UnknownKey(String),
    /// There is a signature of that key, and it is wrong.
    #[error("wrong signature of {0}")]
    BadSignature(String),
    /// The checkpoint is that of another trail.
    #[error("checkpoint of {found}, not of {expected}")]
    Origin {
        /// The key's name.
        expected: String,
        /// In the note.
        found: String,
    },
}

/// Checks that `origin` can name a trail and its key.
pub fn check_origin(origin: &str) -> Result<(), KeyError> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX || origin.contains(odd) {
        return Err(KeyError::Origin(origin.chars().take(ORIGIN_BYTES_MAX).collect()));
    }
    Ok(())
}

/// A tree head: which trail, how many lines, what root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The trail's name.
    pub origin: String,
    /// Number of lines.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// Extension lines, each without its newline and not empty.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The text that is signed: `origin\nsize\nbase64 root\n` and the extension lines.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root));
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Reads what [`Checkpoint::to_text`] writes, and nothing else.
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let text = text.strip_suffix('\n').ok_or(NoteError::Checkpoint("no newline at the end"))?;
        let mut lines = text.split('\n');
        let origin = lines.next().unwrap_or_default();
        check_origin(origin).map_err(|_| NoteError::Checkpoint("origin"))?;
        let size = decimal(lines.next().unwrap_or_default()).ok_or(NoteError::Checkpoint("tree size"))?;
        let root = hash_from_base64(lines.next().unwrap_or_default()).ok_or(NoteError::Checkpoint("root"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(NoteError::Checkpoint("empty extension line"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }
}

/// A public key and the name of the trail that it signs: C2SP's *vkey*.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The origin that this key signs for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name ‖ newline ‖ 0x01 ‖ public key).
    pub fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// [`VerifierKey::id`] in hex, as it stands in the key's text.
    pub fn id_hex(&self) -> String {
        self.id().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The checkpoint in a signed note, if this key signed it for the trail of its own name.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let (text, signatures) = split_note(note)?;
        let mut found = false;
        for line in signatures {
            let (name, id, signature) = signature_line(line)?;
            if name != self.name || id != self.id() {
                continue;
            }
            let signature: [u8; 64] = signature.try_into().map_err(|_| NoteError::Malformed("signature length"))?;
            self.key
                .verify_strict(text.as_bytes(), &Signature::from_bytes(&signature))
                .map_err(|_| NoteError::BadSignature(self.label()))?;
            found = true;
        }
        if !found {
            return Err(NoteError::UnknownKey(self.label()));
        }
        let checkpoint = Checkpoint::from_text(text)?;
        if checkpoint.origin != self.name {
            return Err(NoteError::Origin { expected: self.name.clone(), found: checkpoint.origin });
        }
        Ok(checkpoint)
    }

    /// `<name>+<id>`: enough to tell which key is meant.
    pub fn label(&self) -> String {
        format!("{}+{}", self.name, self.id_hex())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, self.id_hex(), STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, bytes) = split_key(text)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Malformed("not a point of Ed25519"))?;
        if key.is_weak() {
            return Err(KeyError::Malformed("a weak key, under which anything verifies"));
        }
        let key = Self { name: name.to_owned(), key };
        check_id(&key, id)?;
        Ok(key)
    }
}

/// A private key and the name of the trail that it signs. Wiped from memory when dropped; `Debug` shows the public
/// half only.
pub struct Signer {
    verifier: VerifierKey,
    key: SigningKey,
}

impl Signer {
    /// The key made of this seed, for the trail of this name.
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        check_origin(name)?;
        let key = SigningKey::from_bytes(&seed);
        Ok(Self { verifier: VerifierKey { name: name.to_owned(), key: key.verifying_key() }, key })
    }

    /// Reads `PRIVATE+KEY+<name>+<id>+<base64 of 0x01 ‖ seed>`.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let rest = text.strip_prefix(PRIVATE_KEY).ok_or(KeyError::Malformed("does not begin with PRIVATE+KEY+"))?;
        let (name, id, seed) = split_key(rest)?;
        let signer = Self::from_seed(name, seed)?;
        check_id(&signer.verifier, id)?;
        Ok(signer)
    }

    /// The text that [`Signer::from_text`] reads. It is the secret: for the key file and nothing else.
    pub fn to_secret_text(&self) -> String {
        let mut key = [ED25519; 33];
        key[1..].copy_from_slice(self.key.as_bytes());
        format!("{PRIVATE_KEY}{}+{}+{}", self.verifier.name, self.verifier.id_hex(), STANDARD.encode(key))
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signed note of this checkpoint.
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        self.sign_text(&checkpoint.to_text())
    }

    /// The signed note of a text that ends with a newline.
    fn sign_text(&self, text: &str) -> String {
        let mut signature = self.verifier.id().to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n— {} {}\n", self.verifier.name, STANDARD.encode(signature))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// A hash from base64 in its canonical spelling.
pub(crate) fn hash_from_base64(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The canonical base64 of a hash.
pub(crate) fn hash_to_base64(hash: &Hash) -> String {
    STANDARD.encode(hash)
}

/// A number of lines without sign or leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|size| canonical && digits && *size <= SIZE_MAX)
}

/// The signed text, its last newline included, and the signature lines.
fn split_note(note: &str) -> Result<(&str, std::str::Split<'_, char>), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::Malformed("too long"));
    }
    if note.contains(|c: char| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed("control character"));
    }
    let blank = note.rfind("\n\n").ok_or(NoteError::Malformed("no blank line before the signatures"))?;
    let signatures = note[blank + 2..].strip_suffix('\n').ok_or(NoteError::Malformed("no newline at the end"))?;
    Ok((&note[..=blank], signatures.split('\n')))
}

/// Name, key id and signature of `— <name> <base64 of id ‖ signature>`.
fn signature_line(line: &str) -> Result<(&str, [u8; 4], Vec<u8>), NoteError> {
    let malformed = NoteError::Malformed("signature line");
    let Some((name, base64)) = line.strip_prefix("— ").and_then(|l| l.split_once(' ')) else { return Err(malformed) };
    let Ok(bytes) = STANDARD.decode(base64) else { return Err(malformed) };
    match bytes.split_first_chunk::<4>() {
        Some((id, signature)) if check_origin(name).is_ok() && !signature.is_empty() => {
            Ok((name, *id, signature.to_vec()))
        }
        _ => Err(malformed),
    }
}

/// Name, id and the 32 bytes of `<name>+<id>+<base64 of 0x01 ‖ 32 bytes>`.
fn split_key(text: &str) -> Result<(&str, &str, [u8; 32]), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Malformed("not three parts between '+'"));
    };
    check_origin(name)?;
    let bytes = STANDARD.decode(key).map_err(|_| KeyError::Malformed("not base64"))?;
    match bytes.split_first() {
        Some((&ED25519, key)) => {
            Ok((name, id, key.try_into().map_err(|_| KeyError::Malformed("not 32 bytes of key"))?))
        }
        _ => Err(KeyError::Malformed("not an Ed25519 key")),
    }
}

fn check_id(key: &VerifierKey, found: &str) -> Result<(), KeyError> {
    let expected = key.id_hex();
    if found != expected {
        return Err(KeyError::Id { expected, found: found.chars().take(16).collect() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and note of Go's `golang.org/x/mod/sumdb/note`, from which C2SP's specification was written.
    const PETER_SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const SIGNATURE: &str =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn signer() -> Signer {
        Signer::from_seed("acme/prod/db", [7; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "acme/prod/db".into(), size: 42, root: [9; 32], extensions: vec!["block 1".into()] }
    }

    #[test]
    fn note_of_the_known_key_has_the_known_signature() {
        let signer = Signer::from_text(PETER_SECRET).unwrap();
        assert_eq!(signer.verifier().to_string(), PETER);
        assert_eq!(signer.to_secret_text(), PETER_SECRET);
        assert_eq!(signer.sign_text(TEXT), format!("{TEXT}\n{SIGNATURE}"));
        let verifier: VerifierKey = PETER.parse().unwrap();
        assert!(matches!(verifier.verify(&format!("{TEXT}\n{SIGNATURE}")), Err(NoteError::Checkpoint(_))));
    }

    #[test]
    fn checkpoint_comes_back_from_its_note() {
        assert_eq!(signer().verifier().verify(&signer().sign(&checkpoint())), Ok(checkpoint()));
    }

    #[test]
    fn signatures_of_others_are_passed_over() {
        let witness = Signer::from_seed("witness", [1; 32]).unwrap();
        let note = signer().sign(&checkpoint());
        let other = witness.sign(&checkpoint());
        let both = format!("{note}{}", &other[other.rfind("— ").unwrap()..]);
        assert_eq!(signer().verifier().verify(&both), Ok(checkpoint()));
        assert!(matches!(signer().verifier().verify(&other), Err(NoteError::UnknownKey(_))));
        assert!(matches!(witness.verifier().verify(&both), Err(NoteError::Origin { .. })));
    }

    #[test]
    fn every_changed_byte_of_a_note_is_refused() {
        let note = signer().sign(&checkpoint());
        for i in 0..note.len() {
            for flip in [1u8, 2, 0x20, 0x80] {
                let mut bytes = note.clone().into_bytes();
                bytes[i] ^= flip;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert!(signer().verifier().verify(&text).is_err(), "byte {i} of {text:?}");
            }
        }
    }

    #[test]
    fn other_spellings_of_a_checkpoint_are_refused() {
        let root = hash_to_base64(&[9; 32]);
        for text in [
            format!("a\n042\n{root}\n"),
            format!("a\n+42\n{root}\n"),
            format!("a\n42\n{root}"),
            format!("a\n42\n{}\n", root.trim_end_matches('=')),
            format!("a\n42\n{root}\n\n"),
            format!("a b\n42\n{root}\n"),
            format!("\n42\n{root}\n"),
            format!("a\n{}\n{root}\n", u64::MAX),
        ] {
            assert!(Checkpoint::from_text(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn key_with_another_id_or_type_is_refused() {
        assert!(matches!(PETER.replace("c74f20a3", "c74f20a4").parse::<VerifierKey>(), Err(KeyError::Id { .. })));
        assert!(PETER.replace("ARpc", "Arpc").parse::<VerifierKey>().is_err());
        assert!(format!("{PETER}\n").parse::<VerifierKey>().is_err());
    }

    #[test]
    fn debug_never_shows_the_seed() {
        let signer = Signer::from_text(PETER_SECRET).unwrap();
        assert_eq!(format!("{signer:?}"), format!("Signer({PETER})"));
    }

    #[test]
    fn origins_that_could_be_misread_are_refused() {
        for origin in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{7f}", &"x".repeat(201)] {
            assert!(check_origin(origin).is_err(), "{origin:?}");
        }
        assert_eq!(check_origin("acme/prod/orders-db-1"), Ok(()));
    }
}
