//! What the rules of the [category table](super::category) ask for beside the action, answered from a statement's text.
//!
//! What the text alone answers is found once for each text and kept with its reading; what depends on the row (who did it, how many
//! rows came of it) is added by [`super::meaning`].

use std::ops::{BitOr, BitOrAssign};

use sealtrail_sql::{
    Access, Dialect, Direction, Kind, Means, Name, Options, Part, Reading, Scope, Statement, Tokens, Value, Who,
    name::normalized,
};

use super::audit::{self, Effect};

/// A set of answers; each constant is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts(u32);

impl Facts {
    /// Nothing is asked for.
    pub const NONE: Facts = Facts(0);
    /// Something is taken out of the audit.
    pub const AUDIT_OFF: Facts = Facts(1);
    /// The audit's own settings, extensions, plugins or functions are changed.
    pub const AUDIT_CHANGED: Facts = Facts(1 << 1);
    /// Rows are written to a table in which the engine keeps accounts and rights.
    pub const ACCOUNT_TABLE: Facts = Facts(1 << 2);
    /// A role gets an end, and none of the attributes that make it a master of the server.
    pub const TIME_BOUND: Facts = Facts(1 << 3);
    /// Masks are taken off: UNMASK is granted, masking is removed.
    pub const UNMASK: Facts = Facts(1 << 4);
    /// Row security of a table is switched.
    pub const ROW_SECURITY: Facts = Facts(1 << 5);
    /// Something gets another owner.
    pub const OWNER: Facts = Facts(1 << 6);
    /// A parameter of the server, or the default of a role or a database, is set.
    pub const SERVER_SETTING: Facts = Facts(1 << 7);
    /// A parameter of the session that protects is set.
    pub const SECURITY_SETTING: Facts = Facts(1 << 8);
    /// Data leaves as a whole, to a file of the server's host, a program or an address.
    pub const LEAVES_HOST: Facts = Facts(1 << 9);
    /// Data leaves as a whole, to the client.
    pub const LEAVES: Facts = Facts(1 << 10);
    /// Data enters as a whole.
    pub const ENTERS: Facts = Facts(1 << 11);
    /// A program runs on the server's host.
    pub const PROGRAM: Facts = Facts(1 << 12);
    /// The object is temporary.
    pub const TEMPORARY: Facts = Facts(1 << 13);
    /// At least `bulk_rows` rows were read.
    pub const BULK: Facts = Facts(1 << 14);
    /// By an account or an application that counts as a person's.
    pub const BY_ADMIN: Facts = Facts(1 << 15);

    /// Whether all of `other` are in it.
    pub const fn has(self, other: Facts) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those that are also in `other`.
    pub const fn and(self, other: Facts) -> Facts {
        Facts(self.0 & other.0)
    }

    /// The fact in a few words, as the table of the documentation has it.
    pub const fn words(self) -> &'static str {
        match self {
            Facts::AUDIT_OFF => "takes something out of the audit",
            Facts::AUDIT_CHANGED => "changes how the audit is set up",
            Facts::ACCOUNT_TABLE => "writes a table of accounts and rights",
            Facts::TIME_BOUND => "gives access with an end",
            Facts::UNMASK => "takes masks off",
            Facts::ROW_SECURITY => "switches row security",
            Facts::OWNER => "changes the owner",
            Facts::SERVER_SETTING => "sets a parameter beyond the session",
            Facts::SECURITY_SETTING => "sets a parameter that protects",
            Facts::LEAVES_HOST => "writes data to a file, a program or an address",
            Facts::LEAVES => "hands data out as a whole",
            Facts::ENTERS => "takes data in as a whole",
            Facts::PROGRAM => "runs a program on the host",
            Facts::TEMPORARY => "temporary object",
            Facts::BULK => "`bulk_rows` rows or more",
            Facts::BY_ADMIN => "by an administrator",
            _ => "",
        }
    }
}

impl BitOr for Facts {
    type Output = Facts;

