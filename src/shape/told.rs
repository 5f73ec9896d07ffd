//! What a row's statement tells beside what the engine said: which object, which privileges, which role, which data goes where.
//!
//! Owns the choice which of several statements in one text the row is about. Engines log whole texts, and a text may hold
//! many statements; where the choice is not certain nothing of any one of them is claimed for the row.

use sealtrail_sql::{
    Dialect, Engine, Name, Object, Part, Principal, Reading, Relation, Setting, Statement, Who, name::normalized,
};

use super::category;
use super::facts::Facts;
use super::prepared;
use super::readings::Read;

/// A statement's text with what was read from it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// As which it was read.
    pub dialect: Dialect,
    /// The text that the spans of the reading point into.
    pub text: &'a [u8],
    /// What was read.
    pub read: &'a Read,
    /// Which statement the row is about; `None` where that is not certain.
    about: Option<usize>,
    /// Whether the row stands for all statements of the text.
    is_about_all: bool,
    /// Where the text came from.
    pub how: How,
}

/// Where the text came from that tells what a row did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is the row's statement.
    Text,
    /// The row's statement runs another one, which the row has beside it.
    Row,
    /// The row's statement runs another one, which an earlier row of the session told.
    Session,
    /// The row's statement runs another one, and nobody told which: the text is the row's own.
    Unknown,
}

impl How {
    /// As `derived` says it.
    pub const fn name(self) -> &'static str {
        match self {
            How::Text | How::Row => "sql",
            How::Session => "session",
            How::Unknown => "fallback:prepared",
        }
    }

    /// Whether the text stands for what the row's own runs.
    pub const fn is_executed(self) -> bool {
        matches!(self, How::Row | How::Session)
    }
}

/// What a statement is about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// An object, or a relation.
    Object {
        /// In capitals.
        kind: &'static str,
        /// As written.
        name: Name,
        /// The table that it belongs to and is named within: of a column, a policy, a trigger.
        on: Option<Name>,
    },
    /// A role or a user.
    Principal(&'static str, &'a Principal),
    /// A parameter.
    Setting(&'a Setting),
}

impl<'a> Told<'a> {
    /// `command`: the engine's own word for the one statement that the row tells of.
    pub fn new(dialect: Dialect, text: &'a [u8], read: &'a Read, command: Option<&[u8]>) -> Self {
        let statements = &read.reading.statements;
        let about = match (statements.as_slice(), command) {
            ([], _) => None,
            ([_], _) => Some(0),
            (several, Some(command)) => {
                only(several.iter().map(|it| is_one(command, it.action) || prepares(command, it)))
            }
            (_, None) => heaviest(read),
        };
        let about_one = about.and_then(|index| statements.get(index));
        let runs_another = about_one.is_some_and(|it| prepared::executes(dialect, it));
        let how = if runs_another { How::Unknown } else { How::Text };
        Told { dialect, text, read, about, is_about_all: command.is_none(), how }
    }

    /// Of a text that another one runs; `None` where nothing of it is known, or it is not one statement.
    pub fn of_executed(dialect: Dialect, text: &'a [u8], read: &'a Read, how: How) -> Option<Self> {
        let is_known = matches!(read.reading.statements.as_slice(), [one] if !one.action.is_empty());
        (is_known && read.reading.unread == 0).then_some(Told {
            dialect,
            text,
            read,
            about: Some(0),
            is_about_all: false,
            how,
        })
    }

