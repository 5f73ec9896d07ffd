//! What took something out of a row: the words that stand in `redacted`.

use std::ops::BitOrAssign;

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules(u64);

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
    /// A literal or a parameter of which a mark is left.
    pub const LITERAL_MASK: Rules = Rules(1 << 8);
    /// A literal or a parameter of which a keyed hash is left.
    pub const LITERAL_HASH: Rules = Rules(1 << 9);
    /// The value of a column, parameter or member whose name the configuration gives as a person's.
    pub const PERSONAL_NAME: Rules = Rules(1 << 10);
    /// An e-mail address.
    pub const EMAIL: Rules = Rules(1 << 11);
    /// The number of a payment card.
    pub const PAYMENT_CARD: Rules = Rules(1 << 12);
    /// The number of a bank account.
    pub const IBAN: Rules = Rules(1 << 13);
    /// A social security number of the United States.
    pub const US_SSN: Rules = Rules(1 << 14);
    /// A telephone number.
    pub const PHONE: Rules = Rules(1 << 15);
    /// An address of the internet.
    pub const IP_ADDRESS: Rules = Rules(1 << 16);

    const NAMES: [(Rules, &'static str); 17] = [
        (Rules::PASSWORD, "password"),
        (Rules::URL, "url"),
        (Rules::ARGUMENT, "argument"),
        (Rules::TOKEN, "token"),
        (Rules::PRIVATE_KEY, "private_key"),
        (Rules::PASSWORD_HASH, "password_hash"),
        (Rules::ECHO, "echo"),
        (Rules::CUT, "cut"),
        (Rules::LITERAL_MASK, "literal_mask"),
        (Rules::LITERAL_HASH, "literal_hash"),
        (Rules::PERSONAL_NAME, "personal_name"),
        (Rules::EMAIL, "email"),
        (Rules::PAYMENT_CARD, "payment_card"),
        (Rules::IBAN, "iban"),
        (Rules::US_SSN, "us_ssn"),
        (Rules::PHONE, "phone"),
        (Rules::IP_ADDRESS, "ip_address"),
    ];

    /// The first bit of the configuration's own patterns.
    const PATTERNS_FROM: usize = 32;

    /// How many patterns the configuration may have.
    pub const PATTERNS_MAX: usize = 32;

    /// One of the configuration's own patterns, from 0, up to [`Rules::PATTERNS_MAX`].
    pub fn of_pattern(index: usize) -> Rules {
        Rules(1 << (Rules::PATTERNS_FROM + index % Rules::PATTERNS_MAX))
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names, in the order of the documentation; `patterns` are those of the configuration's own.
    pub fn names(self, patterns: &[String]) -> impl Iterator<Item = &str> {
        let own = patterns.iter().take(Rules::PATTERNS_MAX).enumerate();
        let own = own.filter(move |(index, _)| self.has(Rules::of_pattern(*index))).map(|(_, name)| name.as_str());
        Rules::NAMES.into_iter().filter(move |(rule, _)| self.has(*rule)).map(|(_, name)| name).chain(own)
    }

    fn has(self, rule: Rules) -> bool {
        self.0 & rule.0 != 0
    }
}

impl BitOrAssign for Rules {
    fn bitor_assign(&mut self, other: Rules) {
        self.0 |= other.0;
    }
}
