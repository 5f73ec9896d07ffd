//! psql scripts, cut into statements as psql would send them.
//!
//! PostgreSQL's regression suite is written for psql: between the statements stand its own commands (`\d`, `\gset`, `\if`), blocks of
//! data for COPY, and variables that it puts in. This file leaves all of that out and counts it. It shares nothing with the lexer that
//! is judged by what it finds here. A statement that is cut wrongly is one that PostgreSQL's parser refuses; those are counted too.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A statement of a script.
#[derive(Debug)]
pub struct Piece {
    /// From its first word to before its `;`.
    pub text: String,
    /// The line of the script where it begins.
    pub line: usize,
    /// `standard_conforming_strings` was off.
    pub backslash: bool,
}

/// A script's statements, and what was left out.
#[derive(Debug, Default)]
pub struct Script {
    /// The statements, in order.
    pub pieces: Vec<Piece>,
    /// psql's own commands.
    pub commands: usize,
    /// Lines of data for COPY.
    pub data_lines: usize,
    /// Statements with variables of psql's.
    pub with_variables: usize,
}

/// psql's commands that send what was typed so far.
const SENDING: &[&str] = &["g", "gx", "gset", "gexec", "gdesc", "crosstabview", "watch", "bind", "parse"];

/// The scripts of a folder, by name.
pub fn all(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "sql"));
    paths.sort();
    Ok(paths)
}

/// Reads a script and cuts it into statements. Bytes that are no UTF-8 are replaced.
pub fn read(path: &Path) -> io::Result<Script> {
    Ok(cut(&String::from_utf8_lossy(&fs::read(path)?)))
}

/// Cuts a script into statements.
pub fn cut(text: &str) -> Script {
    let mut cutter = Cutter::new(text);
    while cutter.at < text.len() {
        cutter.step();
    }
    cutter.end_statement();
    cutter.script
}

struct Cutter<'t> {
    text: &'t str,
    at: usize,
    /// Where the statement begins, once it has.
    start: Option<usize>,
    /// What was passed over inside of it: psql's commands.
    holes: Vec<(usize, usize)>,
    parentheses: usize,
    /// `BEGIN ATOMIC … END` and `CASE … END` inside of it.
    blocks: usize,
    /// The first words, in lower case; the others do not matter.
    words: Vec<String>,
    variables: HashSet<String>,
    uses_variables: bool,
    backslash: bool,
    script: Script,
}

