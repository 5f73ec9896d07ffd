//! Statements that change rows: which relation they change, and which they read for it.

use super::expression::{AT_CLAUSE, AT_COMMA, AT_JOIN, AT_SET, MEANING, begins_query};
use super::names::is_reserved;
use super::{CTES_MAX, Read, same_name, same_part};
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Access, Doubts};
use crate::span::Span;
use crate::words::Word;

/// Statements that change rows.
impl Read<'_, '_> {
    pub(super) fn insert(&mut self) {
        use Word::*;
        self.bump();
        if self.is(Engine::Mysql) {
            self.eat_all(&[LOW_PRIORITY, DELAYED, HIGH_PRIORITY, IGNORE]);
        }
        if self.is(Engine::Oracle) && self.word().is_in(&[ALL, FIRST]) {
            return self.insert_all();
        }
        let outer = std::mem::replace(&mut self.inserts_into, Name::NONE);
        self.insert_target();
        if self.kind() == Kind::Open && !begins_query(self.next_word()) && self.at.next().kind != Kind::Open {
            self.parentheses();
        }
        self.rows_of_insert();
        self.inserts_into = outer;
    }

    /// At `DO UPDATE` of ON CONFLICT, `KEY UPDATE` of ON DUPLICATE: rows that are there are changed.
    pub(super) fn upsert(&mut self) {
        // Not so in `FOR NO KEY UPDATE` of the rows that are added.
        let changes = self.word() == Word::DO || (self.word() == Word::KEY && self.at.last().word == Word::DUPLICATE);
        if changes && self.next_word() == Word::UPDATE {
            self.relation(self.inserts_into, Access::Update);
        }
    }

    fn insert_target(&mut self) {
        if self.is(Engine::Tsql) {
            self.top();
        }
        self.eat(Word::INTO);
        self.eat(Word::TABLE);
        match self.name() {
            Some(name) => {
                self.inserts_into = name;
                self.relation(name, Access::Insert);
            }
            None if self.kind() == Kind::Variable => self.bump(),
            None => self.doubt(if self.kind() == Kind::End { Doubts::CUT } else { Doubts::UNSURE }),
        }
        if self.is(Engine::Mysql) && self.eat(Word::PARTITION) && self.kind() == Kind::Open {
            self.parentheses();
        }
        if self.eat(Word::AS) || (self.is(Engine::Oracle) && self.at_name() && self.word() != Word::VALUES) {
            self.bump();
        }
    }

    /// VALUES, a query, DEFAULT VALUES or MySQL's SET, and what follows.
    fn rows_of_insert(&mut self) {
        while !self.at_end() && self.kind() != Kind::Close {
            if self.kind() == Kind::Open || begins_query(self.word()) {
                self.query();
                if self.is(Engine::Tsql) {
                    return;
                }
            } else if self.is(Engine::Tsql) && self.word().is_in(&[Word::EXEC, Word::EXECUTE]) {
                return self.skip_to_end_of_inner();
            } else if self.word() == Word::ON {
                self.expression(AT_CLAUSE);
            } else if MEANING[self.word() as usize] & AT_CLAUSE != 0 {
                self.clauses();
            } else {
                self.upsert();
                self.bump();
                self.expression_to_query();
            }
        }
    }

    /// Passes over an expression up to a clause, or to a query that stands in it without parentheses.
    fn expression_to_query(&mut self) {
        while !self.at_end()
            && self.kind() != Kind::Close
            && !(self.kind() == Kind::Open || begins_query(self.word()))
            && MEANING[self.word() as usize] & AT_CLAUSE == 0
        {
            self.bump();
        }
        if self.kind() == Kind::Open && !begins_query(self.next_word()) && self.at.next().kind != Kind::Open {
            self.parentheses();
        }
    }

    /// Oracle: `INSERT ALL INTO a … INTO b … SELECT …`.
    fn insert_all(&mut self) {
        while !self.at_end() {
            if self.eat(Word::INTO) {
                if let Some(name) = self.name() {
                    self.relation(name, Access::Insert);
                }
            } else if begins_query(self.word()) && self.word() != Word::VALUES {
                return self.query();
            } else if self.kind() == Kind::Open {
                self.parentheses();
            } else {
                self.bump();
            }
        }
    }

