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

/// How many there are, [`Word::Other`] among them.
pub(crate) const COUNT: usize = ALL.len();

/// Places of the table: a power of two, so sparse that a word which is not in it is mostly told by one empty place.
const PLACES: usize = 4096;

/// No word of the list is longer.
const WORD_BYTES_MAX: usize = 24;

const _: () = assert!(ALL.len() * 4 < PLACES, "the table must stay sparse");

/// Place to index into [`ALL`]; 0 is empty.
static TABLE: [u16; PLACES] = table();

/// The [`Key`] of each word.
static KEYS: [Key; COUNT] = keys();

/// A word's bytes without regard to case, filled up with zeros. Of the bytes that words are made of, no two but the two cases of a
/// letter become equal by [`WITHOUT_CASE`].
type Key = [u64; WORD_BYTES_MAX / 8];

/// Takes the bit away in which the cases of a letter differ.
const WITHOUT_CASE: u64 = 0xDFDF_DFDF_DFDF_DFDF;

impl Word {
    /// The word that `text` spells in any case, or `Other`.
    pub fn of(text: &[u8]) -> Word {
        Word::at(text, text.len())
    }

    /// The word that the first `len` bytes of `text` spell. Faster where `text` is longer: its bytes need not be copied then.
    #[inline]
    pub(crate) fn at(text: &[u8], len: usize) -> Word {
        if !(2..=WORD_BYTES_MAX).contains(&len) {
            return Word::Other;
        }
        let key = match text.first_chunk::<WORD_BYTES_MAX>() {
            Some(bytes) => key(bytes, len),
            None => {
                let mut bytes = [0; WORD_BYTES_MAX];
                bytes[..len].copy_from_slice(&text[..len]);
                key(&bytes, len)
            }
        };
        let mut place = place(key);
        loop {
            let index = usize::from(TABLE[place % PLACES]);
            if index == 0 || same(&KEYS[index], key) {
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

/// Number by number: as a whole they would go through memory first.
#[inline]
fn same(one: &Key, other: Key) -> bool {
    one[0] == other[0] && one[1] == other[1] && one[2] == other[2]
}

/// The key of the first `len` bytes, which are one at least.
#[inline]
const fn key(bytes: &[u8; WORD_BYTES_MAX], len: usize) -> Key {
    let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3, c4, c5, c6, c7] = *bytes;
    let first = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]) & WITHOUT_CASE;
    if len <= 8 {
        return [first & first_bytes(len), 0, 0];
    }
    let second = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]) & WITHOUT_CASE;
    if len <= 16 {
        return [first, second & first_bytes(len - 8), 0];
    }
    let third = u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]) & WITHOUT_CASE;
    [first, second, third & first_bytes(len - 16)]
}

/// Ones in the first bytes, one to eight, of a little-endian number.
const fn first_bytes(count: usize) -> u64 {
    u64::MAX >> (64 - 8 * count)
}

/// Multiplicative hashing: the upper bits depend on all of the key's.
#[inline]
const fn place(key: Key) -> usize {
    let mixed = (key[0] ^ key[1].rotate_left(21) ^ key[2].rotate_left(42)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 52) as usize
}

const fn keys() -> [Key; COUNT] {
    let mut keys = [[0; WORD_BYTES_MAX / 8]; COUNT];
    let mut index = 1;
    while index < COUNT {
        let (name, mut bytes, mut at) = (NAMES[index].as_bytes(), [0; WORD_BYTES_MAX], 0);
        while at < name.len() {
            bytes[at] = name[at];
            at += 1;
        }
        keys[index] = key(&bytes, name.len());
        index += 1;
    }
    keys
}

const fn table() -> [u16; PLACES] {
    let keys = keys();
    let mut table = [0; PLACES];
    let mut index = 1;
    while index < COUNT {
        let mut at = place(keys[index]);
        while table[at % PLACES] != 0 {
            at += 1;
        }
        table[at % PLACES] = index as u16;
        index += 1;
    }
    table
}