    fn bitor(self, other: Facts) -> Facts {
        Facts(self.0 | other.0)
    }
}

impl BitOrAssign for Facts {
    fn bitor_assign(&mut self, other: Facts) {
        self.0 |= other.0;
    }
}

/// For each statement of a reading, in their order.
pub fn of_text(dialect: Dialect, text: &[u8], reading: &Reading, facts: &mut Vec<Facts>) {
    facts.clear();
    let look = Look { dialect, text, reading };
    facts.extend(reading.statements.iter().map(|statement| look.facts(statement)));
}

/// Writing to these is giving and taking rights without GRANT.
pub fn is_account_table(database_or_schema: &[u8], name: &[u8]) -> bool {
    const MYSQL: [&[u8]; 14] = [
        b"user",
        b"db",
        b"host",
        b"global_priv",
        b"tables_priv",
        b"columns_priv",
        b"procs_priv",
        b"proxies_priv",
        b"roles_mapping",
        b"role_edges",
        b"default_roles",
        b"global_grants",
        b"password_history",
        b"servers",
    ];
    const POSTGRES: [&[u8]; 4] = [b"pg_authid", b"pg_auth_members", b"pg_shadow", b"pg_db_role_setting"];
    const ORACLE: [&[u8]; 3] = [b"user$", b"sysauth$", b"objauth$"];
    let is_in = |names: &[&[u8]]| names.iter().any(|table| name.eq_ignore_ascii_case(table));
    if database_or_schema.eq_ignore_ascii_case(b"mysql") {
        return is_in(&MYSQL);
    }
    is_in(&POSTGRES) || is_in(&ORACLE)
}

/// One text under examination.
struct Look<'a> {
    dialect: Dialect,
    text: &'a [u8],
    reading: &'a Reading,
}

