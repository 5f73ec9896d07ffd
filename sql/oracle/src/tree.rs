//! PostgreSQL's parse tree, as JSON: one way to walk through two hundred and fifty kinds of nodes.

use serde_json::Value;

/// A statement's tree, or why there is none: PostgreSQL's own words.
pub fn parse(text: &str, backslash: bool) -> Result<Vec<Value>, String> {
    let options =
        if backslash { pg_query::ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS } else { Default::default() };
    let parsed = pg_query::parse(text, options).map_err(|error| error.to_string())?;
    let statements = parsed.protobuf.stmts.iter().filter_map(|raw| raw.stmt.as_ref());
    statements.map(|node| serde_json::to_value(node).map_err(|error| error.to_string())).collect()
}

/// The kind of a node and its fields: `{"node": {"SelectStmt": {…}}}`.
pub fn node(value: &Value) -> Option<(&str, &Value)> {
    let (kind, fields) = value.get("node")?.as_object()?.iter().next()?;
    Some((kind, fields))
}

/// A field's text; empty if there is none.
pub fn text<'v>(fields: &'v Value, field: &str) -> &'v str {
    fields.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A field's number.
pub fn number(fields: &Value, field: &str) -> i32 {
    fields.get(field).and_then(Value::as_i64).unwrap_or_default() as i32
}

/// A field that is true.
pub fn is(fields: &Value, field: &str) -> bool {
    fields.get(field).and_then(Value::as_bool).unwrap_or_default()
}

/// A field's nodes.
pub fn list<'v>(fields: &'v Value, field: &str) -> &'v [Value] {
    fields.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A field that is there.
pub fn some<'v>(fields: &'v Value, field: &str) -> Option<&'v Value> {
    fields.get(field).filter(|value| !value.is_null())
}

/// The text of a `String` node.
pub fn string(value: &Value) -> &str {
    match node(value) {
        Some(("String", fields)) => text(fields, "sval"),
        _ => "",
    }
}

/// The name that a list of `String` nodes makes.
pub fn dotted(nodes: &[Value]) -> String {
    nodes.iter().map(string).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

/// The name of a `RangeVar`.
pub fn relation(fields: &Value) -> String {
    let parts = ["catalogname", "schemaname", "relname"].map(|part| text(fields, part));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

/// The name of a role, or the word that stands for one.
pub fn role(value: &Value) -> String {
    let fields = node(value).map_or(value, |(_, fields)| fields);
    match number(fields, "roletype") {
        2 => "CURRENT_ROLE".into(),
        3 => "CURRENT_USER".into(),
        4 => "SESSION_USER".into(),
        5 => "PUBLIC".into(),
        _ => text(fields, "rolename").into(),
    }
}
