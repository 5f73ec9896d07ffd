//! SCRAM (RFC 5802, RFC 7677): a login that never shows the password, and in which the broker proves that it knows it, too.
//!
//! Three messages of ours, two of the broker's. What the broker sends decides how often the password is hashed: within bounds, or not at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

/// RFC 7677 asks for so many rounds at least; Kafka takes no password with fewer.
const ROUNDS_MIN: u32 = 4096;
/// Kafka makes 4,096 or 8,192 unless it is told otherwise; a broker that asks for thousands of millions would stop every destination.
const ROUNDS_MAX: u32 = 200_000;
/// No user, no channel binding, as TLS's has no place in Kafka; and the same in base64.
const NO_BINDING: &str = "n,,";
const NO_BINDING_BASE64: &str = "biws";

/// The hash that a login stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// A login under way.
pub(super) struct Scram<'a> {
    hash: Hash,
    password: &'a str,
    nonce: &'a str,
    first: String,
}

/// What the broker's last message must be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected(String);

impl<'a> Scram<'a> {
    /// `nonce`: printable, without a comma, and new each time.
    pub(super) fn new(hash: Hash, user: &str, password: &'a str, nonce: &'a str) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Scram { hash, password, nonce, first: format!("n={user},r={nonce}") }
    }

    /// Our first message.
    pub(super) fn first(&self) -> String {
        format!("{NO_BINDING}{}", self.first)
    }

    /// Our second, which answers the broker's first. What is wrong with that is said without any of it.
    pub(super) fn second(&self, answer: &[u8]) -> Result<(String, Expected), &'static str> {
        let answer = std::str::from_utf8(answer).map_err(|_| "is no text")?;
        let mut parts = answer.split(',');
        let mut part = |name| parts.next().and_then(|part| part.strip_prefix(name));
        let nonce = part("r=").filter(|nonce| nonce.len() > self.nonce.len() && nonce.starts_with(self.nonce));
        let nonce = nonce.ok_or("does not go on with our nonce")?;
        let salt = part("s=").and_then(|salt| STANDARD.decode(salt).ok()).ok_or("has no salt")?;
        let rounds = part("i=").and_then(|rounds| rounds.parse().ok());
        let rounds = rounds.filter(|rounds| (ROUNDS_MIN..=ROUNDS_MAX).contains(rounds));
        let rounds = rounds.ok_or("asks for fewer than 4,096 or more than 200,000 rounds")?;
        let without_proof = format!("c={NO_BINDING_BASE64},r={nonce}");
        let all = format!("{},{answer},{without_proof}", self.first);
        let (proof, signature) = match self.hash {
            Hash::Sha256 => proven(&self.salted::<32>(&salt, rounds), &all, hmac::<Hmac<Sha256>>, |key| {
                Sha256::digest(key).to_vec()
            }),
            Hash::Sha512 => proven(&self.salted::<64>(&salt, rounds), &all, hmac::<Hmac<Sha512>>, |key| {
                Sha512::digest(key).to_vec()
            }),
        };
        let second = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((second, Expected(format!("v={}", STANDARD.encode(signature)))))
    }

    fn salted<const N: usize>(&self, salt: &[u8], rounds: u32) -> [u8; N] {
        let mut key = [0; N];
        match self.hash {
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(self.password.as_bytes(), salt, rounds, &mut key),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(self.password.as_bytes(), salt, rounds, &mut key),
        }
        key
    }
}

impl Expected {
    /// Whether the broker knows the password.
    pub(super) fn is(&self, answer: &[u8]) -> bool {
        answer.strip_prefix(self.0.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b","))
    }
}

/// The answer to a user or a password that is wrong, of brokers that have no error code for that.
pub(super) fn is_no(answer: &[u8]) -> bool {
    answer.starts_with(b"e=")
}

/// Our proof, and the broker's signature (RFC 5802, 3).
fn proven(
    salted: &[u8],
    all: &str,
    mac: fn(&[u8], &[u8]) -> Vec<u8>,
    hash: fn(&[u8]) -> Vec<u8>,
) -> (Vec<u8>, Vec<u8>) {
    let client_key = mac(salted, b"Client Key");
    let client_signature = mac(&hash(&client_key), all.as_bytes());
    let proof = client_key.iter().zip(client_signature).map(|(key, signature)| key ^ signature).collect();
    (proof, mac(&mac(salted, b"Server Key"), all.as_bytes()))
}

fn hmac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // Keys of any length are taken.
    let Ok(mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const FIRST: &[u8] = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn the_example_of_rfc_7677_comes_out() {
        let scram = Scram::new(Hash::Sha256, "user", "pencil", NONCE);
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (second, expected) = scram.second(FIRST).unwrap();
        assert_eq!(
            second,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(expected.is(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!expected.is(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="));
        assert!(!expected.is(b"e=invalid-proof") && !expected.is(b""));
    }

    /// The same exchange with the longer hash, for which no RFC has an example: proof and signature are what Python's `hashlib` and `hmac` make of it.
    #[test]
    fn with_the_longer_hash_it_is_what_another_implementation_makes() {
        let (second, expected) = Scram::new(Hash::Sha512, "user", "pencil", NONCE).second(FIRST).unwrap();
        let proof = second.split_once(",p=").unwrap().1;
        assert_eq!(proof, "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==");
        assert!(
            expected.is(b"v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==")
        );
    }

    #[test]
    fn a_broker_that_does_not_go_on_with_our_nonce_or_asks_for_too_much_is_no_broker() {
        let scram = Scram::new(Hash::Sha512, "user", "pencil", NONCE);
        assert!(scram.second(FIRST).is_ok());
        let wrong = [
            &b"r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"[..],
            b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=*,i=4096",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
            b"m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"e=unknown-user",
            b"\xff",
            b"",
        ];
        for answer in wrong {
            assert!(scram.second(answer).is_err(), "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn a_users_commas_and_equals_signs_are_escaped() {
        assert_eq!(Scram::new(Hash::Sha256, "a=b,c", "", "x").first(), "n,,n=a=3Db=2Cc,r=x");
    }
}
