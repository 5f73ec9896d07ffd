//! GRANT, REVOKE and roles, out of a parse tree.

use serde_json::Value;

use crate::definitions::granted;
use crate::facts::Items;
use crate::kinds::kind;
use crate::tree::{is, list, node, number, role, some, string, text};

/// Privileges, objects, grantees, options and grantor.
pub fn grant(statement: &str, fields: &Value) -> Items {
    match statement {
        "GrantStmt" => of_objects(fields),
        "GrantRoleStmt" => of_roles(fields),
        "AlterDefaultPrivilegesStmt" => defaults(fields),
        _ => Items::new(),
    }
}

fn of_objects(fields: &Value) -> Items {
    let mut items = Items::new();
    for privilege in list(fields, "privileges").iter().filter_map(node) {
        items.insert(format!("privilege {}", privilege_name(privilege.1)));
    }
    if list(fields, "privileges").is_empty() {
        items.insert("privilege ALL".into());
    }
    let kind = kind(number(fields, "objtype"));
    let kind = match number(fields, "targtype") {
        2 => format!("ALL {} IN SCHEMA", plural(kind)),
        3 => plural(kind),
        _ => kind.into(),
    };
    items.extend(granted(fields).into_iter().map(|name| format!("on {kind} {name}")));
    if number(fields, "targtype") == 3 {
        items.insert(format!("on {kind}"));
    }
    people(fields, "grantees", &mut items);
    if is(fields, "grant_option") {
        items.insert("GRANT OPTION".into());
    }
    items
}

fn privilege_name(fields: &Value) -> String {
    let name = match text(fields, "priv_name") {
        "" => "ALL".into(),
        name => name.to_ascii_uppercase(),
    };
    let columns: Vec<&str> = list(fields, "cols").iter().map(string).collect();
    if columns.is_empty() { name } else { format!("{name} ({})", columns.join(", ")) }
}

fn plural(kind: &str) -> String {
    format!("{kind}S")
}

fn of_roles(fields: &Value) -> Items {
    let mut items = Items::new();
    for (_, granted) in list(fields, "granted_roles").iter().filter_map(node) {
        items.insert(format!("role {}", text(granted, "priv_name")));
    }
    people(fields, "grantee_roles", &mut items);
    for (_, option) in list(fields, "opt").iter().filter_map(node) {
        if text(option, "defname") == "admin" {
            items.insert("ADMIN OPTION".into());
        }
    }
    items
}

/// Grantees and grantor, and CASCADE.
fn people(fields: &Value, grantees: &str, items: &mut Items) {
    items.extend(list(fields, grantees).iter().map(|one| format!("to {}", role(one))));
    items.extend(some(fields, "grantor").map(|grantor| format!("by {}", role(grantor))));
    if number(fields, "behavior") == pg_query::protobuf::DropBehavior::DropCascade as i32 {
        items.insert("CASCADE".into());
    }
}

fn defaults(fields: &Value) -> Items {
    let mut items = of_objects(&fields["action"]);
    if is(&fields["action"], "is_grant") {
        items.insert("GRANT".into());
    } else {
        items.insert("REVOKE".into());
    }
    for (_, option) in list(fields, "options").iter().filter_map(node) {
        let members = node(&option["arg"]).map(|(_, list_node)| list(list_node, "items")).unwrap_or_default();
        match text(option, "defname") {
            "schemas" => items.extend(members.iter().map(|schema| format!("in SCHEMA {}", string(schema)))),
            "roles" => items.extend(members.iter().map(|one| format!("for {}", role(one)))),
            _ => {}
        }
    }
    items
}

