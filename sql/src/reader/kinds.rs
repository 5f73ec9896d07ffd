//! Kinds of objects, in one or several words, with the actions that they make.

use super::Read;
use crate::dialect::Engine;
use crate::words::Word;

/// A kind of object and the actions on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObjectKind {
    pub name: &'static str,
    pub create: &'static str,
    pub alter: &'static str,
    pub drop: &'static str,
}

macro_rules! kinds {
    ($($constant:ident = $name:literal,)*) => {
        $(pub(super) const $constant: ObjectKind = ObjectKind {
            name: $name,
            create: concat!("CREATE ", $name),
            alter: concat!("ALTER ", $name),
            drop: concat!("DROP ", $name),
        };)*
    };
}

kinds! {
    ACCESS_METHOD = "ACCESS METHOD",
    AGGREGATE = "AGGREGATE",
    CAST = "CAST",
    COLLATION = "COLLATION",
    COLUMN = "COLUMN",
    CONSTRAINT = "CONSTRAINT",
    CONVERSION = "CONVERSION",
    DATABASE = "DATABASE",
    DATABASE_LINK = "DATABASE LINK",
    DIRECTORY = "DIRECTORY",
    DOMAIN = "DOMAIN",
    EVENT = "EVENT",
    EVENT_TRIGGER = "EVENT TRIGGER",
    EXTENSION = "EXTENSION",
    FOREIGN_DATA_WRAPPER = "FOREIGN DATA WRAPPER",
    FOREIGN_TABLE = "FOREIGN TABLE",
    FUNCTION = "FUNCTION",
    INDEX = "INDEX",
    LANGUAGE = "LANGUAGE",
    LARGE_OBJECT = "LARGE OBJECT",
    LIBRARY = "LIBRARY",
    LOGIN = "LOGIN",
    MATERIALIZED_VIEW = "MATERIALIZED VIEW",
    OPERATOR = "OPERATOR",
    OPERATOR_CLASS = "OPERATOR CLASS",
    OPERATOR_FAMILY = "OPERATOR FAMILY",
    PACKAGE = "PACKAGE",
    PARAMETER = "PARAMETER",
    POLICY = "POLICY",
    PROCEDURE = "PROCEDURE",
    PROFILE = "PROFILE",
    PUBLICATION = "PUBLICATION",
    ROLE = "ROLE",
    ROUTINE = "ROUTINE",
    RULE = "RULE",
    SCHEMA = "SCHEMA",
    SEQUENCE = "SEQUENCE",
    SERVER = "SERVER",
    STATISTICS = "STATISTICS",
    SUBSCRIPTION = "SUBSCRIPTION",
    SYNONYM = "SYNONYM",
    TABLE = "TABLE",
    TABLESPACE = "TABLESPACE",
    TEXT_SEARCH_CONFIGURATION = "TEXT SEARCH CONFIGURATION",
    TEXT_SEARCH_DICTIONARY = "TEXT SEARCH DICTIONARY",
    TEXT_SEARCH_PARSER = "TEXT SEARCH PARSER",
    TEXT_SEARCH_TEMPLATE = "TEXT SEARCH TEMPLATE",
    TRANSFORM = "TRANSFORM",
    TRIGGER = "TRIGGER",
    TYPE = "TYPE",
    USER = "USER",
    USER_MAPPING = "USER MAPPING",
    VIEW = "VIEW",
    SERVER_ROLE = "SERVER ROLE",
    APPLICATION_ROLE = "APPLICATION ROLE",
    SERVER_AUDIT = "SERVER AUDIT",
    SERVER_AUDIT_SPECIFICATION = "SERVER AUDIT SPECIFICATION",
    DATABASE_AUDIT_SPECIFICATION = "DATABASE AUDIT SPECIFICATION",
    SECURITY_POLICY = "SECURITY POLICY",
    CREDENTIAL = "CREDENTIAL",
    CERTIFICATE = "CERTIFICATE",
    ENDPOINT = "ENDPOINT",
    AUDIT_POLICY = "AUDIT POLICY",
    RESOURCE_GROUP = "RESOURCE GROUP",
}

impl Read<'_, '_> {
    /// The kind that is written here; goes past its words.
    pub(super) fn object_kind(&mut self) -> Option<ObjectKind> {
        let kind = self.several_words_kind().or_else(|| self.one_word_kind());
        if kind.is_some() {
            self.bump();
        }
        kind
    }