    pub(super) fn update(&mut self) {
        use Word::*;
        self.bump();
        match self.dialect.engine {
            Engine::Mysql => {
                self.eat_all(&[LOW_PRIORITY, IGNORE]);
                return self.update_of_joined();
            }
            Engine::Tsql => return self.update_by_alias(),
            Engine::Postgres | Engine::Oracle => {}
        }
        self.target(Access::Update);
        while !self.at_end() && self.word() != SET && self.kind() != Kind::Close {
            self.bump();
        }
        self.expression(AT_CLAUSE);
        self.clauses();
    }

    /// The relation that is changed: `[ONLY] t [*]`; Oracle also a subquery.
    fn target(&mut self, access: Access) {
        let only = self.eat(Word::ONLY) && self.eat_kind(Kind::Open);
        if let Some(name) = self.name() {
            self.relation(name, access);
        } else if self.kind() == Kind::Open {
            // What is changed through a query is not told from what it reads.
            self.doubt(Doubts::UNSURE);
            self.nested(Self::query);
        } else {
            self.doubt(if self.kind() == Kind::End { Doubts::CUT } else { Doubts::UNSURE });
        }
        if only {
            self.close();
        }
    }

    pub(super) fn delete(&mut self) {
        self.bump();
        match self.dialect.engine {
            Engine::Mysql => return self.delete_of_joined(),
            Engine::Tsql => return self.delete_by_alias(),
            Engine::Postgres | Engine::Oracle => {}
        }
        self.eat(Word::FROM);
        self.target(Access::Delete);
        self.expression(AT_CLAUSE | AT_JOIN);
        if self.eat(Word::USING) {
            self.relation_list(0);
        }
        self.clauses();
    }

    pub(super) fn merge(&mut self) {
        self.bump();
        if self.is(Engine::Tsql) {
            self.top();
        }
        self.eat(Word::INTO);
        self.target(Access::Merge);
        while !self.at_end() && self.word() != Word::USING && self.kind() != Kind::Close {
            self.bump();
        }
        if self.eat(Word::USING) {
            self.merged();
        }
        self.expression(0);
    }

    /// What is merged: a relation or several that are joined, up to WHEN. A comma there is one of an expression.
    fn merged(&mut self) {
        self.relation_item();
        loop {
            self.expression(AT_CLAUSE | AT_JOIN);
            if self.word().is_in(&[Word::ON, Word::USING]) {
                self.bump();
            } else if MEANING[self.word() as usize] & AT_JOIN == 0 {
                return;
            } else if self.join_words() {
                self.relation_item();
            }
        }
    }

    /// What stands in an inner statement that cannot be read; up to the parenthesis that closes it.
    fn skip_to_end_of_inner(&mut self) {
        self.doubt(Doubts::OPAQUE);
        self.expression(0);
    }

    /// `TOP (10) PERCENT`.
    fn top(&mut self) {
        if self.eat(Word::TOP) {
            if self.kind() == Kind::Open {
                self.parentheses();
            } else {
                self.bump();
            }
            self.eat(Word::PERCENT);
        }
    }
}

/// Statements that name what they change by alias.
impl Read<'_, '_> {
    /// Notes what a relation of FROM is called: by its alias, which follows, or by its own last part.
    pub(super) fn note_alias(&mut self, name: Name, place: usize) {
        if !matches!(self.dialect.engine, Engine::Mysql | Engine::Tsql) || self.depth > 0 {
            return;
        }
        let alias = match (self.word(), self.kind()) {
            (Word::AS, _) => self.at.next().span,
            (word, Kind::Word) if !is_reserved(word) && MEANING[word as usize] == 0 && !is_after_table(word) => {
                self.now().span
            }
            (_, Kind::Quoted) => self.now().span,
            _ => name.object,
        };
        let (text, dialect) = (self.at.text, self.dialect);
        let known = || {
            let from = usize::from(self.statement.relations.from);
            self.out.relations[from..]
                .iter()
                .rposition(|one| same_name(dialect, text, one.name, name))
                .map(|at| at + from)
        };
        let place = if place < self.out.relations.len() { Some(place) } else { known() };
        if let Some(place) = place
            && self.room.aliases.len() < CTES_MAX
        {
            self.room.aliases.push((alias, place as u16));
        }
    }

