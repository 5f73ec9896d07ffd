//! What was read from a text: plain data without borrows, so that it can be kept and asked again for equal bytes.
//!
//! A [`Reading`] holds all findings of all statements in a few flat lists; a [`Statement`] says which stretch of each list is its
//! own. Whatever stands in the text is a [`Span`]; whatever the reader says of it is a fixed word.

use crate::name::Name;
use crate::span::Span;

/// Everything found in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// One for each statement, in order.
    pub statements: Vec<Statement>,
    /// How many further statements there are, which were not read: see [`crate::reader::STATEMENTS_MAX`].
    pub unread: u32,
    pub(crate) relations: Vec<Relation>,
    pub(crate) objects: Vec<Object>,
    pub(crate) principals: Vec<Principal>,
    pub(crate) privileges: Vec<Privilege>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) transfers: Vec<Transfer>,
}

/// A stretch of one of the lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub from: u16,
    pub to: u16,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// Canonical, upper case, as PostgreSQL's command tags where there is one: `SELECT`, `CREATE TABLE AS`, `GRANT ROLE`, `COPY TO`.
    /// Empty where the statement begins with no known word.
    pub action: &'static str,
    /// The action of the statement inside `EXPLAIN`, `PREPARE`, `DECLARE CURSOR`, `CREATE VIEW`, … ; else empty.
    pub inner: &'static str,
    /// From its first token to its last, without the `;`.
    pub span: Span,
    /// What was said on the side.
    pub options: Options,
    /// What the reader is not sure of.
    pub doubts: Doubts,
    pub(crate) relations: Stretch,
    pub(crate) objects: Stretch,
    pub(crate) principals: Stretch,
    pub(crate) privileges: Stretch,
    pub(crate) attributes: Stretch,
    pub(crate) settings: Stretch,
    pub(crate) transfers: Stretch,
}

/// A table, view or the like whose rows are read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation {
    /// As written.
    pub name: Name,
    /// What is done to it. A relation that is read and written is there twice.
    pub access: Access,
    /// Whether running the statement touches its rows. `false`: it is only named in a view's or a rule's body, a prepared
    /// statement, or a plan that `EXPLAIN` shows without running it.
    pub runs: bool,
}

/// What is done to a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Its rows are read.
    Read,
    /// Rows are added.
    Insert,
    /// Rows are changed.
    Update,
    /// Rows are removed.
    Delete,
    /// Rows are added, changed or removed.
    Merge,
    /// All rows are removed.
    Truncate,
    /// It is locked by name.
    Lock,
    /// It is made and filled: `CREATE TABLE … AS`, `SELECT … INTO`.
    Create,
}

impl Access {
    /// As records spell it.
    pub const fn word(self) -> &'static str {
        match self {
            Access::Read => "READ",
            Access::Insert => "INSERT",
            Access::Update => "UPDATE",
            Access::Delete => "DELETE",
            Access::Merge => "MERGE",
            Access::Truncate => "TRUNCATE",
            Access::Lock => "LOCK",
            Access::Create => "CREATE",
        }
    }

    /// Whether rows are changed.
    pub const fn is_write(self) -> bool {
        !matches!(self, Access::Read | Access::Lock)
    }
}

/// Something that is made, changed, removed, granted on, or named in passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// In PostgreSQL's words, upper case: `TABLE`, `INDEX`, `FOREIGN DATA WRAPPER`, `ALL TABLES IN SCHEMA`.
    pub kind: &'static str,
    /// As written; may be empty: an index without a name.
    pub name: Name,
    /// Its part in the statement.
    pub part: Part,
}

/// An object's part in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The statement is about it.
    Target,
    /// The target belongs to it: `INDEX … ON it`, `TRIGGER … ON it`.
    On,
    /// The name or schema that the target gets: `RENAME TO it`, `SET SCHEMA it`.
    Becomes,
    /// Only mentioned: parent, model, referenced or attached table, an executed function.
    Mentioned,
}

/// An account, role or user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// As written, quotes included. `PUBLIC`, `CURRENT_USER` and the like as they are written.
    pub name: Span,
    /// MySQL's host, as written, without the `@`; else empty.
    pub host: Span,
    /// Its part in the statement.
    pub who: Who,
}

