//! Names of objects and accounts.

use super::Read;
use crate::dialect::Engine;
use crate::lexer::Kind;
use crate::name::Name;
use crate::reading::{Doubts, Who};
use crate::span::Span;
use crate::words::Word;

impl Read<'_, '_> {
    /// Whether a name may begin here: a quoted one, or a word that is not reserved.
    pub(super) fn at_name(&self) -> bool {
        match self.kind() {
            Kind::Word => !is_reserved(self.word()),
            Kind::Quoted => true,
            // MySQL knows `"t"` as a name only with ANSI_QUOTES, and nobody told us that it is set.
            _ => false,
        }
    }

    /// A name of up to four parts, if one begins here.
    pub(super) fn name(&mut self) -> Option<Name> {
        self.at_name().then(|| self.parts(false))
    }

    /// The same, where `*` and `x.*` are names too.
    pub(super) fn name_or_star(&mut self) -> Option<Name> {
        (self.at_name() || self.kind() == Kind::Star).then(|| self.parts(true))
    }

    fn parts(&mut self, stars: bool) -> Name {
        let (mut parts, mut count) = ([Span::NONE; 4], 0);
        loop {
            if count == parts.len() {
                // Deeper than any engine's names: a field of a composite. The last four would mislead.
                self.doubt(Doubts::UNSURE);
                count = 0;
            }
            parts[count] = self.now().span;
            count += 1;
            self.bump();
            if self.kind() != Kind::Dot {
                break;
            }
            self.bump();
            // T-SQL leaves a part out: `db..t`.
            while self.kind() == Kind::Dot && count < parts.len() - 1 {
                parts[count] = Span::NONE;
                count += 1;
                self.bump();
            }
            let goes_on = matches!(self.kind(), Kind::Word | Kind::Quoted) || stars && self.kind() == Kind::Star;
            if !goes_on && self.kind() == Kind::End {
                // What the dot belongs to is not here: the part before it is no object.
                self.doubt(Doubts::CUT);
                return Name::NONE;
            }
            if !goes_on {
                break;
            }
        }
        let mut name = self.named(&parts[..count]);
        if self.is(Engine::Oracle) && self.kind() == Kind::At {
            self.bump();
            while matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::Dot)
                && (name.server.is_empty() || self.at.last().span.end == self.now().span.start)
            {
                name.server = name.server.to(self.now().span);
                self.bump();
            }
        }
        name
    }

    /// Which part is what, by how many there are.
    fn named(&self, parts: &[Span]) -> Name {
        let back = |from_end: usize| parts.len().checked_sub(from_end).map_or(Span::NONE, |at| parts[at]);
        let name = Name { object: back(1), schema: back(2), database: back(3), server: back(4) };
        if self.is(Engine::Mysql) { Name { object: back(1), database: back(2), ..Name::NONE } } else { name }
    }

    /// Names one after the other, separated by commas; `each` gets them.
    pub(super) fn names(&mut self, mut each: impl FnMut(&mut Self, Name)) {
        while let Some(name) = self.name() {
            each(self, name);
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }

    /// An account: a role's name; in MySQL also `'user'@'host'`; `PUBLIC`, `CURRENT_USER` and the like as they are.
    pub(super) fn account(&mut self) -> Option<(Span, Span)> {
        let is_name = matches!(self.kind(), Kind::Word | Kind::Quoted | Kind::String);
        if !is_name {
            return None;
        }
        let name = self.now().span;
        self.bump();
        // `CURRENT_USER()`
        if self.kind() == Kind::Open && self.at.next().kind == Kind::Close && self.is(Engine::Mysql) {
            self.bump();
            self.bump();
        }
        Some((name, self.host()))
    }

    /// `@'host'` or `@host`, in MySQL.
    fn host(&mut self) -> Span {
        let token = self.now();
        match token.kind {
            Kind::Variable if self.is(Engine::Mysql) => {
                self.bump();
                Span::new(token.span.start + 1, token.span.end)
            }
            Kind::At if self.is(Engine::Mysql) => {
                self.bump();
                let host = self.now();
                if !matches!(host.kind, Kind::Word | Kind::Quoted | Kind::String | Kind::Number) {
                    return Span::NONE;
                }
                self.bump();
                host.span
            }
            _ => Span::NONE,
        }
    }

    /// Accounts separated by commas, all with the same part.
    pub(super) fn accounts(&mut self, who: Who) {
        while let Some((name, host)) = self.account() {
            self.principal(name, host, who);
            if !self.eat_kind(Kind::Comma) {
                return;
            }
        }
    }
}

/// Words that no name without quotes begins with: PostgreSQL's reserved words, and those of its words for types and functions that
/// join or compare.
#[rustfmt::skip]
pub(super) fn is_reserved(word: Word) -> bool {
    use Word::*;
    matches!(
        word,
        ALL | ANALYSE | ANALYZE | AND | ANY | ARRAY | AS | ASC | ASYMMETRIC | BOTH | CASE | CAST | CHECK | COLLATE
        | COLUMN | CONSTRAINT | CREATE | CURRENT_CATALOG | CURRENT_DATE | CURRENT_ROLE | CURRENT_SCHEMA
        | CURRENT_TIME | CURRENT_TIMESTAMP | CURRENT_USER | DEFAULT | DEFERRABLE | DESC | DISTINCT | DO | ELSE
        | END | EXCEPT | FALSE | FETCH | FOR | FOREIGN | FROM | GRANT | GROUP | HAVING | IN | INITIALLY | INTERSECT
        | INTO | LATERAL | LEADING | LIMIT | LOCALTIME | LOCALTIMESTAMP | NOT | NULL | OFFSET | ON | ONLY | OR
        | ORDER | PLACING | PRIMARY | REFERENCES | RETURNING | SELECT | SESSION_USER | SOME | SYMMETRIC
        | SYSTEM_USER | TABLE | THEN | TO | TRAILING | TRUE | UNION | UNIQUE | USER | USING | VARIADIC | WHEN
        | WHERE | WINDOW | WITH | AUTHORIZATION | BINARY | COLLATION | CONCURRENTLY | CROSS | FREEZE | FULL | ILIKE
        | INNER | IS | ISNULL | JOIN | LEFT | LIKE | NATURAL | NOTNULL | OUTER | OVERLAPS | RIGHT | SIMILAR
        | TABLESAMPLE | VERBOSE
    )
}
