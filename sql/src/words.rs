//! The words that the reader knows, and how a word of a text is found among them.
//!
//! One list for all dialects: whether a word is a keyword where it stands is the reader's business. [`Word::of`] looks a word up
//! in a table made at compile time, without regard to case and without allocating.

macro_rules! words {
    ($($word:ident),* $(,)?) => {
        /// A word that the reader knows, by its own spelling. `Other` is any other.
        #[allow(non_camel_case_types, missing_docs, clippy::upper_case_acronyms, reason = "the words as they are written")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Word { Other, $($word),* }

        const ALL: &[Word] = &[Word::Other, $(Word::$word),*];
        const NAMES: &[&str] = &["", $(stringify!($word)),*];
    };
}

/// Places of the table: a power of two, so sparse that a word which is not in it is mostly told by one empty place.
const PLACES: usize = 4096;

/// No word of the list is longer.
const WORD_BYTES_MAX: usize = 24;

const _: () = assert!(ALL.len() * 4 < PLACES, "the table must stay sparse");

/// Place to index into [`ALL`]; 0 is empty.
static TABLE: [u16; PLACES] = table();

impl Word {
    /// The word that `text` spells in any case, or `Other`.
    pub fn of(text: &[u8]) -> Word {
        if text.len() < 2 || text.len() > WORD_BYTES_MAX {
            return Word::Other;
        }
        let mut place = place(text);
        loop {
            let index = usize::from(TABLE[place & (PLACES - 1)]);
            if index == 0 || NAMES[index].as_bytes().eq_ignore_ascii_case(text) {
                return ALL[index];
            }
            place += 1;
        }
    }

    /// As it is written in upper case; empty for `Other`.
    pub const fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// Whether it is one of `words`.
    pub fn is_in(self, words: &[Word]) -> bool {
        words.contains(&self)
    }
}

/// Letters count alike in either case, and so do a few other bytes that no word holds.
const fn place(text: &[u8]) -> usize {
    let last = text.len() - 1;
    let (first, second) = ((text[0] & 0xDF) as usize, (text[1] & 0xDF) as usize);
    let (middle, end) = ((text[last.div_ceil(2)] & 0xDF) as usize, (text[last] & 0xDF) as usize);
    (first.wrapping_mul(0x1F35)
        ^ second.wrapping_mul(0x3D1)
        ^ middle.wrapping_mul(0x95)
        ^ end.wrapping_mul(0x2B)
        ^ last.wrapping_mul(0x107))
        & (PLACES - 1)
}

const fn table() -> [u16; PLACES] {
    let mut table = [0; PLACES];
    let mut index = 1;
    while index < NAMES.len() {
        let mut at = place(NAMES[index].as_bytes());
        while table[at & (PLACES - 1)] != 0 {
            at += 1;
        }
        table[at & (PLACES - 1)] = index as u16;
        index += 1;
    }
    table
}