    /// Stands at the last word then.
    fn several_words_kind(&mut self) -> Option<ObjectKind> {
        let kind = match (self.word(), self.next_word()) {
            (Word::MATERIALIZED, Word::VIEW) => MATERIALIZED_VIEW,
            (Word::FOREIGN, Word::TABLE) => FOREIGN_TABLE,
            (Word::FOREIGN, Word::SERVER) => SERVER,
            (Word::EVENT, Word::TRIGGER) => EVENT_TRIGGER,
            (Word::ACCESS, Word::METHOD) => ACCESS_METHOD,
            (Word::OPERATOR, Word::CLASS) => OPERATOR_CLASS,
            (Word::OPERATOR, Word::FAMILY) => OPERATOR_FAMILY,
            (Word::USER, Word::MAPPING) => USER_MAPPING,
            (Word::LARGE, Word::OBJECT) => LARGE_OBJECT,
            (Word::PROCEDURAL, Word::LANGUAGE) => LANGUAGE,
            (Word::DATABASE, Word::LINK) => DATABASE_LINK,
            (Word::SERVER, Word::ROLE) => SERVER_ROLE,
            (Word::APPLICATION, Word::ROLE) => APPLICATION_ROLE,
            (Word::SECURITY, Word::POLICY) => SECURITY_POLICY,
            (Word::AUDIT, Word::POLICY) => AUDIT_POLICY,
            (Word::RESOURCE, Word::GROUP) => RESOURCE_GROUP,
            (Word::FOREIGN, Word::DATA) => return self.third(Word::WRAPPER, FOREIGN_DATA_WRAPPER),
            (Word::TEXT, Word::SEARCH) => return self.text_search(),
            (Word::SERVER, Word::AUDIT) => {
                return Some(self.maybe_third(Word::SPECIFICATION, SERVER_AUDIT, SERVER_AUDIT_SPECIFICATION));
            }
            (Word::DATABASE, Word::AUDIT) => return self.third(Word::SPECIFICATION, DATABASE_AUDIT_SPECIFICATION),
            _ => return None,
        };
        self.bump();
        Some(kind)
    }

    fn third(&mut self, word: Word, kind: ObjectKind) -> Option<ObjectKind> {
        self.bump();
        self.bump();
        (self.word() == word).then_some(kind)
    }

    fn maybe_third(&mut self, word: Word, without: ObjectKind, with: ObjectKind) -> ObjectKind {
        self.bump();
        if self.next_word() != word {
            return without;
        }
        self.bump();
        with
    }

    fn text_search(&mut self) -> Option<ObjectKind> {
        self.bump();
        self.bump();
        match self.word() {
            Word::CONFIGURATION => Some(TEXT_SEARCH_CONFIGURATION),
            Word::DICTIONARY => Some(TEXT_SEARCH_DICTIONARY),
            Word::PARSER => Some(TEXT_SEARCH_PARSER),
            Word::TEMPLATE => Some(TEXT_SEARCH_TEMPLATE),
            _ => None,
        }
    }

    fn one_word_kind(&self) -> Option<ObjectKind> {
        Some(match self.word() {
            Word::TABLE => TABLE,
            Word::VIEW => VIEW,
            Word::INDEX => INDEX,
            Word::SEQUENCE => SEQUENCE,
            Word::FUNCTION => FUNCTION,
            Word::PROCEDURE | Word::PROC => PROCEDURE,
            Word::ROUTINE => ROUTINE,
            Word::AGGREGATE => AGGREGATE,
            Word::TRIGGER => TRIGGER,
            Word::RULE => RULE,
            Word::POLICY => POLICY,
            // In MySQL a schema is a database.
            Word::SCHEMA if self.is(Engine::Mysql) => DATABASE,
            Word::SCHEMA => SCHEMA,
            Word::DATABASE => DATABASE,
            Word::TABLESPACE => TABLESPACE,
            Word::EXTENSION => EXTENSION,
            Word::LANGUAGE => LANGUAGE,
            Word::TYPE => TYPE,
            Word::DOMAIN => DOMAIN,
            Word::CAST => CAST,
            Word::COLLATION => COLLATION,
            Word::CONVERSION => CONVERSION,
            Word::STATISTICS => STATISTICS,
            Word::PUBLICATION => PUBLICATION,
            Word::SUBSCRIPTION => SUBSCRIPTION,
            Word::SERVER => SERVER,
            Word::TRANSFORM => TRANSFORM,
            Word::OPERATOR => OPERATOR,
            Word::COLUMN => COLUMN,
            Word::CONSTRAINT => CONSTRAINT,
            Word::ROLE => ROLE,
            // PostgreSQL has only roles: its command tags say so.
            Word::USER | Word::GROUP if self.is(Engine::Postgres) => ROLE,
            Word::USER => USER,
            Word::LOGIN => LOGIN,
            Word::EVENT => EVENT,
            Word::PARAMETER => PARAMETER,
            Word::PACKAGE => PACKAGE,
            Word::PROFILE => PROFILE,
            Word::SYNONYM => SYNONYM,
            Word::DIRECTORY => DIRECTORY,
            Word::LIBRARY => LIBRARY,
            Word::CREDENTIAL => CREDENTIAL,
            Word::CERTIFICATE => CERTIFICATE,
            Word::ENDPOINT => ENDPOINT,
            _ => return None,
        })
    }
}