impl Look<'_> {
    fn facts(&self, statement: &Statement) -> Facts {
        self.of_action(statement)
            | self.of_options(statement)
            | self.of_transfers(statement)
            | self.of_settings(statement)
            | self.of_roles(statement)
            | self.of_relations(statement)
            | self.of_objects(statement)
            | self.of_functions(statement)
    }

    fn of_action(&self, statement: &Statement) -> Facts {
        let action = statement.action;
        let is_loading = matches!(action, "INSTALL" | "UNINSTALL");
        if is_loading && audit::is_auditor(statement.span.of(self.text)) {
            return if action == "INSTALL" { Facts::AUDIT_CHANGED } else { Facts::AUDIT_OFF | Facts::AUDIT_CHANGED };
        }
        let is_auditing = action.contains("SERVER AUDIT") || action.contains("AUDIT SPECIFICATION");
        if is_auditing && (action.starts_with("DROP") || self.says_state_off(statement)) {
            return Facts::AUDIT_OFF | Facts::AUDIT_CHANGED;
        }
        Facts::NONE
    }

    /// `WITH (STATE = OFF)`
    fn says_state_off(&self, statement: &Statement) -> bool {
        let text = statement.span.of(self.text);
        let tokens = Tokens::new(self.dialect, text).take(FUNCTION_TOKENS_MAX);
        let words: Vec<&[u8]> = tokens.map(|token| token.span.of(text)).collect();
        let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
        words.windows(3).any(|three| is(three[0], b"STATE") && is(three[1], b"=") && is(three[2], b"OFF"))
    }

    fn of_options(&self, statement: &Statement) -> Facts {
        let mut facts = Facts::NONE;
        if statement.options.has(Options::ROW_SECURITY_ON) || statement.options.has(Options::ROW_SECURITY_OFF) {
            facts |= Facts::ROW_SECURITY;
        }
        if statement.options.has(Options::TEMPORARY) {
            facts |= Facts::TEMPORARY;
        }
        facts
    }

    fn of_transfers(&self, statement: &Statement) -> Facts {
        let mut facts = Facts::NONE;
        for transfer in self.reading.transfers(statement) {
            facts |= match (transfer.direction, transfer.means) {
                (Direction::Out, Means::Program) => Facts::LEAVES_HOST | Facts::PROGRAM,
                (Direction::Out, Means::File | Means::Remote) => Facts::LEAVES_HOST,
                (Direction::Out, Means::Client | Means::Dump) => Facts::LEAVES,
                (Direction::In, Means::Program) => Facts::ENTERS | Facts::PROGRAM,
                (Direction::In, _) => Facts::ENTERS,
            };
        }
        facts
    }

    fn of_settings(&self, statement: &Statement) -> Facts {
        let mut facts = Facts::NONE;
        for setting in self.reading.settings(statement) {
            let parameter = normalized(self.dialect, setting.parameter.of(self.text));
            let parameter = if setting.canonical.is_empty() { &*parameter } else { setting.canonical.as_bytes() };
            facts |= match audit::setting(parameter, setting.scope, setting.value, self.text) {
                Effect::Off => Facts::AUDIT_OFF | Facts::AUDIT_CHANGED,
                Effect::Changed => Facts::AUDIT_CHANGED,
                Effect::None => Facts::NONE,
            };
            facts |= match setting.scope {
                Scope::Server | Scope::Persistent | Scope::Default => Facts::SERVER_SETTING,
                Scope::Session | Scope::Transaction if protects(parameter) => Facts::SECURITY_SETTING,
                Scope::Session | Scope::Transaction | Scope::Other => Facts::NONE,
            };
        }
        facts
    }

    fn of_roles(&self, statement: &Statement) -> Facts {
        let mut facts = Facts::NONE;
        let attributes = self.reading.attributes(statement);
        let gives = |name: &str| attributes.iter().any(|it| it.name == name && it.value == Value::On);
        let has_end = attributes.iter().any(|it| match it.value {
            Value::Text(span) => it.name == "VALID UNTIL" && !is_never(span.of(self.text)),
            _ => false,
        });
        if has_end && !MASTERS.iter().any(|name| gives(name)) {
            facts |= Facts::TIME_BOUND;
        }
        let has_owner = self.reading.principals(statement).iter().any(|principal| principal.who == Who::Owner);
        if has_owner && statement.action.starts_with("ALTER") {
            facts |= Facts::OWNER;
        }
        let unmasks = |name: &[u8]| name.eq_ignore_ascii_case(b"UNMASK");
        if statement.action.starts_with("GRANT")
            && self.reading.privileges(statement).iter().any(|it| unmasks(it.name.of(self.text)))
        {
            facts |= Facts::UNMASK;
        }
        facts
    }

    fn of_relations(&self, statement: &Statement) -> Facts {
        let mut facts = Facts::NONE;
        let written = self.reading.relations(statement).iter().filter(|it| it.runs && it.access.is_write());
        for relation in written {
            let (place, name) = self.place_and_name(relation.name);
            if is_account_table(&place, &name) {
                facts |= Facts::ACCOUNT_TABLE;
            }
            if audit::is_audit_table(&name) {
                let adds = relation.access == Access::Insert;
                facts |= if adds { Facts::AUDIT_CHANGED } else { Facts::AUDIT_OFF | Facts::AUDIT_CHANGED };
            }
            if name.eq_ignore_ascii_case(b"pg_settings") {
                facts |= Facts::SECURITY_SETTING;
            }
        }
        facts
    }

    fn of_objects(&self, statement: &Statement) -> Facts {
        let targets = self.reading.objects(statement).iter().filter(|object| object.part == Part::Target);
        for object in targets {
            let is_loaded = matches!(object.kind, "EXTENSION" | "PLUGIN" | "COMPONENT" | "SONAME" | "LIBRARY");
            if is_loaded && audit::is_auditor(object.name.object.of(self.text)) {
                let goes = statement.action.starts_with("DROP") || statement.action.starts_with("UNINSTALL");
                return if goes { Facts::AUDIT_OFF | Facts::AUDIT_CHANGED } else { Facts::AUDIT_CHANGED };
            }
        }
        Facts::NONE
    }

    /// Functions and procedures that are called by name; looked for only where their names can be.
    fn of_functions(&self, statement: &Statement) -> Facts {
        let text = statement.span.of(self.text);
        let may_call = matches!(statement.action, "SELECT" | "CALL" | "EXECUTE" | "EXEC" | "DO" | "BEGIN" | "SET" | "");
        if !may_call || !NEEDLES.iter().any(|needle| memchr::memmem::find(text, needle).is_some()) {
            return Facts::NONE;
        }
        let tokens: Vec<_> = Tokens::new(self.dialect, text).take(FUNCTION_TOKENS_MAX).collect();
        let mut facts = Facts::NONE;
        for (index, token) in tokens.iter().enumerate() {
            if token.kind != Kind::Word {
                continue;
            }
            // `package.function` as one text, where the dot stands between.
            let start = match index.checked_sub(2).and_then(|before| tokens.get(before..index)) {
                Some([name, dot]) if dot.span.of(text) == b"." => name.span.start,
                _ => token.span.start,
            };
            let whole = text.get(start as usize..token.span.end as usize).unwrap_or_default();
            let is = |names: &[&[u8]]| {
                names
                    .iter()
                    .any(|name| whole.eq_ignore_ascii_case(name) || token.span.of(text).eq_ignore_ascii_case(name))
            };
            if is(&audit::FUNCTIONS_OFF) {
                facts |= Facts::AUDIT_OFF | Facts::AUDIT_CHANGED;
            } else if is(&audit::FUNCTIONS_CHANGED) {
                facts |= Facts::AUDIT_CHANGED;
            } else if is(&UNMASKING) {
                facts |= Facts::UNMASK;
            } else if is(&SERVER_PROCEDURES) {
                facts |= Facts::SERVER_SETTING;
            }
        }
        facts
    }

    /// The schema or database that a relation is in, as written, and its name.
    fn place_and_name(&self, name: Name) -> (Vec<u8>, Vec<u8>) {
        let place = if name.schema.is_empty() { name.database } else { name.schema };
        let part = |span: sealtrail_sql::Span| normalized(self.dialect, span.of(self.text)).into_owned();
        (part(place), part(name.object))
    }
}

