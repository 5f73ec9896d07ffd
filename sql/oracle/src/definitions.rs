//! What a statement of DDL is about: kind and name of each object, and what it belongs to (`on t`).

use serde_json::Value;

use crate::facts::Items;
use crate::kinds::{kind, renamed};
use crate::tree::{dotted, list, node, number, relation, role, some, string, text};

/// The objects of a statement.
pub fn of(statement: &str, fields: &Value) -> Items {
    let mut items = Items::new();
    let mut add = |kind: &str, name: String| _ = items.insert(format!("{kind} {name}"));
    let named = |field: &str| text(fields, field).to_owned();
    let table = |field: &str| some(fields, field).map(relation).unwrap_or_default();
    match statement {
        "CreateStmt" => add("TABLE", table("relation")),
        "CreateForeignTableStmt" => add("FOREIGN TABLE", relation(&fields["base_stmt"]["relation"])),
        "CreateTableAsStmt" => add(kind(number(fields, "objtype")), relation(&fields["into"]["rel"])),
        "ViewStmt" => add("VIEW", table("view")),
        "CreateSeqStmt" | "AlterSeqStmt" => add("SEQUENCE", table("sequence")),
        "CompositeTypeStmt" => add("TYPE", table("typevar")),
        "CreateEnumStmt" | "CreateRangeStmt" | "AlterEnumStmt" | "AlterTypeStmt" => {
            add("TYPE", dotted(list(fields, "type_name")))
        }
        "CreateDomainStmt" => add("DOMAIN", dotted(list(fields, "domainname"))),
        "AlterDomainStmt" => add("DOMAIN", dotted(list(fields, "type_name"))),
        "IndexStmt" => {
            add("INDEX", named("idxname"));
            add("on", table("relation"));
        }
        "CreateTrigStmt" => {
            add("TRIGGER", named("trigname"));
            add("on", table("relation"));
        }
        "RuleStmt" => {
            add("RULE", named("rulename"));
            add("on", table("relation"));
        }
        "CreatePolicyStmt" | "AlterPolicyStmt" => {
            add("POLICY", named("policy_name"));
            add("on", table("table"));
        }
        "CreateEventTrigStmt" | "AlterEventTrigStmt" => add("EVENT TRIGGER", named("trigname")),
        "CreateFunctionStmt" => {
            let is_procedure = fields["is_procedure"] == true;
            add(if is_procedure { "PROCEDURE" } else { "FUNCTION" }, dotted(list(fields, "funcname")));
        }
        "AlterFunctionStmt" => add(kind(number(fields, "objtype")), dotted(list(&fields["func"], "objname"))),
        "CreateSchemaStmt" => {
            add("SCHEMA", schema(fields));
            items.extend(
                list(fields, "schema_elts").iter().filter_map(node).flat_map(|(kind, fields)| of(kind, fields)),
            );
        }
        "CreatedbStmt"
        | "DropdbStmt"
        | "AlterDatabaseStmt"
        | "AlterDatabaseSetStmt"
        | "AlterDatabaseRefreshCollStmt" => {
            add("DATABASE", named("dbname"));
        }
        "CreateExtensionStmt" | "AlterExtensionStmt" | "AlterExtensionContentsStmt" => {
            add("EXTENSION", named("extname"))
        }
        "CreateFdwStmt" | "AlterFdwStmt" => add("FOREIGN DATA WRAPPER", named("fdwname")),
        "CreateForeignServerStmt" | "AlterForeignServerStmt" => add("SERVER", named("servername")),
        "CreateUserMappingStmt" | "AlterUserMappingStmt" | "DropUserMappingStmt" => add("on", named("servername")),
        "CreatePublicationStmt" | "AlterPublicationStmt" => add("PUBLICATION", named("pubname")),
        "CreateSubscriptionStmt" | "AlterSubscriptionStmt" | "DropSubscriptionStmt" => {
            add("SUBSCRIPTION", named("subname"))
        }
        "CreateTableSpaceStmt" | "DropTableSpaceStmt" | "AlterTableSpaceOptionsStmt" => {
            add("TABLESPACE", named("tablespacename"))
        }
        "CreatePlangStmt" => add("LANGUAGE", named("plname")),
        "CreateAmStmt" => add("ACCESS METHOD", named("amname")),
        "CreateOpClassStmt" => add("OPERATOR CLASS", dotted(list(fields, "opclassname"))),
        "CreateOpFamilyStmt" | "AlterOpFamilyStmt" => add("OPERATOR FAMILY", dotted(list(fields, "opfamilyname"))),
        "AlterOperatorStmt" => add("OPERATOR", dotted(list(&fields["opername"], "objname"))),
        "CreateConversionStmt" => add("CONVERSION", dotted(list(fields, "conversion_name"))),
        "CreateStatsStmt" => {
            add("STATISTICS", dotted(list(fields, "defnames")));
            items.extend(list(fields, "relations").iter().flat_map(named_in));
        }
        "AlterStatsStmt" => add("STATISTICS", dotted(list(fields, "defnames"))),
        "AlterTsdictionaryStmt" => add("TEXT SEARCH DICTIONARY", dotted(list(fields, "dictname"))),
        "AlterTsconfigurationStmt" => add("TEXT SEARCH CONFIGURATION", dotted(list(fields, "cfgname"))),
        "AlterCollationStmt" => add("COLLATION", dotted(list(fields, "collname"))),
        "DefineStmt" => add(kind(number(fields, "kind")), dotted(list(fields, "defnames"))),
        "AlterTableStmt" => add(kind(number(fields, "objtype")), table("relation")),
        "RefreshMatViewStmt" => add("MATERIALIZED VIEW", table("relation")),
        "VacuumStmt" => {
            list(fields, "rels").iter().filter_map(node).for_each(|(_, one)| add("TABLE", relation(&one["relation"])))
        }
        "ClusterStmt" => add("TABLE", table("relation")),
        "ReindexStmt" => match number(fields, "kind") {
            1 => add("INDEX", table("relation")),
            2 => add("TABLE", table("relation")),
            3 => add("SCHEMA", named("name")),
            _ => add("DATABASE", named("name")),
        },
        "ImportForeignSchemaStmt" => add("SCHEMA", named("local_schema")),
        "AlterTableMoveAllStmt" => add("on", named("orig_tablespacename")),
        "CallStmt" => add("PROCEDURE", dotted(list(&fields["funccall"], "funcname"))),
        "DeclareCursorStmt" => add("CURSOR", named("portalname")),
        "PrepareStmt" | "ExecuteStmt" => add("PREPARED STATEMENT", named("name")),
        "ExplainStmt" => {
            items.extend(node(&fields["query"]).map(|(kind, fields)| of(kind, fields)).unwrap_or_default())
        }
        "DropStmt" => {
            for object in list(fields, "objects") {
                items.extend(named_by(number(fields, "remove_type"), object));
            }
        }
        "RenameStmt" if renamed(fields) == "ROLE" => {}
        "RenameStmt" => items.extend(changed(fields, "rename_type", renamed(fields))),
        "AlterObjectSchemaStmt" | "AlterOwnerStmt" | "AlterObjectDependsStmt" => {
            items.extend(changed(fields, "object_type", kind(number(fields, "object_type"))));
        }
        "CommentStmt" | "SecLabelStmt" if kind(number(fields, "objtype")) == "ROLE" => {}
        "CommentStmt" | "SecLabelStmt" => items.extend(named_by(number(fields, "objtype"), &fields["object"])),
        _ => {}
    }
    items.into_iter().filter(|item| !item.ends_with(' ')).collect()
}

