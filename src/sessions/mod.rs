//! Whether the server's rows are all there: it numbers them in each session, and a number that is missing is a row that the agent
//! never saw, or a part of one.
//!
//! [`numbered`] is what a row says to that, [`table`] keeps count and judges, [`saved`] brings the count over a restart. The journal is
//! the truth about what was seen and told; what is kept beside it only spares reading all of it.

pub mod numbered;
pub mod saved;
pub mod table;

use sealtrail_parsers::Format;
use sealtrail_seal::Gap;

use numbered::{Counts, Numbered};
use table::{GivenUp, Table, Told};

/// The sessions of one source. A server numbers the rows of each of its formats on their own.
#[derive(Debug)]
pub struct Sessions {
    source: String,
    tables: Vec<(Format, Table)>,
    now_ms: u64,
    /// Of what began by then rows may have been read that are not counted here.
    anew_by: u64,
}

impl Sessions {
    /// Of the source with that name; none is known yet.
    pub fn new(source: &str) -> Self {
        Self::begun_anew(source, 0)
    }

    /// The same, although rows of sessions that began by then, in seconds since 1970, may have been read before.
    pub fn begun_anew(source: &str, by: u64) -> Self {
        Sessions { source: source.to_owned(), tables: Vec::new(), now_ms: 0, anew_by: by }
    }

    /// The time of the rows to come, by the boot clock.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.tables().for_each(|table| table.tick(now_ms));
    }

    /// A row was read.
    pub fn saw(&mut self, format: Format, row: &Numbered<'_>) {
        self.table(format).saw(row);
    }

    /// Everything that could hold what was noticed to be missing by `noticed_ms` has been read. Answers with what is missing for good.
    pub fn settle(&mut self, noticed_ms: u64) -> Vec<Told> {
        self.tell(|table| table.settle(noticed_ms))
    }

    /// What cannot wait for that.
    pub fn overdue(&mut self) -> Vec<Told> {
        self.tell(Table::overdue)
    }

    /// Nothing will come any more.
    pub fn finish(&mut self) -> Vec<Told> {
        self.tell(Table::finish)
    }

    /// When the first of what waits was noticed, by the boot clock.
    pub fn waits_since_ms(&self) -> Option<u64> {
        self.tables.iter().filter_map(|(_, table)| table.waits_since_ms()).min()
    }

    /// How many sessions are known to be open.
    pub fn open(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.open_sessions() as u64).sum()
    }

    /// What cannot be told of.
    pub fn given_up(&self) -> GivenUp {
        let add = |sum: GivenUp, one: GivenUp| GivenUp {
            sessions: sum.sessions + one.sessions,
            repeats: sum.repeats + one.repeats,
        };
        self.tables.iter().map(|(_, table)| table.given_up).fold(GivenUp::default(), add)
    }

    fn table(&mut self, format: Format) -> &mut Table {
        let index = match self.tables.iter().position(|(of, _)| *of == format) {
            Some(index) => index,
            None => {
                let mut table = Table::begun_anew(self.anew_by);
                table.tick(self.now_ms);
                self.tables.push((format, table));
                self.tables.len() - 1
            }
        };
        &mut self.tables[index].1
    }

    fn tables(&mut self) -> impl Iterator<Item = &mut Table> {
        self.tables.iter_mut().map(|(_, table)| table)
    }

    /// The trail has told of `gap`: it is not to be told again. Formats of one server have the same sessions.
    fn was_told(&mut self, gap: &Gap) {
        let is_of = |format: Format| gap.format.as_deref().is_none_or(|name| name == format.name());
        self.tables.iter_mut().filter(|(format, _)| is_of(*format)).for_each(|(_, table)| table.was_told(gap));
    }

    fn tell(&mut self, of: impl Fn(&mut Table) -> Vec<Told>) -> Vec<Told> {
        let mut all = Vec::new();
        for (format, table) in &mut self.tables {
            for mut told in of(table) {
                told.gap.source.clone_from(&self.source);
                told.gap.format = Some(format.name().to_owned());
                if told.gap.of == "rows" && Counts::of(*format) == Some(Counts::Entries) {
                    "entries".clone_into(&mut told.gap.of);
                }
                all.push(told);
            }
        }
        all
    }
}