/// What a text must hold for its functions to be looked at.
const NEEDLES: [&[u8]; 8] =
    [b"audit", b"AUDIT", b"dbms_", b"DBMS_", b"anon.", b"sp_configure", b"SP_CONFIGURE", b"rds_set_configuration"];

/// Words of a statement in which functions are looked for.
const FUNCTION_TOKENS_MAX: usize = 4096;

/// Of PostgreSQL's extension anon and of Oracle's redaction.
const UNMASKING: [&[u8]; 6] = [
    b"anon.remove_masks_for_all_columns",
    b"anon.remove_masks_for_all_roles",
    b"anon.stop_dynamic_masking",
    b"dbms_redact.disable_policy",
    b"dbms_redact.drop_policy",
    b"dbms_rls.drop_policy",
];

const SERVER_PROCEDURES: [&[u8]; 2] = [b"sp_configure", b"rds_set_configuration"];

/// Attributes that make a role a master of the server, or of other roles.
const MASTERS: [&str; 4] = ["SUPERUSER", "CREATEROLE", "BYPASSRLS", "REPLICATION"];

fn is_never(value: &[u8]) -> bool {
    let inner = value.trim_ascii_start();
    inner.get(..2).is_some_and(|_| inner.windows(8).any(|part| part.eq_ignore_ascii_case(b"infinity")))
}

/// Parameters of a session that stand between a person and data, or between a statement and what must know of it.
fn protects(parameter: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [
        b"row_security",
        b"session_replication_role",
        b"password_encryption",
        b"allow_system_table_mods",
        b"sql_log_bin",
        b"anon.transparent_dynamic_masking",
    ];
    NAMES.iter().any(|name| parameter.eq_ignore_ascii_case(name))
}
