//! Which family a statement belongs to, by its first word.

use super::Read;
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Access, Direction, Doubts, Means, Part, Transfer};
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

    /// Statements of which little more than the first words are told.
    fn other_statement(&mut self) {
        use Word::*;
        let word = self.word();
        match word {
            IF | WHILE | LOOP | REPEAT if !self.is(Engine::Postgres) => return self.block(),
            AUDIT | NOAUDIT => return self.audit(),
            BULK | BACKUP | RESTORE => return self.bulk(),
            INSTALL | UNINSTALL => return self.plugin(),
            LISTEN | NOTIFY | UNLISTEN | CHECKPOINT | KILL | FLUSH | HANDLER | HELP | SHUTDOWN | RESTART | DBCC
            | RECONFIGURE | REVERT | CHANGE | STOP | PRINT | RAISERROR | THROW | WAITFOR | BINLOG | CACHE | SIGNAL
            | RESIGNAL | DISABLE | ENABLE | RETURN | GET | DISCONNECT | CONNECT | ASSOCIATE | ADD | ADMINISTER
            | UPDATETEXT | WRITETEXT => {
                self.action(word.name());
            }
            _ if self.kind() == Kind::Open => return self.plannable(),
            _ => self.doubt(Doubts::UNSURE),
        }
        self.bump();
    }

    /// Oracle: `AUDIT SELECT ON t BY ACCESS`, `NOAUDIT POLICY p`.
    fn audit(&mut self) {
        self.action(self.word().name());
        self.bump();
        if self.eat(Word::POLICY) {
            if let Some(name) = self.name() {
                self.object("AUDIT POLICY", name, Part::Target);
            }
            return;
        }
        self.granted();
        if self.eat(Word::ON)
            && let Some(name) = self.name()
        {
            self.object("TABLE", name, Part::Target);
        }
    }

    /// MySQL: `INSTALL PLUGIN p SONAME 'x'`, `UNINSTALL SONAME 'x'`.
    fn plugin(&mut self) {
        self.action(if self.word() == Word::INSTALL { "INSTALL PLUGIN" } else { "UNINSTALL PLUGIN" });
        self.bump();
        self.eat_all(&[Word::PLUGIN, Word::COMPONENT, Word::SONAME]);
        self.if_exists();
        if matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::String) {
            let name = Name::of(self.now().span);
            self.object("PLUGIN", name, Part::Target);
            self.bump();
        }
    }

    /// T-SQL: `BULK INSERT t FROM 'x'`, `BACKUP DATABASE d TO DISK = 'x'`, `RESTORE DATABASE d FROM …`.
    fn bulk(&mut self) {
        let (action, direction) = match (self.word(), self.next_word()) {
            (Word::BULK, _) => ("BULK INSERT", Direction::In),
            (Word::BACKUP, Word::DATABASE) => ("BACKUP DATABASE", Direction::Out),
            (Word::BACKUP, Word::LOG) => ("BACKUP LOG", Direction::Out),
            (Word::RESTORE, Word::DATABASE) => ("RESTORE DATABASE", Direction::In),
            (Word::RESTORE, Word::LOG) => ("RESTORE LOG", Direction::In),
            (first, _) => {
                self.action(first.name());
                return self.bump();
            }
        };
        self.action(action);
        self.bump();
        self.bump();
        match self.name() {
            Some(name) if action == "BULK INSERT" => self.relation(name, Access::Insert),
            Some(name) => self.object("DATABASE", name, Part::Target),
            None => {}
        }
        while !self.at_end() && self.kind() != Kind::String {
            self.bump();
        }
        let target = self.string();
        self.transfer(Transfer { direction, means: Means::File, target });
    }
}
