//! Which texts are looked at at all: those in which some word or mark stands that announces a secret.
//!
//! Nearly no text has one, so that this question is nearly all that redaction costs. It is asked for three bytes at a time, at every second byte: each
//! word has four bytes or more, so that three of its first four begin where we look. Three bytes choose one bit of a small table, and only where
//! it is set the words themselves are compared.

/// Parts of words without regard to case: without them no name, clause or function announces anything. Each is the rarer part of its word.
const WORDS: [&str; 61] = [
    "pass",
    "pasw",
    "pssw",
    "pwss",
    "paws",
    "psw",
    "pwd",
    "@pw",
    "ntified",
    "by '",
    "ecret",
    "token",
    "crypt",
    "pikey",
    "pi_key",
    "pi-key",
    "sskey",
    "ss_key",
    "ss-key",
    "tekey",
    "te_key",
    "te-key",
    "ntkey",
    "nt_key",
    "nt-key",
    "onkey",
    "on_key",
    "on-key",
    "ngkey",
    "ng_key",
    "ng-key",
    "edkey",
    "ed_key",
    "ed-key",
    "edaccess",
    "ed_access",
    "ed-access",
    "ysource",
    "y_source",
    "y-source",
    "ntials",
    "hmac",
    "earer",
    "horization",
    "nrowset",
    "ddlogin",
    "srvlog",
    "pprole",
    "nt_add",
    "n_strin",
    "n-strin",
    "nstrin",
    "auth_str",
    "auth-str",
    "authstr",
    "ncode",
    "ecode",
    "&sig",
    "?sig",
    "0x0100",
    "0x0200",
];

/// Marks with the case that they must have.
const MARKS: [&str; 53] = [
    "://", ":\\/\\/", "eyJ", "AKIA", "ASIA", "AIza", "ya29.", "GOCSPX-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "ub_pat_", "glpat-", "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-", "k_live_", "k_test_", "whsec_", "sk-",
    "SG.", "npm_", "hvs.", "hvb.", "dop_v1_", "shpat_", "shpss_", "shpca_", "shppa_", "hf_", "dapi", "pypi-", "ATATT3",
    "AGE-S", "--BEGIN", "SCRAM", "md5", "$2a$", "$2b$", "$2x$", "$2y$", "$argon2", "$1$", "$5$", "$6$", "$y$",
    "$scrypt$", "pbkdf2",
];

/// What follows those that have three bytes only: in their table every further byte costs.
const FOLLOWING: [(&str, &[u8]); 4] = [
    ("@", b" =:,;)\t\n"),
    ("p", b"=:'\" )],.`_->\t\n\\ehc;+|"),
    ("md5", b"0123456789abcdef"),
    ("", b"abcdefghijklmnopqrstuvwxyz0123456789_-./%[$<{*"),
];

/// Finds them.
#[derive(Debug, Clone)]
pub struct Suspicion {
    /// Two bits for each three bytes that are known, at [`places`].
    bits: Box<[u64; PLACES / 64]>,
    needles: Vec<Needle>,
    known: Vec<Known>,
    /// Where in `known` those of each bucket begin.
    from: Box<[u32; BUCKETS + 1]>,
}

#[derive(Debug, Clone)]
struct Needle {
    text: Vec<u8>,
    has_case: bool,
    /// Of the configuration: anything may follow it.
    is_further: bool,
}

/// Three bytes of a needle, and how far behind its beginning they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    bucket: usize,
    three: u32,
    needle: u16,
    behind: u8,
}

const PLACES: usize = 1 << 16;
const BUCKETS: usize = 1 << 10;

impl Suspicion {
    /// With the words of the configuration, of three bytes or more.
    pub fn new(further: &[String]) -> Self {
        let needle = |text: &str, has_case, is_further| Needle { text: text.as_bytes().to_vec(), has_case, is_further };
        let words = WORDS.iter().map(|text| needle(text, false, false));
        let further = further.iter().map(|text| needle(text, false, true));
        Suspicion::of(words.chain(further).chain(MARKS.iter().map(|text| needle(text, true, false))).collect())
    }