/// Tables of a FROM that may hold none but one.
fn named_in(item: &Value) -> Items {
    match node(item) {
        Some(("RangeVar", fields)) => [format!("on {}", relation(fields))].into(),
        Some(("JoinExpr", fields)) => ["larg", "rarg"].iter().flat_map(|arm| named_in(&fields[arm])).collect(),
        Some(("RangeTableSample", fields)) => named_in(&fields["relation"]),
        _ => Items::new(),
    }
}

/// `CREATE SCHEMA AUTHORIZATION r` makes one of the role's name; who `CURRENT_ROLE` is the text does not say.
fn schema(fields: &Value) -> String {
    match text(fields, "schemaname") {
        "" => some(fields, "authrole").map(|role| text(role, "rolename").to_owned()).unwrap_or_default(),
        name => name.into(),
    }
}

/// Tables that `INTO` makes, wherever a query has one.
pub fn made(value: &Value) -> Items {
    match value {
        Value::Array(values) => values.iter().flat_map(made).collect(),
        Value::Object(fields) => {
            let target = fields.get("into_clause").and_then(|clause| some(clause, "rel"));
            let here = target.map(|target| format!("TABLE {}", relation(target)));
            fields.values().flat_map(made).chain(here).collect()
        }
        _ => Items::new(),
    }
}

