//! Which quoting and folding a text follows.

/// The engine that a text was written for, and the two of its settings that change where a string ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// Whose grammar.
    pub engine: Engine,
    /// A backslash escapes in plain `'strings'`. PostgreSQL: `standard_conforming_strings` is off. MySQL: `NO_BACKSLASH_ESCAPES`
    /// is not set.
    pub backslash: bool,
    /// `"x"` is a name, not a string. Only MySQL and MariaDB leave the choice, by `ANSI_QUOTES`.
    pub ansi_quotes: bool,
}

/// Whose grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// PostgreSQL and what speaks like it.
    Postgres,
    /// MySQL, MariaDB, Percona Server, Aurora MySQL.
    Mysql,
    /// Oracle Database.
    Oracle,
    /// SQL Server.
    Tsql,
}

impl Dialect {
    /// PostgreSQL with its default settings.
    pub const POSTGRES: Dialect = Dialect { engine: Engine::Postgres, backslash: false, ansi_quotes: true };
    /// MySQL and MariaDB with their default settings.
    pub const MYSQL: Dialect = Dialect { engine: Engine::Mysql, backslash: true, ansi_quotes: false };
    /// Oracle Database.
    pub const ORACLE: Dialect = Dialect { engine: Engine::Oracle, backslash: false, ansi_quotes: true };
    /// SQL Server with `QUOTED_IDENTIFIER` on.
    pub const TSQL: Dialect = Dialect { engine: Engine::Tsql, backslash: false, ansi_quotes: true };
}
