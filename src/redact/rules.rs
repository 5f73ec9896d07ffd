//! What took something out of a row: the words that stand in `redacted`.

use std::ops::BitOrAssign;

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules(u32);

impl Rules {
    /// What a name or a clause announces as a password, a key or a token.
    pub const PASSWORD: Rules = Rules(1);
    /// The password in a URL, and what its query names so.
    pub const URL: Rules = Rules(1 << 1);
    /// An argument of a function that takes a key.
    pub const ARGUMENT: Rules = Rules(1 << 2);
    /// What looks like a token that a service gives out.
    pub const TOKEN: Rules = Rules(1 << 3);
    /// A private key.
    pub const PRIVATE_KEY: Rules = Rules(1 << 4);
    /// What looks like the hash of a password.
    pub const PASSWORD_HASH: Rules = Rules(1 << 5);
    /// What was taken out of the row elsewhere, and stood here again.
    pub const ECHO: Rules = Rules(1 << 6);
    /// What may be the end of a secret whose beginning was cut out of a row that is too large.
    pub const CUT: Rules = Rules(1 << 7);

    const NAMES: [(Rules, &'static str); 8] = [
        (Rules::PASSWORD, "password"),
        (Rules::URL, "url"),
        (Rules::ARGUMENT, "argument"),
        (Rules::TOKEN, "token"),
        (Rules::PRIVATE_KEY, "private_key"),
        (Rules::PASSWORD_HASH, "password_hash"),
        (Rules::ECHO, "echo"),
        (Rules::CUT, "cut"),
    ];

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names, in the order of the documentation.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Rules::NAMES.into_iter().filter(move |(rule, _)| self.0 & rule.0 != 0).map(|(_, name)| name)
    }
}

impl BitOrAssign for Rules {
    fn bitor_assign(&mut self, other: Rules) {
        self.0 |= other.0;
    }
}
