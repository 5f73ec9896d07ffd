//! Which relations a parse tree reads and writes: the names in its queries without those of common table expressions.

use serde_json::Value;

use crate::facts::Items;
use crate::tree::{is, list, node, number, relation, some, text};

/// The relations below a statement's node.
pub fn of(statement: &Value) -> Items {
    let mut walk = Walk { scopes: Vec::new(), queries: 0, found: Items::new() };
    walk.value(statement);
    walk.found
}

struct Walk {
    /// Names of common table expressions that can be seen from here.
    scopes: Vec<String>,
    /// How many queries are around this place: outside of any, a relation is what DDL is about, not what is read.
    queries: usize,
    found: Items,
}

impl Walk {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.value(value)),
            Value::Object(_) => match node(value) {
                Some((kind, fields)) => self.node(kind, fields),
                None => self.fields(value),
            },
            _ => {}
        }
    }

    fn node(&mut self, kind: &str, fields: &Value) {
        match kind {
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => self.change(kind, fields),
            "SelectStmt" => self.query(fields),
            "CopyStmt" => self.copy(fields),
            "TruncateStmt" => self.named("truncate", list(fields, "relations")),
            "LockStmt" => self.named("lock", list(fields, "relations")),
            "CreateTableAsStmt" => self.create_as(fields),
            // `FOR UPDATE OF` names aliases; these may be CTEs too.
            "LockingClause" => {}
            _ => self.fields(fields),
        }
    }

    fn change(&mut self, kind: &str, fields: &Value) {
        let access = kind.trim_end_matches("Stmt").to_ascii_lowercase();
        let target = &fields["relation"];
        self.add(&access, target);
        let updates = some(fields, "on_conflict_clause").is_some_and(|clause| number(clause, "action") == 3);
        if updates {
            self.add("update", target);
        }
        self.query(fields);
    }

    /// The fields of a query, with its own common table expressions in sight.
    fn query(&mut self, fields: &Value) {
        let outside = self.scopes.len();
        self.queries += 1;
        if let Some(with) = some(fields, "with_clause") {
            self.with(with);
        }
        for (name, field) in fields.as_object().into_iter().flatten() {
            match name.as_str() {
                "with_clause" => {}
                "into_clause" => self.into(field),
                // What is changed was noted with its access.
                "relation" => {}
                _ => self.value(field),
            }
        }
        self.queries -= 1;
        self.scopes.truncate(outside);
    }

    fn with(&mut self, with: &Value) {
        let tables: Vec<&Value> =
            list(with, "ctes").iter().filter_map(|one| node(one).map(|(_, fields)| fields)).collect();
        let names: Vec<String> = tables.iter().map(|table| text(table, "ctename").to_owned()).collect();
        let recursive = is(with, "recursive");
        if recursive {
            self.scopes.extend(names.iter().cloned());
        }
        for (table, name) in tables.iter().zip(names) {
            self.value(&table["ctequery"]);
            if !recursive {
                self.scopes.push(name);
            }
        }
    }

    fn into(&mut self, clause: &Value) {
        if let Some(target) = some(clause, "rel") {
            self.add("create", target);
        }
    }

    fn create_as(&mut self, fields: &Value) {
        // A materialized view is an object of DDL.
        if number(fields, "objtype") == pg_query::protobuf::ObjectType::ObjectTable as i32 {
            self.into(&fields["into"]);
        }
        self.value(&fields["query"]);
    }

    fn copy(&mut self, fields: &Value) {
        if let Some(table) = some(fields, "relation") {
            self.add(if is(fields, "is_from") { "insert" } else { "read" }, table);
        }
        self.value(&fields["query"]);
        self.value(&fields["where_clause"]);
    }

    fn named(&mut self, access: &str, relations: &[Value]) {
        for (_, fields) in relations.iter().filter_map(node) {
            self.add(access, fields);
        }
    }

    /// Fields whose type the tree does not name.
    fn fields(&mut self, fields: &Value) {
        if fields.get("relpersistence").is_some() {
            self.read(fields);
            return;
        }
        if fields.get("from_clause").is_some() {
            self.query(fields);
            return;
        }
        fields.as_object().into_iter().flatten().for_each(|(_, field)| self.value(field));
    }

    fn read(&mut self, fields: &Value) {
        let is_plain = text(fields, "schemaname").is_empty();
        let is_cte = is_plain && self.scopes.iter().any(|name| name == text(fields, "relname"));
        if self.queries > 0 && !is_cte {
            self.add("read", fields);
        }
    }

    fn add(&mut self, access: &str, fields: &Value) {
        self.found.insert(format!("{access} {}", relation(fields)));
    }
}