    /// The statement that the row is about.
    pub fn statement(&self) -> Option<&'a Statement> {
        self.reading().statements.get(self.about?)
    }

    /// All that was read.
    pub fn reading(&self) -> &'a Reading {
        &self.read.reading
    }

    /// Those that the row's lists tell of: the one that it is about, or all of them where it stands for all.
    pub fn statements(&self) -> &'a [Statement] {
        match self.about {
            _ if self.is_about_all => &self.reading().statements,
            Some(index) => self.reading().statements.get(index..=index).unwrap_or_default(),
            None => &[],
        }
    }

    /// What holds of the row, so far as its text says it. A text of several statements that cannot be told apart is answered for as a whole: what
    /// touches the audit must not hide behind another statement.
    pub fn facts(&self) -> Facts {
        let own = self.about.and_then(|index| self.read.facts.get(index)).copied().unwrap_or_default();
        if self.about.is_some() && !self.is_about_all {
            return own;
        }
        let audit = Facts::AUDIT_OFF | Facts::AUDIT_CHANGED;
        self.read.facts.iter().fold(own, |all, one| all | one.and(audit))
    }

    /// The canonical action; `None` where no word of the text is known.
    pub fn action(&self) -> Option<&'static str> {
        self.statement().map(|statement| statement.action).filter(|action| !action.is_empty())
    }

    /// What the statement is about. `reads`: the row tells of what was read alone, not of what was written.
    pub fn subject(&self, reads: bool) -> Option<Subject<'a>> {
        let statement = self.statement()?;
        let reading = self.reading();
        let (objects, principals) = (reading.objects(statement), reading.principals(statement));
        let relations = reading.relations(statement);
        let target = objects.iter().find(|object| object.part == Part::Target);
        // What lives in the session alone is less than what it reads.
        let reads_beside = |kind: &str| matches!(kind, "CURSOR") && relations.iter().any(|relation| relation.runs);
        if let Some(object) = target.filter(|object| !object.name.is_empty() && !reads_beside(object.kind)) {
            let table = objects.iter().find(|it| it.part == Part::On).filter(|_| is_within_a_table(object.kind));
            return Some(Subject::Object { kind: object.kind, name: object.name, on: table.map(|table| table.name) });
        }
        if let Some(principal) = subject_of(principals) {
            return Some(Subject::Principal(principal_kind(statement.action, principal), principal));
        }
        if let Some(relation) = main_relation(relations, reads) {
            return Some(Subject::Object { kind: "RELATION", name: relation.name, on: None });
        }
        // An index without a name is known by its table.
        let on = target.and_then(|_| objects.iter().find(|object| object.part == Part::On));
        if let Some(object) = on {
            return Some(Subject::Object { kind: object.kind, name: object.name, on: None });
        }
        // How transactions begin is the session's own affair.
        let mut settings = reading.settings(statement).iter();
        settings.find(|setting| setting.canonical != "transaction_characteristics").map(Subject::Setting)
    }

    /// Hands out, piece by piece, the name of a part as the engine understands it; in PostgreSQL quoted where the engine itself would quote it.
    pub fn part(&self, span: sealtrail_sql::Span, put: &mut dyn FnMut(&[u8])) {
        let written = span.of(self.text);
        let name = normalized(self.dialect, written);
        if self.dialect.engine != Engine::Postgres || written == b"*" || is_plain_name(&name) {
            return put(&name);
        }
        put(b"\"");
        for part in name.split_inclusive(|byte| *byte == b'"') {
            put(part);
            put(if part.ends_with(b"\"") { b"\"" } else { b"" });
        }
        put(b"\"");
    }

    /// The same for a whole name; `schema` and `database` stand in for parts that are not written.
    pub fn name(&self, name: Name, schema: Option<&[u8]>, database: Option<&[u8]>, put: &mut dyn FnMut(&[u8])) {
        if !name.server.is_empty() && name.server.start < name.object.start {
            self.part(name.server, put);
            put(b".");
        }
        match database {
            _ if !name.database.is_empty() => {
                self.part(name.database, put);
                put(b".");
            }
            Some(database) => {
                put(database);
                put(b".");
            }
            None => {}
        }
        match schema {
            _ if !name.schema.is_empty() => {
                self.part(name.schema, put);
                put(b".");
            }
            Some(schema) => {
                put(schema);
                put(b".");
            }
            None => {}
        }
        self.part(name.object, put);
    }

    /// A role, or an account with its host: `app`, `app@%`.
    pub fn principal(&self, principal: &Principal, put: &mut dyn FnMut(&[u8])) {
        put(&normalized(self.dialect, principal.name.of(self.text)));
        if !principal.host.is_empty() {
            put(b"@");
            put(&normalized(self.dialect, principal.host.of(self.text)));
        }
    }

    /// A parameter's name.
    pub fn parameter(&self, setting: &Setting, put: &mut dyn FnMut(&[u8])) {
        match setting.canonical {
            // `app."user"`: each part may have quotes.
            "" => normalized(self.dialect, setting.parameter.of(self.text)).split(|byte| *byte == b'"').for_each(put),
            canonical => put(canonical.as_bytes()),
        }
    }
}