/// Which roles, and what becomes of them.
pub fn roles(statement: &str, fields: &Value) -> Items {
    let mut items = Items::new();
    match statement {
        "CreateRoleStmt" => {
            items.insert(format!("subject {}", text(fields, "role")));
            items.extend(attributes(fields, 0));
        }
        "AlterRoleStmt" => {
            items.insert(format!("subject {}", role(&fields["role"])));
            items.extend(attributes(fields, number(fields, "action")));
        }
        "AlterRoleSetStmt" => {
            let subject = some(fields, "role").map_or_else(|| "ALL".into(), role);
            items.insert(format!("subject {subject}"));
            items.extend(
                [text(fields, "database")]
                    .iter()
                    .filter(|name| !name.is_empty())
                    .map(|name| format!("in DATABASE {name}")),
            );
        }
        "VariableSetStmt" => items.extend(becomes(fields)),
        "CommentStmt" | "SecLabelStmt" if kind(number(fields, "objtype")) == "ROLE" => {
            items.insert(format!("subject {}", string(&fields["object"])));
        }
        "DropRoleStmt" => items.extend(list(fields, "roles").iter().map(|one| format!("subject {}", role(one)))),
        "DropOwnedStmt" => items.extend(list(fields, "roles").iter().map(|one| format!("subject {}", role(one)))),
        "ReassignOwnedStmt" => {
            items.extend(list(fields, "roles").iter().map(|one| format!("subject {}", role(one))));
            items.insert(format!("owner {}", role(&fields["newrole"])));
        }
        "RenameStmt" if kind(number(fields, "rename_type")) == "ROLE" => {
            items.insert(format!("subject {}", text(fields, "subname")));
            items.insert(format!("becomes {}", text(fields, "newname")));
        }
        _ => {}
    }
    items
}

/// `SET ROLE r`, `SET SESSION AUTHORIZATION r`
fn becomes(fields: &Value) -> Option<String> {
    let is_role = matches!(text(fields, "name"), "role" | "session_authorization");
    let value = list(fields, "args").first().and_then(node).map(|(_, constant)| text(&constant["val"]["Sval"], "sval"));
    value.filter(|value| is_role && *value != "none").map(|name| format!("subject {name}"))
}

fn attributes(fields: &Value, change: i32) -> Items {
    let options = list(fields, "options").iter().filter_map(node);
    options.flat_map(|(_, option)| attribute(option, change)).collect()
}

fn attribute(option: &Value, change: i32) -> Items {
    let argument = node(&option["arg"]);
    let flag = |name: &str| match argument {
        Some(("Boolean", fields)) if !is(fields, "boolval") => [format!("{name} off")].into(),
        _ => [format!("{name} on")].into(),
    };
    let listed = |part: &str| match argument {
        Some(("List", fields)) => list(fields, "items").iter().map(|one| format!("{part} {}", role(one))).collect(),
        _ => Items::new(),
    };
    match text(option, "defname") {
        "superuser" => flag("SUPERUSER"),
        "inherit" => flag("INHERIT"),
        "createrole" => flag("CREATEROLE"),
        "createdb" => flag("CREATEDB"),
        "canlogin" => flag("LOGIN"),
        "isreplication" => flag("REPLICATION"),
        "bypassrls" => flag("BYPASSRLS"),
        "connectionlimit" => [format!("CONNECTION LIMIT {}", value(argument))].into(),
        "validUntil" => [format!("VALID UNTIL {}", value(argument))].into(),
        "sysid" => [format!("SYSID {}", value(argument))].into(),
        "password" if argument.is_none() => ["PASSWORD null".into()].into(),
        "password" => ["PASSWORD set".into()].into(),
        "addroleto" => listed("member of"),
        "rolemembers" => {
            let how = ["DROP MEMBER on", "", "ADD MEMBER on"][(change + 1) as usize];
            listed("member").into_iter().chain([how.to_owned()]).filter(|item| !item.is_empty()).collect()
        }
        "adminmembers" => listed("member").into_iter().chain(["ADMIN OPTION".into()]).collect(),
        _ => Items::new(),
    }
}

fn value(argument: Option<(&str, &Value)>) -> String {
    match argument {
        Some(("Integer", fields)) => number(fields, "ival").to_string(),
        Some(("String", fields)) => text(fields, "sval").into(),
        _ => String::new(),
    }
}
