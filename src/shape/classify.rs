//! Who and what the configuration counts as an administrator's: `[classify]`.
//!
//! Names are compared byte by byte, as the engine writes them. A `*` stands for any bytes, none included.

/// Rules of a site, beside the table that holds everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classify {
    /// Accounts whose every row is privileged, and whose changes of data are changes by hand.
    pub admin_roles: Vec<String>,
    /// What is done in these schemas or databases is privileged.
    pub admin_schemas: Vec<String>,
    /// Applications with which people work by hand; as `admin_roles`.
    pub admin_applications: Vec<String>,
    /// Accounts for emergencies: as `admin_roles`, and marked.
    pub break_glass_roles: Vec<String>,
    /// The same by application name.
    pub break_glass_applications: Vec<String>,
    /// A statement that reads so many rows takes data out; 0: none does by number alone.
    pub bulk_rows: u64,
}

/// The accounts that own a server when it is new.
pub const ADMIN_ROLES: [&str; 5] = ["postgres", "root", "sa", "SYS", "SYSTEM"];

/// Rows that no screen shows and few applications ask for in one statement.
pub const BULK_ROWS: u64 = 10_000;

impl Default for Classify {
    fn default() -> Self {
        Classify {
            admin_roles: ADMIN_ROLES.map(str::to_owned).to_vec(),
            admin_schemas: Vec::new(),
            admin_applications: Vec::new(),
            break_glass_roles: Vec::new(),
            break_glass_applications: Vec::new(),
            bulk_rows: BULK_ROWS,
        }
    }
}

/// Whose row it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// An administrator's, or one for emergencies.
    pub admin: bool,
    /// One for emergencies.
    pub break_glass: bool,
}

impl Standing {
    /// The same, or one for emergencies.
    pub fn or_break_glass(self, break_glass: bool) -> Self {
        Standing { admin: self.admin || break_glass, break_glass: self.break_glass || break_glass }
    }
}

impl Classify {
    /// Whose row it is, by the account and, where it is another, the role that it has taken.
    pub fn standing(&self, user: &[u8], acting_as: Option<&[u8]>, application: Option<&[u8]>) -> Standing {
        let is_role = |names: &[String]| holds(names, user) || acting_as.is_some_and(|role| holds(names, role));
        let is_application = |names: &[String]| application.is_some_and(|application| holds(names, application));
        let break_glass = is_role(&self.break_glass_roles) || is_application(&self.break_glass_applications);
        let admin = break_glass || is_role(&self.admin_roles) || is_application(&self.admin_applications);
        Standing { admin, break_glass }
    }

    /// Whether what is in this schema or database is an administrator's.
    pub fn is_admin_schema(&self, name: &[u8]) -> bool {
        holds(&self.admin_schemas, name)
    }
}

fn holds(patterns: &[String], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| fits(pattern.as_bytes(), name))
}

/// Whether a name fits a pattern with `*`, in one pass and a step back to the last star.
pub(crate) fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    let mut star = None;
    while of < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(byte) if *byte == name[of] => (at, of) = (at + 1, of + 1),
            _ => {
                let Some((last, from)) = star else { return false };
                star = Some((last, from + 1));
                (at, of) = (last + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_bytes() {
        for (pattern, name) in [("a", "a"), ("*", ""), ("dba_*", "dba_"), ("*_admin", "x_admin"), ("a*b*c", "a-b-b-c")]
        {
            assert!(fits(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "A"), ("a", "ab"), ("dba_*", "dba"), ("a*b*c", "a-c-b"), ("", "a")] {
            assert!(!fits(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn an_account_for_emergencies_is_an_administrator() {
        let classify = Classify { break_glass_roles: vec!["bg_*".to_owned()], ..Classify::default() };
        assert_eq!(classify.standing(b"bg_1", None, None), Standing { admin: true, break_glass: true });
        assert_eq!(classify.standing(b"app", Some(b"bg_1"), None), Standing { admin: true, break_glass: true });
        assert_eq!(classify.standing(b"postgres", None, None), Standing { admin: true, break_glass: false });
        assert_eq!(classify.standing(b"app", None, Some(b"psql")), Standing::default());
    }
}
