//! How many rows there were, by category, and by where each of the four fields came from: what `parse --stats`, `status` and `/metrics` show.

use super::{Category, Meaning, UtcTime};

/// Where a field came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The engine said it.
    Own,
    /// The statement did.
    Sql,
    /// Earlier rows of the session did, or what the session is.
    Session,
    /// The configuration did: a time zone.
    Config,
    /// Nobody did: something stands in.
    Fallback,
}

impl From {
    /// All of them, in the order in which tables show them.
    pub const ALL: [From; 5] = [From::Own, From::Sql, From::Session, From::Config, From::Fallback];

    /// As `derived` says it.
    pub const fn name(self) -> &'static str {
        match self {
            From::Own => "own",
            From::Sql => "sql",
            From::Session => "session",
            From::Config => "config",
            From::Fallback => "fallback",
        }
    }

    fn of(derived: Option<&str>) -> Self {
        match derived {
            None => From::Own,
            Some("sql") => From::Sql,
            Some("session" | "sql+session") => From::Session,
            Some(how) if how.starts_with("config:") => From::Config,
            Some(_) => From::Fallback,
        }
    }
}

/// The four fields, in the order of [`Tally::fields`].
pub const FIELDS: [&str; 4] = ["user", "action", "time", "resource"];

/// Counts of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// In the order of [`Category::ALL`].
    pub categories: [u64; Category::ALL.len()],
    /// In the order of [`FIELDS`] and [`From::ALL`].
    pub fields: [[u64; From::ALL.len()]; FIELDS.len()],
}

impl Tally {
    /// A row that was understood.
    pub fn event(&mut self, meaning: &Meaning<'_>, time: &UtcTime) {
        self.categories[meaning.category as usize] += 1;
        let derived = [meaning.user.derived, meaning.action.derived, time.source, meaning.resource.derived];
        for (counts, derived) in self.fields.iter_mut().zip(derived) {
            counts[From::of(derived) as usize] += 1;
        }
    }

    /// Bytes that were not.
    pub fn unparsed(&mut self) {
        self.categories[Category::Unparsed as usize] += 1;
        self.fields.iter_mut().for_each(|counts| counts[From::Fallback as usize] += 1);
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.categories.iter().sum()
    }

    /// For a person: two tables, with shares.
    pub fn table(&self) -> String {
        let share = |count: u64| match self.rows() {
            0 => 0.0,
            // Far below where a float is not exact.
            rows => count as f64 * 100.0 / rows as f64,
        };
        let mut out = format!("{} rows\n\n{:<18} {:>12}\n", self.rows(), "category", "rows");
        for (category, count) in Category::ALL.into_iter().zip(self.categories).filter(|(_, count)| *count > 0) {
            out += &format!("{:<18} {count:>12} {:>6.1} %\n", category.name(), share(count));
        }
        out += &format!("\n{:<10}", "field");
        From::ALL.iter().for_each(|from| out += &format!(" {:>21}", from.name()));
        out.push('\n');
        for (field, counts) in FIELDS.iter().zip(self.fields) {
            out += &format!("{field:<10}");
            counts.iter().for_each(|count| out += &format!(" {count:>12} {:>6.1} %", share(*count)));
            out.push('\n');
        }
        out
    }

    /// For a machine.
    pub fn json(&self) -> serde_json::Value {
        let categories: serde_json::Map<_, _> = Category::ALL
            .into_iter()
            .zip(self.categories)
            .map(|(category, count)| (category.name().to_owned(), count.into()))
            .collect();
        let fields: serde_json::Map<_, _> = FIELDS
            .iter()
            .zip(self.fields)
            .map(|(field, counts)| {
                let counts: serde_json::Map<_, _> =
                    From::ALL.iter().zip(counts).map(|(from, count)| (from.name().to_owned(), count.into())).collect();
                ((*field).to_owned(), counts.into())
            })
            .collect();
        serde_json::json!({ "rows": self.rows(), "categories": categories, "fields": fields })
    }
}
