//! What becomes of the literals and parameters of a row: rules by its source, its category and the tables that it names. The first that fits holds.
//!
//! Where it is not known which tables a row touches, a rule that takes something out fits, and one that keeps everything does not: in doubt a value does not leave
//! the host.

use std::cell::OnceCell;

use sealtrail_parsers::{Act, Record};
use sealtrail_sql::Doubts;
use sealtrail_sql::name::normalized;

use super::literals::Treatment;
use crate::shape::classify::fits;
use crate::shape::{Category, Told};

/// What becomes of a row's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Treatments {
    /// Of those in its statement, and of what repeats them.
    pub literals: Treatment,
    /// Of those beside it.
    pub parameters: Treatment,
}

impl Treatments {
    /// Whether nothing is taken out.
    pub fn keep(self) -> bool {
        self == Treatments::default()
    }

    /// Whether a key is needed.
    pub fn hash(self) -> bool {
        self.literals == Treatment::Hash || self.parameters == Treatment::Hash
    }
}

/// One rule. An empty list is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Names of sources, with `*`.
    pub sources: Vec<String>,
    /// Categories.
    pub categories: Vec<Category>,
    /// Names of tables.
    pub tables: Vec<Table>,
    /// What is done.
    pub treatments: Treatments,
}

/// `orders`, `shop.orders`, `prod.shop.*`: the last parts of a table's name, with `*`, whatever the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table(Vec<String>);

/// Database, schema, table.
const PARTS_MAX: usize = 4;

impl Table {
    /// `None`: no name.
    pub fn new(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('.').map(str::to_lowercase).collect();
        (parts.len() <= PARTS_MAX && parts.iter().all(|part| !part.is_empty())).then_some(Table(parts))
    }

    /// As it was written.
    pub fn name(&self) -> String {
        self.0.join(".")
    }

    /// Whether a name is that of such a table. `None`: it may be, in a schema that the name does not say.
    fn fits(&self, name: &Name) -> Option<bool> {
        let pairs = self.0.iter().rev().zip(name.iter().rev());
        let all = pairs.into_iter().all(|(pattern, part)| fits(pattern.as_bytes(), part));
        let wants_more = self.0.iter().rev().skip(name.len()).any(|pattern| pattern != "*");
        if !all {
            return Some(false);
        }
        (!wants_more).then_some(true)
    }
}

/// The parts of a name, in small letters.
type Name = Vec<Vec<u8>>;

/// The rules in their order, and what holds where none fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The first that fits holds.
    pub rules: Vec<Rule>,
    /// Else this.
    pub otherwise: Treatments,
}

impl Policy {
    /// Whether nothing is ever taken out.
    pub fn keeps_all(&self) -> bool {
        self.otherwise.keep() && self.rules.iter().all(|rule| rule.treatments.keep())
    }

    /// Whether a key is needed.
    pub fn hashes(&self) -> bool {
        self.otherwise.hash() || self.rules.iter().any(|rule| rule.treatments.hash())
    }

    /// What becomes of the values of a row. `record`: `None` of bytes that are no row.
    pub fn of(
        &self,
        source: &str,
        category: Category,
        record: Option<&Record<'_>>,
        told: Option<&Told<'_>>,
    ) -> Treatments {
        let touched = OnceCell::new();
        let rule = self.rules.iter().find(|rule| {
            let is_source =
                rule.sources.is_empty() || rule.sources.iter().any(|name| fits(name.as_bytes(), source.as_bytes()));
            let is_category = rule.categories.is_empty() || rule.categories.contains(&category);
            is_source && is_category && {
                let is_table = || rule.fits(touched.get_or_init(|| Touched::of(record, told)));
                rule.tables.is_empty() || is_table()
            }
        });
        rule.map_or(self.otherwise, |rule| rule.treatments)
    }
}

impl Rule {
    fn fits(&self, touched: &Touched) -> bool {
        let one = |name: &Name| {
            let answers: Vec<_> = self.tables.iter().map(|table| table.fits(name)).collect();
            if answers.contains(&Some(true)) {
                Some(true)
            } else {
                answers.contains(&None).then_some(()).map_or(Some(false), |()| None)
            }
        };
        let mut answers = touched.names.iter().map(one);
        match self.treatments.keep() {
            true => touched.is_all && !touched.names.is_empty() && answers.all(|answer| answer == Some(true)),
            false => !touched.is_all || answers.any(|answer| answer != Some(false)),
        }
    }
}