/// The object of RENAME, SET SCHEMA, OWNER TO: by its own field, or by the table that it is a part of.
fn changed(fields: &Value, field: &str, whole: &str) -> Items {
    let number = number(fields, field);
    let (part, table) = (text(fields, "subname"), some(fields, "relation").map(relation));
    match (kind(number), table) {
        ("TRIGGER" | "RULE" | "POLICY", Some(table)) => {
            let part = if part.is_empty() { string(&fields["object"]) } else { part };
            [format!("{} {part}", kind(number)), format!("on {table}")].into()
        }
        (_, Some(table)) => [format!("{whole} {table}")].into(),
        ("DATABASE" | "SCHEMA" | "ROLE" | "TABLESPACE", None) if !part.is_empty() => [format!("{whole} {part}")].into(),
        ("CONSTRAINT", None) => [format!("DOMAIN {}", dotted(strings(&fields["object"])))].into(),
        _ => named_by(number, &fields["object"]),
    }
}

/// What a node names that stands where an object of this type is expected.
fn named_by(number: i32, object: &Value) -> Items {
    let strings = strings(object);
    let parted = |kind: &str| match strings.split_last() {
        Some((name, table)) => [format!("{kind} {}", string(name)), format!("on {}", dotted(table))].into(),
        None => Items::new(),
    };
    match kind(number) {
        part @ ("TRIGGER" | "RULE" | "POLICY" | "COLUMN") => parted(part),
        "CONSTRAINT" if number == pg_query::protobuf::ObjectType::ObjectTabconstraint as i32 => parted("CONSTRAINT"),
        "CONSTRAINT" => match strings {
            [domain, name] => [format!("CONSTRAINT {}", string(name)), format!("on {}", simple(domain))].into(),
            _ => Items::new(),
        },
        of_method @ ("OPERATOR CLASS" | "OPERATOR FAMILY") => {
            [format!("{of_method} {}", dotted(&strings[1.min(strings.len())..]))].into()
        }
        "CAST" | "TRANSFORM" => Items::new(),
        other => [format!("{other} {}", simple(object))].into(),
    }
}

/// The members of a `List` or a type's name.
fn strings(object: &Value) -> &[Value] {
    match node(object) {
        Some(("List", fields)) => list(fields, "items"),
        Some(("TypeName", fields)) => list(fields, "names"),
        _ => &[],
    }
}

/// The name that a node makes.
fn simple(object: &Value) -> String {
    match node(object) {
        Some(("String", fields)) => text(fields, "sval").into(),
        Some(("ObjectWithArgs", fields)) => dotted(list(fields, "objname")),
        Some(("TypeName" | "List", _)) => dotted(strings(object)),
        Some(("RangeVar", fields)) => relation(fields),
        Some(("RoleSpec", fields)) => role(fields),
        Some(("Integer", fields)) => number(fields, "ival").to_string(),
        Some(("Float", fields)) => text(fields, "fval").into(),
        _ => String::new(),
    }
}

/// The objects of GRANT.
pub fn granted(fields: &Value) -> Vec<String> {
    list(fields, "objects").iter().map(simple).collect()
}
