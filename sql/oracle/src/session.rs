//! Parameters that a statement sets, and data that COPY moves.

use pg_query::protobuf::VariableSetKind;
use serde_json::Value;

use crate::facts::Items;
use crate::tree::{is, list, node, number, some, text};

/// Parameters that are set or put back.
pub fn settings(statement: &str, fields: &Value) -> Items {
    match statement {
        "VariableSetStmt" => setting(fields),
        "AlterSystemStmt" | "AlterDatabaseSetStmt" | "AlterRoleSetStmt" => setting(&fields["setstmt"]),
        // Those that a function runs with.
        "CreateFunctionStmt" => of_options(list(fields, "options")),
        "AlterFunctionStmt" => of_options(list(fields, "actions")),
        _ => Items::new(),
    }
}

fn of_options(options: &[Value]) -> Items {
    let options = options.iter().filter_map(node).filter(|(_, option)| text(option, "defname") == "set");
    options.filter_map(|(_, option)| node(&option["arg"])).flat_map(|(_, fields)| setting(fields)).collect()
}

fn setting(fields: &Value) -> Items {
    let name = text(fields, "name").to_ascii_lowercase();
    match VariableSetKind::try_from(number(fields, "kind")).unwrap_or_default() {
        VariableSetKind::VarSetValue => [format!("{name} set")].into(),
        VariableSetKind::VarSetCurrent => [format!("{name} current")].into(),
        VariableSetKind::VarResetAll => ["ALL default".into()].into(),
        VariableSetKind::VarSetMulti => ["transaction_characteristics set".into()].into(),
        _ => [format!("{name} default")].into(),
    }
}

/// COPY: which way, by which means, to or from what.
pub fn transfers(statement: &str, fields: &Value) -> Items {
    if statement != "CopyStmt" {
        return Items::new();
    }
    let way = if is(fields, "is_from") { "in" } else { "out" };
    let transfer = match some(fields, "filename").and_then(Value::as_str).unwrap_or_default() {
        "" => format!("{way} client"),
        name if is(fields, "is_program") => format!("{way} program {name}"),
        name => format!("{way} file {name}"),
    };
    [transfer].into()
}