/// A principal's part in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// The statement makes, changes or removes it, or becomes it (`SET ROLE`).
    Subject,
    /// Gets or loses privileges or roles.
    Grantee,
    /// `GRANTED BY`.
    Grantor,
    /// The role that is granted or revoked, or that another becomes a member of.
    Role,
    /// Becomes a member of the subject.
    Member,
    /// Becomes owner.
    Owner,
    /// Whose default privileges, settings, mappings or policies are meant: `FOR ROLE it`.
    For,
    /// The new name of the subject.
    Becomes,
}

/// One privilege of GRANT, REVOKE or DENY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privilege {
    /// As written, of one word or several: `SELECT`, `ALL PRIVILEGES`, `CREATE TEMPORARY TABLES`.
    pub name: Span,
    /// The columns between their parentheses; empty if it is not limited to columns.
    pub columns: Span,
}

/// One attribute of a role or account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Canonical: `SUPERUSER`, `LOGIN`, `CONNECTION LIMIT`, `VALID UNTIL`, `PASSWORD`, `ACCOUNT LOCK`, `REQUIRE`, `DEFAULT ROLE`, …
    pub name: &'static str,
    /// What it is set to.
    pub value: Value,
}

/// What something is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Given: `SUPERUSER`.
    On,
    /// Taken: `NOSUPERUSER`.
    Off,
    /// `NULL`, as in `PASSWORD NULL`.
    Null,
    /// Put back: `RESET x`, `SET x TO DEFAULT`.
    Default,
    /// As it was: `SET x FROM CURRENT`.
    Current,
    /// As written.
    Text(Span),
    /// As written, and never to be shown: a password or its hash.
    Secret(Span),
}

/// A parameter that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// For how long and for whom.
    pub scope: Scope,
    /// The parameter as written, `app.user` as a whole; quotes included. `ALL` for `RESET ALL`. Empty where the statement has a form of
    /// its own: see `canonical`.
    pub parameter: Span,
    /// The parameter's name where it is not written as such: `timezone` for `SET TIME ZONE`; else empty.
    pub canonical: &'static str,
    /// What it is set to.
    pub value: Value,
}

/// For how long and for whom a parameter is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This session.
    Session,
    /// This transaction.
    Transaction,
    /// The running server.
    Server,
    /// The server, over restarts: `ALTER SYSTEM`, `SET PERSIST`.
    Persistent,
    /// Sessions of a role or a database: the statement's principals and objects say which.
    Default,
    /// A function, a variable of the session, or what cannot be said.
    Other,
}

/// Data that leaves or enters as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Which way.
    pub direction: Direction,
    /// By which means.
    pub means: Means,
    /// File, program or address as written, quotes included; empty for the client's connection.
    pub target: Span,
}

/// Which way data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Out of the database.
    Out,
    /// Into the database.
    In,
}

/// By which means data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Means {
    /// A file of the server's host.
    File,
    /// A program on the server's host.
    Program,
    /// The client's connection: stdin, stdout, a local file of the client.
    Client,
    /// An address: object storage, another server.
    Remote,
    /// The client's connection, by a tool that dumps tables: mysqldump's `SELECT /*!40001 SQL_NO_CACHE */ * FROM t`.
    Dump,
}