/// Which tables a row names.
struct Touched {
    names: Vec<Name>,
    /// There are no others.
    is_all: bool,
}

impl Touched {
    fn of(record: Option<&Record<'_>>, told: Option<&Told<'_>>) -> Self {
        let Some(record) = record else { return Touched { names: Vec::new(), is_all: false } };
        let mut names = Vec::new();
        if let Some(told) = told {
            told_names(told, &mut names);
        }
        let is_read =
            told.is_some_and(|told| told.reading().unread == 0 && told.reading().statements.iter().all(is_certain));
        let objects = record.objects.iter();
        names.extend(objects.map(|object| parts(object.database, object.name)));
        names.extend(record.object.filter(|name| !name.is_empty()).map(|name| parts(record.object_database, name)));
        let is_about_itself = matches!(record.act, Act::TableAccess) || told.is_none() && !names.is_empty();
        Touched { names, is_all: is_read || is_about_itself }
    }
}

fn is_certain(statement: &sealtrail_sql::Statement) -> bool {
    statement.doubts == Doubts::default() && !statement.action.is_empty()
}

fn told_names(told: &Told<'_>, names: &mut Vec<Name>) {
    let reading = told.reading();
    for statement in &reading.statements {
        let relations = reading.relations(statement).iter().map(|relation| relation.name);
        let objects = reading.objects(statement).iter().map(|object| object.name);
        for name in relations.chain(objects).filter(|name| !name.is_empty()) {
            let spans = name.parts().into_iter().filter(|span| !span.is_empty());
            let part = |span: sealtrail_sql::Span| normalized(told.dialect, span.of(told.text)).to_ascii_lowercase();
            names.push(spans.map(part).collect());
        }
    }
}

/// Of a name as an engine writes it: `public.orders`, `public."Orders"`.
fn parts(database: Option<&[u8]>, name: &[u8]) -> Name {
    let part = |part: &[u8]| {
        part.to_ascii_lowercase().into_iter().filter(|byte| !matches!(byte, b'"' | b'`' | b'[' | b']')).collect()
    };
    database.into_iter().chain(name.split(|byte| *byte == b'.')).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        parts(None, text.as_bytes())
    }

    #[test]
    fn a_table_is_known_by_the_last_parts_of_its_name() {
        let fits = |pattern: &str, table: &str| Table::new(pattern).unwrap().fits(&name(table));
        for (pattern, table, answer) in [
            ("orders", "orders", Some(true)),
            ("orders", "shop.orders", Some(true)),
            ("Orders", "shop.\"ORDERS\"", Some(true)),
            ("shop.*", "shop.orders", Some(true)),
            ("shop.*", "prod.shop.orders", Some(true)),
            ("shop.orders", "other.orders", Some(false)),
            ("shop.orders", "orders", None),
            ("*.orders", "orders", Some(true)),
            ("shop.orders", "customers", Some(false)),
        ] {
            assert_eq!(fits(pattern, table), answer, "{pattern} {table}");
        }
        assert!(Table::new("a..b").is_none() && Table::new("").is_none() && Table::new("a.b.c.d.e").is_none());
    }

    #[test]
    fn in_doubt_a_rule_that_takes_out_fits_and_one_that_keeps_does_not() {
        let rule = |literals| Rule {
            tables: vec![Table::new("hr.pay").unwrap()],
            treatments: Treatments { literals, parameters: literals },
            ..Rule::default()
        };
        let (mask, keep) = (rule(Treatment::Mask), rule(Treatment::Keep));
        let touched = |names: &[&str], is_all| Touched { names: names.iter().map(|text| name(text)).collect(), is_all };
        for (touched, masks, keeps) in [
            (touched(&["hr.pay"], true), true, true),
            (touched(&["hr.pay", "hr.other"], true), true, false),
            (touched(&["pay"], true), true, false),
            (touched(&["hr.other"], true), false, false),
            (touched(&["hr.other"], false), true, false),
            (touched(&[], false), true, false),
            (touched(&[], true), false, false),
        ] {
            assert_eq!((mask.fits(&touched), keep.fits(&touched)), (masks, keeps), "{:?}", touched.names);
        }
    }
}
