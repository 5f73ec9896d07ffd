//! The keyed hash that stands in a literal's place: equal values have equal hashes, and without the key nobody can try values against one.
//!
//! HMAC-SHA-256 (RFC 2104), of which the first 64 bits are shown. The key is the host's: [`crate::keys::literals_key`] makes and keeps it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How it begins where it is written; what follows are 16 hex digits, and [`CLOSE`].
const OPEN: &[u8] = b"[hmac:";
const CLOSE: &[u8] = b"]";
const DIGITS: usize = 16;

/// The key.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

/// One value's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash(u64);

impl HashKey {
    /// Of 32 random bytes.
    pub fn new(bytes: &[u8; 32]) -> Option<Self> {
        Hmac::new_from_slice(bytes).ok().map(HashKey)
    }

    /// Of a value without its quotes.
    pub fn hash(&self, value: &[u8]) -> Hash {
        let mut mac = self.0.clone();
        mac.update(value);
        let bytes = mac.finalize().into_bytes();
        Hash(bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl Hash {
    /// `[hmac:0123456789abcdef]`
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(OPEN);
        out.extend_from_slice(format!("{:016x}", self.0).as_bytes());
        out.extend_from_slice(CLOSE);
    }
}

/// Whether a value is such a hash already.
pub fn is_hash(value: &[u8]) -> bool {
    let inner = value.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE));
    inner.is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit))
}

/// A key is shown nowhere.
impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2, whose short key is filled up with zeros as HMAC itself does it.
    #[test]
    fn it_is_the_hmac_of_the_rfc() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mut out = Vec::new();
        HashKey::new(&key).unwrap().hash(b"what do ya want for nothing?").write(&mut out);
        assert_eq!(String::from_utf8(out.clone()).unwrap(), "[hmac:5bdcc146bf60754e]");
        assert!(is_hash(&out) && !is_hash(b"[hmac:5bdcc146bf60754]") && !is_hash(b"x"));
    }

    #[test]
    fn another_key_gives_another_hash() {
        let (one, other) = (HashKey::new(&[1; 32]).unwrap(), HashKey::new(&[2; 32]).unwrap());
        assert_eq!(one.hash(b"x"), one.hash(b"x"));
        assert_ne!(one.hash(b"x"), other.hash(b"x"));
        assert_ne!(one.hash(b"x"), one.hash(b"y"));
        assert_eq!(format!("{one:?}"), "HashKey");
    }
}