/// The only one for which it holds.
fn only(holds: impl Iterator<Item = bool>) -> Option<usize> {
    let mut fitting = holds.enumerate().filter(|(_, holds)| *holds).map(|(index, _)| index);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// Whether the engine's word is for the statement inside of a `PREPARE`: pgAudit's row of what is executed has the text in which it was prepared.
fn prepares(command: &[u8], statement: &Statement) -> bool {
    statement.action == "PREPARE" && is_one(command, statement.inner)
}

/// Whether the engine's word is this action, or its beginning: `COPY` of `COPY TO`.
fn is_one(command: &[u8], action: &str) -> bool {
    let action = action.as_bytes();
    action.get(..command.len()).is_some_and(|head| head.eq_ignore_ascii_case(command))
        && action.get(command.len()).is_none_or(|next| *next == b' ')
        && !command.is_empty()
}

/// Of a text that is one row: the statement that weighs most for an auditor, the first of several.
fn heaviest(read: &Read) -> Option<usize> {
    let weight = |index: usize| {
        let (statement, facts) = (&read.reading.statements[index], read.facts.get(index).copied().unwrap_or_default());
        category::of_action(statement.action.as_bytes(), facts).category.weight()
    };
    (0..read.reading.statements.len()).rev().max_by_key(|index| weight(*index))
}

/// Of a role statement the role itself; of a role that is granted, that one; else whose the objects are, or who gets a privilege that is on
/// nothing.
fn subject_of(principals: &[Principal]) -> Option<&Principal> {
    let find = |who: Who| principals.iter().find(|principal| principal.who == who);
    find(Who::Subject).or_else(|| find(Who::Role)).or_else(|| find(Who::For)).or_else(|| find(Who::Grantee))
}

/// Kinds whose names count within their table only.
fn is_within_a_table(kind: &str) -> bool {
    matches!(kind, "COLUMN" | "POLICY" | "TRIGGER" | "RULE" | "CONSTRAINT")
}

fn principal_kind(action: &str, principal: &Principal) -> &'static str {
    match action {
        _ if principal.who == Who::Role => "ROLE",
        _ if action.contains("LOGIN") => "LOGIN",
        _ if action.contains("USER") || !principal.host.is_empty() || action == "SET PASSWORD" => "USER",
        _ => "ROLE",
    }
}

/// What is written, before what is read, before what is only named.
fn main_relation(relations: &[Relation], reads: bool) -> Option<&Relation> {
    let find = |wanted: &dyn Fn(&Relation) -> bool| relations.iter().find(|relation| wanted(relation));
    let read_first = reads.then(|| find(&|it| it.runs && !it.access.is_write())).flatten();
    read_first
        .or_else(|| find(&|it| it.runs && it.access.is_write()))
        .or_else(|| find(&|it| it.runs))
        .or_else(|| relations.first())
}

/// Whether PostgreSQL writes it without quotes: `quote_identifier`. Words that it keeps for itself it quotes.
fn is_plain_name(name: &[u8]) -> bool {
    let begins = name.first().is_some_and(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'$');
    begins && name.iter().all(is_plain) && !is_reserved(name)
}