macro_rules! bits {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $flag:ident = $bit:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
        pub struct $name(u16);

        impl $name {
            $($(#[$what])* pub const $flag: $name = $name(1 << $bit);)*

            /// Whether all of `other` are set.
            pub const fn has(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether none is set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Sets `other` too.
            pub const fn set(&mut self, other: $name) {
                self.0 |= other.0;
            }

            /// The names of those that are set, lower case.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$((stringify!($flag), $name::$flag)),*].into_iter().filter(move |(_, flag)| self.has(*flag)).map(|(name, _)| name)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_set().entries(self.names()).finish()
            }
        }
    };
}

bits! {
    /// What the reader is not sure of. Relations that it is not sure of are not in the reading.
    Doubts {
        /// The text ends inside a string, a quoted name, a comment or a parenthesis, or where more must follow.
        CUT = 0,
        /// Holds code that is not looked into: a DO block, a function's body, a string that is executed.
        OPAQUE = 1,
        /// Something was not understood; relations may be missing.
        UNSURE = 2,
        /// Nested deeper than [`crate::reader::DEPTH_MAX`]; what is inside was passed over.
        TOO_DEEP = 3,
        /// More findings than a list holds; the rest was left out.
        TOO_MANY = 4,
    }
}

bits! {
    /// What a statement says on the side.
    Options {
        /// `IF EXISTS`
        IF_EXISTS = 0,
        /// `IF NOT EXISTS`
        IF_NOT_EXISTS = 1,
        /// `OR REPLACE`
        OR_REPLACE = 2,
        /// `CASCADE`
        CASCADE = 3,
        /// `WITH GRANT OPTION`, also when it is revoked
        GRANT_OPTION = 4,
        /// `WITH ADMIN OPTION`, also when it is revoked
        ADMIN_OPTION = 5,
        /// `EXPLAIN ANALYZE`: the statement runs.
        ANALYZE = 6,
        /// Row security: `ENABLE ROW LEVEL SECURITY`
        ROW_SECURITY_ON = 7,
        /// Row security: `DISABLE ROW LEVEL SECURITY`, `NO FORCE`
        ROW_SECURITY_OFF = 8,
        /// A trigger or rule is switched off: `DISABLE TRIGGER`
        TRIGGER_OFF = 9,
        /// Temporary
        TEMPORARY = 10,
        /// All of one table is read: `SELECT * FROM t` without a condition or a limit, `TABLE t`
        WHOLE_TABLE = 11,
        /// `SECURITY DEFINER`: a function that runs with its owner's rights
        SECURITY_DEFINER = 12,
    }
}

impl Reading {
    /// Nothing read yet.
    pub fn new() -> Self {
        Reading::default()
    }

    /// Empties it and keeps its room.
    pub fn clear(&mut self) {
        self.statements.clear();
        self.unread = 0;
        self.relations.clear();
        self.objects.clear();
        self.principals.clear();
        self.privileges.clear();
        self.attributes.clear();
        self.settings.clear();
        self.transfers.clear();
    }

    /// The relations of one of the statements, in the order of the text as far as it lets.
    pub fn relations(&self, statement: &Statement) -> &[Relation] {
        stretch(&self.relations, statement.relations)
    }

    /// The objects of one of the statements.
    pub fn objects(&self, statement: &Statement) -> &[Object] {
        stretch(&self.objects, statement.objects)
    }

    /// The principals of one of the statements.
    pub fn principals(&self, statement: &Statement) -> &[Principal] {
        stretch(&self.principals, statement.principals)
    }

    /// The privileges of one of the statements.
    pub fn privileges(&self, statement: &Statement) -> &[Privilege] {
        stretch(&self.privileges, statement.privileges)
    }

    /// The role attributes of one of the statements.
    pub fn attributes(&self, statement: &Statement) -> &[Attribute] {
        stretch(&self.attributes, statement.attributes)
    }

    /// The settings of one of the statements.
    pub fn settings(&self, statement: &Statement) -> &[Setting] {
        stretch(&self.settings, statement.settings)
    }

    /// The transfers of one of the statements.
    pub fn transfers(&self, statement: &Statement) -> &[Transfer] {
        stretch(&self.transfers, statement.transfers)
    }

    /// Whether nothing was found but relations.
    pub fn has_only_relations(&self) -> bool {
        self.objects.is_empty()
            && self.principals.is_empty()
            && self.privileges.is_empty()
            && self.attributes.is_empty()
            && self.settings.is_empty()
            && self.transfers.is_empty()
    }

    /// Moves the places of statements and relations: to a text that says the same with longer or shorter words in between. Of a reading that
    /// has [nothing but relations](Self::has_only_relations).
    pub fn move_places(&mut self, to: impl Fn(u32) -> u32) {
        let moved = |span: Span| if span.is_empty() { span } else { Span::new(to(span.start), to(span.end)) };
        for statement in &mut self.statements {
            statement.span = moved(statement.span);
        }
        for relation in &mut self.relations {
            let [server, database, schema, object] = relation.name.parts().map(moved);
            relation.name = Name { server, database, schema, object };
        }
    }

    /// How many bytes it holds in memory, its own size included: what a cache of readings counts.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.statements.capacity() * size_of::<Statement>()
            + self.relations.capacity() * size_of::<Relation>()
            + self.objects.capacity() * size_of::<Object>()
            + self.principals.capacity() * size_of::<Principal>()
            + self.privileges.capacity() * size_of::<Privilege>()
            + self.attributes.capacity() * size_of::<Attribute>()
            + self.settings.capacity() * size_of::<Setting>()
            + self.transfers.capacity() * size_of::<Transfer>()
    }
}

fn stretch<T>(list: &[T], stretch: Stretch) -> &[T] {
    list.get(usize::from(stretch.from)..usize::from(stretch.to)).unwrap_or_default()
}