#[rustfmt::skip]
words! {
    ABORT, ACCESS, ACCOUNT, ADD, ADMIN, ADMINISTER, AFTER, AGGREGATE, ALGORITHM, ALL, ALSO, ALTER, ALWAYS, ANALYSE,
    ANALYZE, AND, ANY, APPLICATION, APPLY, ARRAY, AS, ASC, ASENSITIVE, ASSEMBLY, ASSERTION, ASSIGNMENT, ASSOCIATE,
    ASYMMETRIC, AT, ATOMIC, ATTACH, ATTRIBUTE, AUDIT, AUTHENTICATED, AUTHENTICATION, AUTHID, AUTHORIZATION,
    AVAILABILITY, BACKUP, BEFORE, BEGIN, BERNOULLI, BETWEEN, BIGFILE, BIGINT, BINARY, BINLOG, BITMAP, BLOCK, BODY,
    BOOLEAN, BOTH, BREADTH, BULK, BY, BYPASSRLS, CACHE, CALL, CALLED, CASCADE, CASCADED, CASE, CAST, CATALOG, CATCH,
    CERTIFICATE, CHAIN, CHANGE, CHARACTER, CHARACTERISTICS, CHARSET, CHECK, CHECKPOINT, CIPHER, CLASS, CLOSE,
    CLUSTER, CLUSTERED, COALESCE, COLLATE, COLLATION, COLUMN, COLUMNS, COLUMNSTORE, COMMENT, COMMENTS, COMMIT,
    COMMITTED, COMPONENT, COMPRESSION, CONCURRENTLY, CONFIGURATION, CONFLICT, CONNECT, CONNECTION, CONSTRAINT,
    CONSTRAINTS, CONTAINED, CONTAINER, CONTENT, CONTEXT, CONTINUE, CONVERSION, CONVERT, COPY, COST, CREATE, CREATEDB,
    CREATEROLE, CREATEUSER, CREDENTIAL, CROSS, CRYPTOGRAPHIC, CUBE, CURRENT, CURRENT_CATALOG, CURRENT_DATE,
    CURRENT_ROLE, CURRENT_SCHEMA, CURRENT_TIME, CURRENT_TIMESTAMP, CURRENT_USER, CURSOR, CYCLE, DATA, DATABASE,
    DATABASES, DATAFILE, DATE, DBCC, DBLINK, DBLINK_EXEC, DEALLOCATE, DEC, DECIMAL, DECLARE, DEFAULT, DEFAULTS,
    DEFAULT_DATABASE, DEFAULT_SCHEMA, DEFERRABLE, DEFERRED, DEFINER, DELAYED, DELEGATE, DELEGATED, DELETE, DELIMITER,
    DELIMITERS, DENY, DEPENDENCY, DEPENDS, DEPTH, DESC, DESCRIBE, DETACH, DICTIONARY, DIRECTORY, DISABLE, DISCARD,
    DISCONNECT, DISTINCT, DISTINCTROW, DISTRIBUTED, DO, DOCUMENT, DOMAIN, DOUBLE, DROP, DUAL, DUMPFILE, DUPLICATE,
    DYNAMIC, EACH, EDITION, EDITIONABLE, ELSE, EMPTY, ENABLE, ENCODING, ENCRYPTED, ENCRYPTION, END, ENDPOINT, ENUM,
    ERROR, ERRORS, ESCAPE, EVENT, EVENTS, EXCEPT, EXCLUDE, EXCLUDING, EXCLUSIVE, EXEC, EXECUTE, EXISTS, EXPIRE,
    EXPLAIN, EXPLICIT, EXPRESSION, EXTENDED, EXTENSION, EXTERNAL, EXTERNALLY, EXTRACT, FALSE, FAMILY, FETCH, FIELDS,
    FILE, FILTER, FINALIZE, FIRST, FLASHBACK, FLUSH, FOLLOWING, FOR, FORCE, FOREIGN, FORMAT, FORWARD, FOUND, FREEZE,
    FROM, FULL, FULLTEXT, FUNCTION, FUNCTIONS, GENERATED, GET, GLOBAL, GLOBALLY, GO, GOTO, GRANT, GRANTED, GREATEST,
    GROUP, GROUPING, GROUPS, GROUP_REPLICATION, HANDLER, HASH, HAVING, HEADER, HELP, HIGH_PRIORITY, HISTORY, HOLD,
    HOLDLOCK, HOST, IDENTIFIED, IDENTITY, IDENTITY_INSERT, IF, IGNORE, ILIKE, IMMEDIATE, IMMUTABLE, IMPLICIT, IMPORT,
    IN, INCLUDE, INCLUDING, INCREMENT, INDENT, INDEX, INDEXES, INFILE, INHERIT, INHERITS, INITIAL, INITIALLY, INLINE,
    INNER, INOUT, INPLACE, INPUT, INSENSITIVE, INSERT, INSTALL, INSTANCE, INSTEAD, INT, INTEGER, INTERSECT, INTERVAL,
    INTO, INVALIDATE, INVISIBLE, INVOKER, IS, ISNULL, ISOLATION, ISSUER, JAVA, JOIN, JSON, JSON_TABLE, KEEP, KEY,
    KEYS, KEYTAB, KILL, LABEL, LANGUAGE, LARGE, LAST, LATERAL, LEADING, LEAKPROOF, LEAST, LEFT, LEVEL, LIBRARY, LIKE,
    LIMIT, LINES, LINK, LISTEN, LOAD, LOAD_FILE, LOCAL, LOCALTIME, LOCALTIMESTAMP, LOCATION, LOCK, LOCKED, LOG,
    LOGFILE, LOGGED, LOGIN, LOGOFF, LOGS, LOOP, LOW_PRIORITY, LO_EXPORT, LO_IMPORT, MAPPING, MASK, MASKED, MASTER,
    MATCH, MATCHED, MATERIALIZED, MAXVALUE, MAX_CONNECTIONS_PER_HOUR, MAX_QUERIES_PER_HOUR, MAX_STATEMENT_TIME,
    MAX_UPDATES_PER_HOUR, MAX_USER_CONNECTIONS, MEMBER, MERGE, METHOD, MINUS, MINVALUE, MODE, MODEL, MODIFY, MOVE,
    MUST_CHANGE, NAME, NAMES, NATIONAL, NATURAL, NCHAR, NEVER, NEW, NEXT, NO, NOAUDIT, NOBYPASSRLS, NOCHECK,
    NOCREATEDB, NOCREATEROLE, NOCREATEUSER, NOINHERIT, NOLOCK, NOLOGIN, NONCLUSTERED, NONE, NONEDITIONABLE,
    NOREPLICATION, NORMALIZE, NOSUPERUSER, NOT, NOTHING, NOTIFY, NOTNULL, NOWAIT, NO_WRITE_TO_BINLOG, NULL, NULLIF,
    NUMERIC, OBJECT, OF, OFF, OFFLINE, OFFSET, OIDS, OLD, OLD_PASSWORD, ON, ONLINE, ONLY, OPEN, OPENDATASOURCE,
    OPENJSON, OPENQUERY, OPENROWSET, OPENXML, OPERATOR, OPTIMIZE, OPTION, OPTIONALLY, OPTIONS, OR, ORDER, ORDINALITY,
    OTHERS, OUT, OUTER, OUTFILE, OUTLINE, OUTPUT, OVER, OVERLAPS, OVERLAY, OVERRIDING, OWNED, OWNER, PACKAGE,
    PAGLOCK, PARALLEL, PARAMETER, PARSER, PARTIAL, PARTITION, PARTITIONS, PASSING, PASSWORD, PASSWORD_LOCK_TIME,
    PERCENT, PERMISSIVE, PERSIST, PERSIST_ONLY, PG_READ_BINARY_FILE, PG_READ_FILE, PIVOT, PLACING, PLAN, PLANS,
    PLUGIN, POLICY, POSITION, PRECEDING, PRECISION, PREPARE, PREPARED, PRESERVE, PRIMARY, PRINT, PRIOR, PRIVATE,
    PRIVILEGES, PROC, PROCEDURAL, PROCEDURE, PROCEDURES, PROFILE, PROGRAM, PROVIDER, PROXY, PUBLIC, PUBLICATION,
    PURGE, QUALIFY, QUERY, QUERY_TO_XML, QUEUE, QUICK, QUOTA, QUOTE, RAISE, RAISERROR, RANDOM, RANGE, READ,
    READCOMMITTED, READPAST, READS, READUNCOMMITTED, REAL, REASSIGN, REBUILD, RECHECK, RECONFIGURE, RECURSIVE, REF,
    REFERENCES, REFERENCING, REFRESH, REGEXP, REINDEX, RELATIVE, RELEASE, RELOAD, RENAME, REPAIR, REPEAT, REPEATABLE,
    REPLACE, REPLICA, REPLICAS, REPLICATION, REQUIRE, RESET, RESIGNAL, RESOURCE, RESTART, RESTORE, RESTRICT,
    RESTRICTIVE, RETAIN, RETURN, RETURNING, RETURNS, REUSE, REVERT, REVOKE, RIGHT, RLIKE, ROLE, ROLES, ROLLBACK,
    ROLLUP, ROUTE, ROUTINE, ROUTINES, ROW, ROWCOUNT, ROWGUIDCOL, ROWLOCK, ROWS, RULE, SAMPLE, SAN, SAVE, SAVEPOINT,
    SCHEMA, SCHEMABINDING, SCHEMAS, SCOPED, SCROLL, SEARCH, SECURITY, SELECT, SEQUENCE, SEQUENCES, SERIALIZABLE,
    SERVER, SERVICE, SESSION, SESSION_USER, SET, SETOF, SETS, SETTINGS, SET_CONFIG, SHARE, SHARED, SHOW, SHUTDOWN,
    SID, SIGNAL, SIMILAR, SIMPLE, SIZE, SKIP, SLAVE, SMALLFILE, SMALLINT, SNAPSHOT, SOME, SONAME, SPATIAL,
    SPECIFICATION, SP_ADDLOGIN, SP_ADDROLEMEMBER, SP_ADDSRVROLEMEMBER, SP_CONFIGURE, SP_DROPROLEMEMBER,
    SP_DROPSRVROLEMEMBER, SP_EXECUTESQL, SP_PASSWORD, SQL, SQL_BIG_RESULT, SQL_BUFFER_RESULT, SQL_CACHE,
    SQL_CALC_FOUND_ROWS, SQL_NO_CACHE, SQL_SMALL_RESULT, SSL, STABLE, STANDALONE, START, STARTING, STARTUP,
    STATEMENT, STATISTICS, STATUS, STDIN, STDOUT, STOP, STORAGE, STORED, STRAIGHT_JOIN, STRICT, STRIP, SUBJECT,
    SUBSCRIPTION, SUBSTRING, SUPERUSER, SUPPORT, SYMMETRIC, SYNONYM, SYSID, SYSTEM, SYSTEM_TIME, SYSTEM_USER, TABLE,
    TABLES, TABLESAMPLE, TABLESPACE, TABLOCK, TABLOCKX, TEMP, TEMPLATE, TEMPORARY, TERMINATED, TEXT, THEN, THROW,
    TIES, TIME, TIMESTAMP, TO, TOP, TRAILING, TRAN, TRANSACTION, TRANSFER, TRANSFORM, TREAT, TRIGGER, TRIGGERS, TRIM,
    TRUE, TRUNCATE, TRUSTED, TRY, TYPE, TYPES, UESCAPE, UNBOUNDED, UNCOMMITTED, UNDEFINED, UNDO, UNENCRYPTED,
    UNINSTALL, UNION, UNIQUE, UNKNOWN, UNLIMITED, UNLISTEN, UNLOAD, UNLOCK, UNLOGGED, UNMASK, UNPIVOT, UNTIL, UPDATE,
    UPDATETEXT, UPDLOCK, UPSERT, USAGE, USE, USER, USERS, USING, UTF8, VACUUM, VALID, VALIDATE, VALIDATOR, VALUE,
    VALUES, VARCHAR, VARIABLE, VARIADIC, VARYING, VERBOSE, VERSION, VIA, VIEW, VIEWS, VISIBLE, VOLATILE, WAITFOR,
    WHEN, WHERE, WHILE, WINDOW, WITH, WITHIN, WITHOUT, WITNESS, WORK, WRAPPER, WRITE, WRITETEXT, X509, XA, XLOCK,
    XML, XMLELEMENT, XMLEXISTS, XMLFOREST, XMLNAMESPACES, XMLPARSE, XMLPI, XMLROOT, XMLSERIALIZE, XMLTABLE,
    XP_CMDSHELL, YES, ZONE,
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