/// PostgreSQL's words that are no names, or not of columns and tables alike: those of its keyword table that are not `unreserved`.
fn is_reserved(name: &[u8]) -> bool {
    let letter = name.first().map_or(0, |first| usize::from(first.wrapping_sub(b'a')));
    let of_letter = RESERVED_FROM.get(letter).zip(RESERVED_FROM.get(letter + 1));
    of_letter.is_some_and(|(from, to)| RESERVED[*from..*to].iter().any(|word| word.as_bytes() == name))
}

/// Where the words of each letter begin; the last is where they end.
static RESERVED_FROM: [usize; 27] = {
    let mut from = [RESERVED.len(); 27];
    let mut index = RESERVED.len();
    while index > 0 {
        index -= 1;
        let mut letter = 0;
        while letter <= (RESERVED[index].as_bytes()[0] - b'a') as usize {
            from[letter] = index;
            letter += 1;
        }
    }
    from
};

#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between", "bigint", "binary", "bit",
    "boolean", "both", "case", "cast", "char", "character", "check", "coalesce", "collate", "collation", "column", "concurrently", "constraint",
    "create", "cross", "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user",
    "dec", "decimal", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists", "extract", "false", "fetch", "float",
    "for", "foreign", "freeze", "from", "full", "grant", "greatest", "group", "grouping", "having", "ilike", "in", "initially", "inner", "inout",
    "int", "integer", "intersect", "interval", "into", "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit", "localtime",
    "localtimestamp", "national", "natural", "nchar", "none", "normalize", "not", "notnull", "null", "nullif", "numeric", "offset", "on", "only",
    "or", "order", "out", "outer", "overlaps", "overlay", "placing", "position", "precision", "primary", "real", "references", "returning",
    "right", "row", "select", "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric", "table", "tablesample", "then",
    "time", "timestamp", "to", "trailing", "treat", "trim", "true", "union", "unique", "user", "using", "values", "varchar", "variadic",
    "verbose", "when", "where", "window", "with", "xmlattributes", "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces",
    "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable",
];

/// Objects of the whole server: no database is put before their names.
pub fn is_server_wide(kind: &str) -> bool {
    matches!(
        kind,
        "CURSOR"
            | "PREPARED STATEMENT"
            | "DATABASE"
            | "TABLESPACE"
            | "ROLE"
            | "USER"
            | "LOGIN"
            | "GROUP"
            | "PARAMETER"
            | "SYSTEM"
            | "PLUGIN"
            | "COMPONENT"
            | "SONAME"
            | "SERVER AUDIT"
            | "SERVER AUDIT SPECIFICATION"
            | "SERVER ROLE"
            | "CREDENTIAL"
            | "ENDPOINT"
    )
}

/// What an object list shows of a statement: its targets, and the relations whose rows it touches.
pub fn listed<'a>(reading: &'a Reading, statement: &'a Statement) -> impl Iterator<Item = Listed<'a>> {
    let targets = reading.objects(statement).iter().filter(|object| object.part == Part::Target);
    let relations = reading.relations(statement).iter().filter(|relation| relation.runs);
    targets.filter(|object| !object.name.is_empty()).map(Listed::Object).chain(relations.map(Listed::Relation))
}

/// One entry of it.
#[derive(Debug, Clone, Copy)]
pub enum Listed<'a> {
    /// What is made, changed, removed, granted on.
    Object(&'a Object),
    /// What is read or written.
    Relation(&'a Relation),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_words_are_in_order() {
        assert!(RESERVED.is_sorted());
        assert!(RESERVED.iter().all(|word| is_reserved(word.as_bytes())));
        assert!(["", "orders", "zone", "_", "hour", "{", "Order"].iter().all(|word| !is_reserved(word.as_bytes())));
    }

    #[test]
    fn an_engines_word_is_an_action_or_its_beginning() {
        assert!(is_one(b"COPY", "COPY TO") && is_one(b"SELECT", "SELECT"));
        assert!(
            !is_one(b"SELECT", "SELECTED") && !is_one(b"", "SELECT") && !is_one(b"CREATE TABLE AS", "CREATE TABLE")
        );
    }
}