    /// What is called so in this statement.
    fn alias(&self, name: Name) -> Option<(Span, u16)> {
        let (text, dialect) = (self.at.text, self.dialect);
        let is_called = |(alias, place): &&(Span, u16)| {
            let relation = self.out.relations[usize::from(*place)].name;
            (name.is_plain() && same_part(dialect, text, *alias, name.object))
                || same_name(dialect, text, relation, name)
        };
        self.room.aliases.iter().find(is_called).copied()
    }

    /// What was read as a relation of FROM is what the statement changes; read too if FROM has it under two names.
    fn changed(&mut self, target: Name, access: Access) {
        let Some((_, place)) = self.alias(target) else { return self.relation(target, access) };
        let names = self.room.aliases.iter().filter(|(_, other)| *other == place).count();
        let relation = &mut self.out.relations[usize::from(place)];
        if names == 1 && relation.access == Access::Read {
            relation.access = access;
        } else {
            let name = relation.name;
            self.relation(name, access);
        }
    }

    /// MySQL: `UPDATE a JOIN b ON … SET a.x = …`: what the assignments name is changed, the rest read.
    fn update_of_joined(&mut self) {
        self.relation_list(AT_SET);
        let alone = self.room.aliases.len() == 1;
        if self.eat(Word::SET) {
            if alone {
                let place = usize::from(self.room.aliases[0].1);
                self.out.relations[place].access = Access::Update;
            } else {
                self.assignments_of_joined();
            }
        }
        self.expression(AT_CLAUSE);
        self.clauses();
    }

    fn assignments_of_joined(&mut self) {
        loop {
            let Some(column) = self.name() else { return };
            // `alias.column` or `database.table.column`.
            let table = Name { object: column.database, ..Name::NONE };
            if !table.is_empty() && self.alias(table).is_some() {
                self.changed(table, Access::Update);
            } else {
                self.doubt(Doubts::UNSURE);
            }
            self.expression(AT_CLAUSE | AT_COMMA);
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    /// MySQL: `DELETE FROM t …`, `DELETE a, b FROM …`, `DELETE FROM a, b USING …`.
    fn delete_of_joined(&mut self) {
        use Word::*;
        self.eat_all(&[LOW_PRIORITY, QUICK, IGNORE]);
        let from_first = self.eat(FROM);
        let mut targets = [Name::NONE; 8];
        let mut count = 0;
        while let Some(name) = self.target_of_joined() {
            if count < targets.len() {
                targets[count] = name;
                count += 1;
            } else {
                self.doubt(Doubts::TOO_MANY);
            }
            if !self.eat_kind(Kind::Comma) {
                break;
            }
        }
        let joined = if from_first { USING } else { FROM };
        if from_first && count == 1 {
            self.expression(AT_CLAUSE | AT_JOIN);
        }
        if self.eat(joined) {
            self.relation_list(0);
        }
        for &target in &targets[..count] {
            self.changed(target, Access::Delete);
        }
        self.clauses();
    }

    /// `t`, `d.t`, `t.*`.
    fn target_of_joined(&mut self) -> Option<Name> {
        let name = self.name()?;
        if self.at.last().kind == Kind::Dot && self.eat_kind(Kind::Star) {
            return Some(name);
        }
        Some(name)
    }

    /// T-SQL: the target may be an alias of FROM, which comes later.
    fn update_by_alias(&mut self) {
        self.top();
        let target = self.name();
        self.expression(AT_SET);
        self.eat(Word::SET);
        self.expression(AT_CLAUSE);
        self.rest_and_target(target, Access::Update);
    }

    fn delete_by_alias(&mut self) {
        self.top();
        self.eat(Word::FROM);
        let target = self.name();
        self.expression(AT_CLAUSE);
        self.rest_and_target(target, Access::Delete);
    }

    fn rest_and_target(&mut self, target: Option<Name>, access: Access) {
        if self.word() == Word::INTO {
            // `OUTPUT … INTO t`
            self.bump();
            if let Some(name) = self.name() {
                self.relation(name, Access::Insert);
            }
            self.expression(AT_CLAUSE);
        }
        if self.eat(Word::FROM) {
            self.relation_list(0);
        }
        if let Some(target) = target
            && !self.is_cte(target)
        {
            self.changed(target, access);
        }
        self.clauses();
    }
}

/// Words that follow a relation's name and are no alias.
fn is_after_table(word: Word) -> bool {
    use Word::*;
    word.is_in(&[USE, FORCE, IGNORE, PARTITION, SET, PIVOT, UNPIVOT, VALUES, OPTION, QUALIFY, OUTPUT])
}