#[rustfmt::skip]
words! {
    ABORT, ACCESS, ACCOUNT, ADD, ADMIN, AFTER, AGGREGATE, ALGORITHM, ALL, ALTER, ALWAYS, ANALYSE, ANALYZE, AND, ANY,
    APPLICATION, APPLY, ARRAY, AS, ASC, ASENSITIVE, ASSERTION, ASSIGNMENT, ASYMMETRIC, AT, ATTACH, ATTRIBUTE, AUDIT,
    AUTHENTICATED, AUTHENTICATION, AUTHID, AUTHORIZATION, AVAILABILITY, BACKUP, BEFORE, BEGIN, BERNOULLI, BETWEEN,
    BIGINT, BINARY, BINLOG, BLOCK, BODY, BOOLEAN, BOTH, BULK, BY, BYPASSRLS, CACHE, CALL, CALLED, CASCADE, CASCADED,
    CASE, CAST, CERTIFICATE, CHAIN, CHANGE, CHARACTER, CHARSET, CHECK, CHECKPOINT, CLASS, CLOSE, CLUSTER, CLUSTERED,
    COALESCE, COLLATE, COLLATION, COLUMN, COLUMNS, COMMENT, COMMENTS, COMMIT, COMMITTED, COMPRESSION, CONCURRENTLY,
    CONFIGURATION, CONFLICT, CONNECT, CONNECTION, CONSTRAINT, CONSTRAINTS, CONTAINED, CONTAINER, CONTENT, CONTEXT,
    CONTINUE, CONVERSION, COPY, COST, CREATE, CREATEDB, CREATEROLE, CREATEUSER, CREDENTIAL, CROSS, CRYPTOGRAPHIC,
    CUBE, CURRENT, CURRENT_CATALOG, CURRENT_DATE, CURRENT_ROLE, CURRENT_SCHEMA, CURRENT_TIME, CURRENT_TIMESTAMP,
    CURRENT_USER, CURSOR, CYCLE, DATA, DATABASE, DATABASES, DATAFILE, DATE, DBCC, DEALLOCATE, DEC, DECIMAL, DECLARE,
    DEFAULT, DEFAULTS, DEFERRABLE, DEFERRED, DEFINER, DELAYED, DELETE, DELIMITER, DELIMITERS, DENY, DEPENDS, DESC,
    DESCRIBE, DETACH, DICTIONARY, DIRECTORY, DISABLE, DISCARD, DISTINCT, DISTINCTROW, DISTRIBUTED, DO, DOCUMENT,
    DOMAIN, DOUBLE, DROP, DUAL, DUMPFILE, DUPLICATE, DYNAMIC, EACH, EDITION, ELSE, EMPTY, ENABLE, ENCODING,
    ENCRYPTED, ENCRYPTION, END, ENDPOINT, ENUM, ERROR, ERRORS, ESCAPE, EVENT, EVENTS, EXCEPT, EXCLUDE, EXCLUDING,
    EXCLUSIVE, EXEC, EXECUTE, EXISTS, EXPIRE, EXPLAIN, EXPLICIT, EXPRESSION, EXTENSION, EXTERNAL, EXTERNALLY,
    EXTRACT, FALSE, FAMILY, FETCH, FIELDS, FILE, FILTER, FINALIZE, FIRST, FLASHBACK, FLUSH, FOLLOWING, FOR, FORCE,
    FOREIGN, FORMAT, FORWARD, FOUND, FREEZE, FROM, FULL, FULLTEXT, FUNCTION, FUNCTIONS, GENERATED, GLOBAL, GO, GOTO,
    GRANT, GRANTED, GREATEST, GROUP, GROUPING, GROUPS, HANDLER, HASH, HAVING, HEADER, HELP, HIGH_PRIORITY, HISTORY,
    HOLD, HOST, IDENTIFIED, IDENTITY, IDENTITY_INSERT, IF, IGNORE, ILIKE, IMMEDIATE, IMMUTABLE, IMPLICIT, IMPORT, IN,
    INCLUDE, INCLUDING, INCREMENT, INDENT, INDEX, INDEXES, INFILE, INHERIT, INHERITS, INITIAL, INITIALLY, INLINE,
    INNER, INOUT, INPLACE, INPUT, INSENSITIVE, INSERT, INSTALL, INSTANCE, INSTEAD, INT, INTEGER, INTERSECT, INTERVAL,
    INTO, INVALIDATE, INVISIBLE, INVOKER, IS, ISNULL, ISOLATION, ISSUER, JAVA, JOIN, JSON, JSON_TABLE, KEEP, KEY,
    KEYS, KILL, LABEL, LANGUAGE, LARGE, LAST, LATERAL, LEADING, LEAKPROOF, LEAST, LEFT, LEVEL, LIBRARY, LIKE, LIMIT,
    LINES, LINK, LISTEN, LOAD, LOCAL, LOCALTIME, LOCALTIMESTAMP, LOCATION, LOCK, LOCKED, LOG, LOGFILE, LOGGED, LOGIN,
    LOGS, LOW_PRIORITY, MAPPING, MASK, MASKED, MASTER, MATCH, MATCHED, MATERIALIZED, MAXVALUE,
    MAX_CONNECTIONS_PER_HOUR, MAX_QUERIES_PER_HOUR, MAX_STATEMENT_TIME, MAX_UPDATES_PER_HOUR, MAX_USER_CONNECTIONS,
    MEMBER, MERGE, METHOD, MINUS, MINVALUE, MODE, MODEL, MODIFY, MOVE, MUST_CHANGE, NAME, NAMES, NATIONAL, NATURAL,
    NCHAR, NEVER, NEW, NEXT, NO, NOAUDIT, NOBYPASSRLS, NOCHECK, NOCREATEDB, NOCREATEROLE, NOCREATEUSER, NOINHERIT,
    NOLOCK, NOLOGIN, NONCLUSTERED, NONE, NOREPLICATION, NORMALIZE, NOSUPERUSER, NOT, NOTHING, NOTIFY, NOTNULL,
    NOWAIT, NO_WRITE_TO_BINLOG, NULL, NULLIF, NUMERIC, OBJECT, OF, OFF, OFFLINE, OFFSET, OIDS, OLD, OLD_PASSWORD, ON,
    ONLINE, ONLY, OPEN, OPENDATASOURCE, OPENJSON, OPENQUERY, OPENROWSET, OPENXML, OPERATOR, OPTIMIZE, OPTION,
    OPTIONALLY, OPTIONS, OR, ORDER, ORDINALITY, OTHERS, OUT, OUTER, OUTFILE, OUTLINE, OUTPUT, OVER, OVERLAPS,
    OVERLAY, OVERRIDING, OWNED, OWNER, PACKAGE, PARALLEL, PARAMETER, PARSER, PARTIAL, PARTITION, PASSING, PASSWORD,
    PASSWORD_LOCK_TIME, PERCENT, PERMISSIVE, PERSIST, PERSIST_ONLY, PIVOT, PLACING, PLAN, PLANS, PLUGIN, POLICY,
    POSITION, PRECEDING, PRECISION, PREPARE, PREPARED, PRESERVE, PRIMARY, PRINT, PRIOR, PRIVILEGES, PROC, PROCEDURAL,
    PROCEDURE, PROCEDURES, PROFILE, PROGRAM, PROVIDER, PROXY, PUBLIC, PUBLICATION, PURGE, QUALIFY, QUERY, QUEUE,
    QUICK, QUOTA, QUOTE, RAISE, RAISERROR, RANDOM, RANGE, READ, READS, REAL, REASSIGN, REBUILD, RECHECK, RECONFIGURE,
    RECURSIVE, REF, REFERENCES, REFERENCING, REFRESH, REGEXP, REINDEX, RELATIVE, RELEASE, RELOAD, RENAME, REPAIR,
    REPEATABLE, REPLACE, REPLICA, REPLICAS, REPLICATION, REQUIRE, RESET, RESOURCE, RESTART, RESTORE, RESTRICT,
    RESTRICTIVE, RETAIN, RETURN, RETURNING, RETURNS, REUSE, REVERT, REVOKE, RIGHT, RLIKE, ROLE, ROLES, ROLLBACK,
    ROLLUP, ROUTE, ROUTINE, ROUTINES, ROW, ROWCOUNT, ROWGUIDCOL, ROWS, RULE, SAMPLE, SAN, SAVE, SAVEPOINT, SCHEMA,
    SCHEMABINDING, SCHEMAS, SCOPED, SCROLL, SEARCH, SECURITY, SELECT, SEQUENCE, SEQUENCES, SERIALIZABLE, SERVER,
    SERVICE, SESSION, SESSION_USER, SET, SETOF, SETS, SETTINGS, SHARE, SHARED, SHOW, SHUTDOWN, SID, SIMILAR, SIMPLE,
    SIZE, SKIP, SLAVE, SMALLINT, SNAPSHOT, SOME, SONAME, SPATIAL, SPECIFICATION, SQL, SQL_BIG_RESULT,
    SQL_BUFFER_RESULT, SQL_CACHE, SQL_CALC_FOUND_ROWS, SQL_NO_CACHE, SQL_SMALL_RESULT, SSL, STABLE, STANDALONE,
    START, STARTING, STARTUP, STATEMENT, STATISTICS, STATUS, STDIN, STDOUT, STOP, STORAGE, STORED, STRAIGHT_JOIN,
    STRICT, STRIP, SUBJECT, SUBSCRIPTION, SUBSTRING, SUPERUSER, SUPPORT, SYMMETRIC, SYNONYM, SYSID, SYSTEM,
    SYSTEM_USER, TABLE, TABLES, TABLESAMPLE, TABLESPACE, TEMP, TEMPLATE, TEMPORARY, TERMINATED, TEXT, THEN, THROW,
    TIES, TIME, TIMESTAMP, TO, TOP, TRAILING, TRAN, TRANSACTION, TRANSFER, TRANSFORM, TREAT, TRIGGER, TRIGGERS, TRIM,
    TRUE, TRUNCATE, TRUSTED, TRY, TYPE, TYPES, UESCAPE, UNBOUNDED, UNCOMMITTED, UNDEFINED, UNDO, UNENCRYPTED,
    UNINSTALL, UNION, UNIQUE, UNKNOWN, UNLIMITED, UNLISTEN, UNLOAD, UNLOCK, UNLOGGED, UNPIVOT, UNTIL, UPDATE,
    UPDATETEXT, UPSERT, USAGE, USE, USER, USERS, USING, UTF8, VACUUM, VALID, VALIDATE, VALIDATOR, VALUE, VALUES,
    VARCHAR, VARIABLE, VARIADIC, VARYING, VERBOSE, VERSION, VIA, VIEW, VIEWS, VISIBLE, VOLATILE, WAITFOR, WHEN,
    WHERE, WHILE, WINDOW, WITH, WITHIN, WITHOUT, WITNESS, WORK, WRAPPER, WRITE, WRITETEXT, X509, XA, XML, XMLELEMENT,
    XMLEXISTS, XMLFOREST, XMLPARSE, XMLPI, XMLROOT, XMLSERIALIZE, XMLTABLE, YES, ZONE,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_any_case() {
        for (word, name) in ALL.iter().zip(NAMES).skip(1) {
            assert!(name.len() <= WORD_BYTES_MAX, "{name}");
            assert_eq!(Word::of(name.as_bytes()), *word);
            assert_eq!(Word::of(name.to_ascii_lowercase().as_bytes()), *word);
            assert_eq!(word.name(), *name);
        }
    }

    #[test]
    fn other_words_are_none() {
        for other in [&b""[..], b"x", b"selec", b"selectt", b"orders", b"public_", b"\xff\xff", b"tabl\x05"] {
            assert_eq!(Word::of(other), Word::Other);
        }
    }
}
