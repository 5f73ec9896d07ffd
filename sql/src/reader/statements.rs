//! Which family a statement belongs to, by its first word.

use super::Read;
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::reading::Doubts;
use crate::words::Word;

impl Read<'_, '_> {
    /// Reads a statement from its first word; what is left of it is passed over by the caller.
    pub(super) fn read_statement(&mut self) {
        use Word::*;
        match self.word() {
            SELECT | WITH | VALUES | TABLE | INSERT | UPDATE | DELETE | MERGE => self.plannable(),
            REPLACE if self.is(Engine::Mysql) => self.plannable(),
            CREATE => self.create(),
            ALTER => self.alter(),
            DROP => self.drop_objects(),
            GRANT | REVOKE => self.grant(),
            DENY if self.is(Engine::Tsql) => self.grant(),
            SET | RESET | SHOW => self.set_family(),
            COPY if self.is(Engine::Postgres) => self.copy(),
            LOAD => self.load(),
            UNLOAD => self.unload(),
            EXPLAIN | DESCRIBE | DESC | PREPARE | EXECUTE | EXEC | DEALLOCATE | DECLARE | FETCH | MOVE | CLOSE
            | CALL | DO => {
                self.session_statement();
            }
            TRUNCATE | LOCK | UNLOCK | COMMENT | SECURITY | REFRESH | REINDEX | CLUSTER | VACUUM | ANALYZE
            | ANALYSE | IMPORT | REASSIGN | RENAME | OPTIMIZE | CHECK | REPAIR | PURGE | FLASHBACK => self.upkeep(),
            BEGIN | START | COMMIT | END | ROLLBACK | ABORT | SAVEPOINT | RELEASE | DISCARD | USE | XA | SAVE => {
                self.transaction()
            }
            _ => self.other_statement(),
        }
    }

    /// Statements of which only the first word is told.
    fn other_statement(&mut self) {
        use Word::*;
        let word = self.word();
        match word {
            LISTEN | NOTIFY | UNLISTEN | CHECKPOINT | KILL | FLUSH | HANDLER | HELP | INSTALL | UNINSTALL
            | SHUTDOWN | RESTART | AUDIT | NOAUDIT | BACKUP | RESTORE | DBCC | RECONFIGURE | REVERT | BULK | CHANGE
            | STOP | PRINT | IF | WHILE | RAISERROR | THROW | WAITFOR | BINLOG | CACHE | SIGNAL | RESIGNAL
            | DISABLE | ENABLE | RETURN | GO | GET | DISCONNECT | CONNECT | ASSOCIATE | ADD | ADMINISTER
            | UPDATETEXT | WRITETEXT => self.action(word.name()),
            _ if self.kind() == Kind::Open => return self.plannable(),
            _ => self.doubt(Doubts::UNSURE),
        }
        self.bump();
    }
}