    /// Of these words alone.
    pub fn only(words: &[String]) -> Self {
        let needle = |text: &String| Needle { text: text.as_bytes().to_vec(), has_case: false, is_further: true };
        Suspicion::of(words.iter().map(needle).collect())
    }

    fn of(needles: Vec<Needle>) -> Self {
        let mut all = Suspicion {
            bits: Box::new([0; PLACES / 64]),
            needles,
            known: Vec::new(),
            from: Box::new([0; BUCKETS + 1]),
        };
        for index in 0..all.needles.len() {
            all.enter(index);
        }
        all.known.sort_unstable();
        all.known.dedup();
        for bucket in 0..=BUCKETS {
            all.from[bucket] = all.known.partition_point(|known| known.bucket < bucket) as u32;
        }
        all
    }

    fn enter(&mut self, index: usize) {
        let text = self.needles[index].text.clone();
        if text.len() >= 4 {
            self.set(&text, index, 0);
            return self.set(&text[1..], index, 1);
        }
        self.set(&text, index, 0);
        if self.needles[index].is_further {
            return (0..=u8::MAX).for_each(|byte| self.set(&[text[1], text[2], byte], index, 1));
        }
        let following = FOLLOWING.iter().find(|(begins, _)| text.starts_with(begins.as_bytes()));
        for byte in following.map_or(&b""[..], |(_, bytes)| bytes) {
            self.set(&[text[1], text[2], *byte], index, 1);
        }
    }

    fn set(&mut self, bytes: &[u8], index: usize, behind: u8) {
        let three = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) | FOLD;
        self.known.push(Known { bucket: bucket(three), three, needle: index as u16, behind });
        for place in places(three) {
            self.bits[place / 64] |= 1 << (place % 64);
        }
    }

    /// Whether the text may hold a secret.
    pub fn holds(&self, text: &[u8]) -> bool {
        let mut at = 0;
        while let Some(bytes) = text.get(at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*bytes);
            let [first, second, third] = [three(word), three(word >> 16), three(word >> 32)];
            let any = (self.bit(first) | self.bit(second) | self.bit(third)) & 1;
            if any == 1
                && [first, second, third].into_iter().enumerate().any(|(step, it)| self.is_at(text, at + 2 * step, it))
            {
                return true;
            }
            at += 6;
        }
        (at..text.len().saturating_sub(2)).step_by(2).any(|at| {
            let bytes = [text[at], text[at + 1], text[at + 2], 0];
            self.is_at(text, at, u32::from_le_bytes(bytes) | FOLD)
        })
    }

    #[inline(always)]
    fn bit(&self, three: u32) -> u64 {
        let [place, _] = places(three);
        self.bits[place / 64] >> (place % 64)
    }

    /// Whether one of the words begins here, or one byte before.
    #[inline]
    fn is_at(&self, text: &[u8], at: usize, three: u32) -> bool {
        let [first, second] = places(three);
        let is_set = |place: usize| self.bits[place / 64] >> (place % 64) & 1 == 1;
        is_set(first) && is_set(second) && self.compare(text, at, three)
    }

    #[inline(never)]
    fn compare(&self, text: &[u8], at: usize, three: u32) -> bool {
        let bucket = bucket(three);
        let known = &self.known[self.from[bucket] as usize..self.from[bucket + 1] as usize];
        known.iter().filter(|known| known.three == three).any(|known| {
            let needle = &self.needles[usize::from(known.needle)];
            let start = at.checked_sub(usize::from(known.behind));
            let found = start.and_then(|start| text.get(start..)?.get(..needle.text.len()));
            found.is_some_and(|found| {
                if needle.has_case { found == needle.text } else { found.eq_ignore_ascii_case(&needle.text) }
            })
        })
    }
}

/// Letters without their case; other bytes that become equal by it are told apart where the words are compared.
const FOLD: u32 = 0x0020_2020;

#[inline(always)]
fn three(word: u64) -> u32 {
    word as u32 & 0x00FF_FFFF | FOLD
}

#[inline(always)]
fn places(three: u32) -> [usize; 2] {
    let product = u64::from(three).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [(product >> 48) as usize, (product >> 24) as usize % PLACES]
}

fn bucket(three: u32) -> usize {
    (u64::from(three).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize
}