impl<'t> Cutter<'t> {
    fn new(text: &'t str) -> Self {
        Cutter {
            text,
            at: 0,
            start: None,
            holes: Vec::new(),
            parentheses: 0,
            blocks: 0,
            words: Vec::new(),
            variables: HashSet::new(),
            uses_variables: false,
            backslash: false,
            script: Script::default(),
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        match first {
            _ if rest.starts_with("--") => self.at = self.line_end(),
            _ if rest.starts_with("/*") => self.comment(),
            _ if first.is_whitespace() => self.at += first.len_utf8(),
            '\\' => self.command(),
            ';' if self.parentheses == 0 && self.blocks == 0 => self.end_statement(),
            _ => {
                self.start.get_or_insert(self.at);
                self.token(first);
            }
        }
    }

    fn token(&mut self, first: char) {
        let rest = self.rest();
        match first {
            '\'' => self.quoted(0, '\'', self.backslash),
            '"' => self.quoted(0, '"', false),
            'e' | 'E' if rest[1..].starts_with('\'') => self.quoted(1, '\'', true),
            '$' => self.dollar(),
            ':' => self.colon(),
            '(' | ')' => {
                self.parentheses = if first == '(' { self.parentheses + 1 } else { self.parentheses.saturating_sub(1) };
                self.at += 1;
            }
            _ if first.is_alphanumeric() || first == '_' => self.word(),
            _ => self.at += first.len_utf8(),
        }
    }

    fn word(&mut self) {
        let end =
            self.rest().find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(self.rest().len());
        let word = self.rest()[..end].to_ascii_lowercase();
        self.at += end;
        match word.as_str() {
            "begin" if self.makes_routine() && self.parentheses == 0 => self.blocks += 1,
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
        if self.words.len() < 8 {
            self.words.push(word);
        }
    }

    fn makes_routine(&self) -> bool {
        let is_routine = |word: &String| word == "function" || word == "procedure";
        self.words.first().is_some_and(|word| word == "create") && self.words.iter().skip(1).take(3).any(is_routine)
    }

    fn quoted(&mut self, skip: usize, quote: char, escapes: bool) {
        let mut characters = self.rest()[skip + 1..].char_indices();
        let from = self.at + skip + 1;
        self.at = self.text.len();
        while let Some((index, character)) = characters.next() {
            if escapes && character == '\\' {
                characters.next();
            } else if character == quote {
                self.at = from + index + 1;
                // A doubled quote begins at once what looks like another string.
                return;
            }
        }
    }

    fn dollar(&mut self) {
        let tag_end = self.rest()[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map(|end| end + 1);
        match tag_end {
            Some(end)
                if self.rest()[end..].starts_with('$')
                    && !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) =>
            {
                let tag = &self.rest()[..=end];
                let inner = &self.rest()[tag.len()..];
                self.at += inner.find(tag).map_or(self.rest().len(), |close| 2 * tag.len() + close);
            }
            _ => self.at += 1,
        }
    }

    fn comment(&mut self) {
        let (mut depth, mut at) = (0, self.at);
        while at < self.text.len() {
            let step = match &self.text.as_bytes()[at..] {
                [b'/', b'*', ..] => {
                    depth += 1;
                    2
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    2
                }
                _ => 1,
            };
            at += step;
            if depth == 0 {
                break;
            }
        }
        self.at = at;
    }

    fn colon(&mut self) {
        let rest = &self.rest()[1..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_cast = rest.starts_with(':') || self.text[..self.at].ends_with(':');
        let is_variable = !is_cast && (rest.starts_with(['\'', '"', '{']) || self.variables.contains(&name));
        self.uses_variables |= is_variable;
        self.at += if rest.starts_with(':') { 2 } else { 1 };
    }

    fn line_end(&self) -> usize {
        self.rest().find('\n').map_or(self.text.len(), |end| self.at + end)
    }

    fn command(&mut self) {
        if self.rest().starts_with("\\;") {
            self.end_statement();
            self.at += 1;
            return;
        }
        let end = self.line_end();
        let line = &self.text[self.at + 1..end];
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        self.script.commands += 1;
        if name == "set" {
            self.variables.extend(words.clone().next().map(str::to_owned));
        }
        if name == "gset" {
            self.names_of_columns();
        }
        let (from, is_copy) = (self.at, name == "copy" && line.to_ascii_lowercase().contains("from stdin"));
        self.at = end;
        if SENDING.contains(&name) {
            self.at = from;
            self.end_statement();
            self.at = end;
        } else if self.start.is_some() {
            self.holes.push((from, end));
        }
        if is_copy {
            self.data();
        }
    }

    /// `\gset` makes a variable of each column: any word of the statement may be its name.
    fn names_of_columns(&mut self) {
        let statement = &self.text[self.start.unwrap_or(self.at)..self.at];
        let words = statement.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
        self.variables.extend(words.map(str::to_owned));
    }

    fn end_statement(&mut self) {
        let end = self.at;
        self.at = (self.at + 1).min(self.text.len());
        let Some(start) = self.start.take() else { return };
        let text = self.without_holes(start, end);
        let (words, uses_variables) = (std::mem::take(&mut self.words), std::mem::take(&mut self.uses_variables));
        (self.parentheses, self.blocks) = (0, 0);
        let copies = is_copy_from_stdin(&text);
        self.note_strings(&words);
        if uses_variables {
            self.script.with_variables += 1;
        } else {
            let line = self.text[..start].matches('\n').count() + 1;
            self.script.pieces.push(Piece { text, line, backslash: self.backslash });
        }
        if copies {
            self.at = self.line_end();
            self.data();
        }
    }

    fn without_holes(&mut self, start: usize, end: usize) -> String {
        let (mut text, mut from) = (String::new(), start);
        for (hole, hole_end) in std::mem::take(&mut self.holes) {
            text.push_str(&self.text[from..hole]);
            from = hole_end;
        }
        text + &self.text[from..end]
    }

    fn note_strings(&mut self, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["set", "standard_conforming_strings", value] | ["set", "standard_conforming_strings", "to", value] => {
                self.backslash = *value == "off";
            }
            ["reset", "standard_conforming_strings"] => self.backslash = false,
            _ => {}
        }
    }

    /// Passes over data for COPY, which ends with `\.`. Where COPY is meant to fail there is none, and a statement follows.
    fn data(&mut self) {
        let rest = self.rest();
        let mut at = usize::from(rest.starts_with('\n'));
        let first = rest[at..].lines().next().unwrap_or_default().to_ascii_lowercase();
        let starts = ["copy ", "select ", "create ", "insert ", "drop ", "begin", "--", "alter ", "commit", "rollback"];
        let is_none = starts.iter().any(|start| first.starts_with(start));
        if is_none || !rest.contains("\n\\.") {
            return;
        }
        for line in rest[at..].split_inclusive('\n') {
            at += line.len();
            if line.trim_end() == "\\." {
                break;
            }
            self.script.data_lines += 1;
        }
        self.at += at;
    }
}

fn is_copy_from_stdin(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| c.is_whitespace() || c == '(' || c == ')').filter(|word| !word.is_empty()).collect();
    words.first() == Some(&"copy")
        && words.windows(2).any(|pair| pair == ["from", "stdin"] || pair == ["from", "stdout"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        cut(script).pieces.into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_parentheses_and_bodies() {
        assert_eq!(
            texts("SELECT ';', \";\", $a$;$a$ -- ;\n/* ; /* ; */ ; */; TABLE b"),
            ["SELECT ';', \";\", $a$;$a$ -- ;\n/* ; /* ; */ ; */", "TABLE b"]
        );
        let body = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END";
        assert_eq!(texts(&format!("{body}; BEGIN; END;")), [body, "BEGIN", "END"]);
        let rule = "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)";
        assert_eq!(texts(&format!("{rule};")), [rule]);
        assert_eq!(texts("SELECT E'\\';', 'a\\'; SELECT 'it''s'"), ["SELECT E'\\';', 'a\\'", "SELECT 'it''s'"]);
    }

    #[test]
    fn commands_of_psql_are_left_out() {
        let script = cut(
            "\\set x 1\nSELECT 1 \\gset\nSELECT 2\n\\p\n, 3;\nSELECT :x;\nSELECT a[1:2], b::text, :'y';\nSELECT 4\\; SELECT 5;",
        );
        let texts: Vec<&str> = script.pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(texts, ["SELECT 1 ", "SELECT 2\n\n, 3", "SELECT 4", "SELECT 5"]);
        assert_eq!((script.commands, script.with_variables), (3, 2));
    }

    #[test]
    fn data_of_copy_is_left_out() {
        let script = cut(
            "COPY t (a) FROM stdin;\n1;2\n\\N\n\\.\nSELECT 1;\nCOPY t FROM STDIN;\nSELECT 2;\nCOPY t FROM stdin;\n\\.\n",
        );
        assert_eq!(script.data_lines, 2);
        assert_eq!(script.pieces.len(), 5);
    }

    #[test]
    fn strings_follow_the_setting() {
        let script = cut(
            "SET standard_conforming_strings TO off; SELECT 'a\\';'; RESET standard_conforming_strings; SELECT 'a\\';",
        );
        assert_eq!(script.pieces[1].text, "SELECT 'a\\';'");
        assert!(script.pieces[1].backslash && !script.pieces[3].backslash);
    }
}
