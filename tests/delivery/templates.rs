//! The index templates and saved searches in `packaging/elasticsearch` against the record: they name its fields, all of them and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::receivers::elasticsearch::{fits, mapping_of};

const TEMPLATES: [&str; 2] = ["index-template.json", "index-template.opensearch.json"];

/// What the destination puts before each line.
const OURS: [&str; 3] = ["@timestamp", "sealtrail.origin", "sealtrail.line"];

#[test]
fn every_mapped_field_is_one_of_the_record_and_of_its_kind() {
    let schema = schema();
    let fields: BTreeSet<(String, &str)> = fields(&schema).into_iter().collect();
    for template in TEMPLATES {
        for (path, kind) in mapped(&mapping_of(template), "") {
            if OURS.contains(&path.as_str()) {
                continue;
            }
            let wanted = match kind.as_str() {
                "long" => "integer",
                "boolean" => "boolean",
                "object" | "flattened" | "flat_object" => "object",
                "keyword" | "text" | "date" => "string",
                other => panic!("{template}: {path} has the type {other}"),
            };
            // An array that is kept and not looked into may hold anything.
            let is = |wanted| fields.contains(&(path.clone(), wanted));
            assert!(is(wanted) || kind == "object" && is("array"), "{template}: {path} is no {wanted} of the record");
        }
    }
}

#[test]
fn every_field_of_the_record_is_mapped() {
    let schema = schema();
    for template in TEMPLATES {
        let mapped: Vec<String> = mapped(&mapping_of(template), "").into_iter().map(|(path, _)| path).collect();
        for (path, kind) in fields(&schema) {
            let covers = |mapped: &String| {
                path == *mapped || path.starts_with(&format!("{mapped}.")) || mapped.starts_with(&format!("{path}."))
            };
            assert!(mapped.iter().any(covers), "{template} lacks {path} ({kind})");
        }
    }
}

#[test]
fn every_record_of_the_captures_fits() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures/golden");
    let mut records = 0;
    for path in fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "ndjson") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            for template in TEMPLATES {
                let fit = fits(&record, &mapping_of(template), "");
                assert_eq!(fit, Ok(()), "{template}: {}", path.display());
            }
            records += 1;
        }
    }
    assert!(records > 20, "{records} only");
}

#[test]
fn what_no_keyword_and_no_number_could_hold_is_kept_all_the_same() {
    let long = "x".repeat(40_000);
    let record = json!({
        "user": long, "client": { "address": "no address" }, "session": { "start": "once", "line": u64::MAX },
        "extra": { "k": long }, "labels": { "env": "prod" }, "at": { "pieces": [[1, 2], [3, 4, "f", "/p"]] },
        "of_a_later_release": { "anything": [1, "two"] }
    });
    for template in TEMPLATES {
        assert_eq!(fits(&record, &mapping_of(template), ""), Ok(()), "{template}");
        assert!(fits(&json!({ "client": "text" }), &mapping_of(template), "").is_err(), "the check sees");
    }
}

#[test]
fn templates_make_a_data_stream_of_the_default_name_and_leave_documents_as_they_are() {
    for template in TEMPLATES {
        let path = format!("{}/packaging/elasticsearch/{template}", env!("CARGO_MANIFEST_DIR"));
        let template: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(template["index_patterns"], json!(["logs-sealtrail-*"]));
        assert!(template["data_stream"].is_object());
        assert!(template["priority"].as_u64() > Some(100), "above those that the products bring");
        assert_eq!(template["template"]["mappings"]["dynamic"], json!(false));
    }
}

#[test]
fn saved_searches_ask_for_fields_that_are_mapped() {
    let path = format!("{}/packaging/elasticsearch/saved-objects.ndjson", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let known: BTreeSet<String> =
        TEMPLATES.iter().flat_map(|template| mapped(&mapping_of(template), "")).map(|(path, _)| path).collect();
    let (patterns, searches): (Vec<&Value>, Vec<&Value>) =
        objects.iter().partition(|object| object["type"] == "index-pattern");
    let [pattern] = patterns.as_slice() else { panic!("{patterns:?}") };
    assert_eq!(pattern["attributes"]["timeFieldName"], "@timestamp");
    assert!(searches.len() >= 4);
    for search in searches {
        let title = &search["attributes"]["title"];
        assert_eq!(search["references"][0]["id"], pattern["id"], "{title}");
        let source = search["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"].as_str().unwrap();
        let source: Value = serde_json::from_str(source).unwrap();
        assert_eq!(source["indexRefName"], search["references"][0]["name"], "{title}");
        let asked = asked_for(source["query"]["query"].as_str().unwrap());
        assert!(!asked.is_empty(), "{title}");
        let columns = search["attributes"]["columns"].as_array().unwrap().iter();
        for field in columns.map(|column| column.as_str().unwrap().to_owned()).chain(asked) {
            assert!(known.contains(&field), "{title} asks for {field}");
        }
    }
}

/// The words of a query in KQL that a colon follows.
fn asked_for(query: &str) -> Vec<String> {
    let before_colons = query.split(':').rev().skip(1);
    let word = |text: &str| text.rsplit([' ', '(']).next().unwrap().to_owned();
    before_colons.map(word).collect()
}

fn schema() -> Value {
    let path = format!("{}/docs/record.schema.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Each leaf of a mapping, with its type.
fn mapped(mapping: &Value, path: &str) -> Vec<(String, String)> {
    let Some(properties) = mapping["properties"].as_object() else {
        return vec![(path.to_owned(), mapping["type"].as_str().unwrap().to_owned())];
    };
    let inner = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
    properties.iter().flat_map(|(name, mapping)| mapped(mapping, &inner(name))).collect()
}

/// Each field of the record with each kind that it may have; of an array the kind of what is in it, and that it is one.
fn fields(schema: &Value) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for line in ["event", "agent", "checkpoint"] {
        fields_of(schema, &schema["$defs"][line], "", &mut found);
    }
    found
}

fn fields_of(schema: &Value, node: &Value, path: &str, found: &mut Vec<(String, &'static str)>) {
    if let Some(name) = node["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return fields_of(schema, &schema["$defs"][name], path, found);
    }
    for kind in kinds(node) {
        if !path.is_empty() {
            found.push((path.to_owned(), kind));
        }
    }
    if let Some(items) = node.get("items").filter(|items| items.is_object()) {
        fields_of(schema, items, path, found);
    }
    for alternative in node["anyOf"].as_array().into_iter().flatten().filter(|one| one.get("type").is_some()) {
        fields_of(schema, alternative, path, found);
    }
    for (name, inner) in node["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        fields_of(schema, inner, &path, found);
    }
}

fn kinds(node: &Value) -> Vec<&'static str> {
    let of_value = |value: &Value| match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        other => panic!("{other}"),
    };
    let named = |name: &Value| match name.as_str().unwrap() {
        "boolean" => "boolean",
        "integer" => "integer",
        "string" => "string",
        "object" => "object",
        "array" => "array",
        other => panic!("{other}"),
    };
    match (&node["type"], node.get("const"), &node["enum"]) {
        (Value::Array(names), _, _) => names.iter().map(named).collect(),
        (name @ Value::String(_), _, _) => vec![named(name)],
        (_, Some(value), _) => vec![of_value(value)],
        (_, _, Value::Array(values)) => values.iter().take(1).map(of_value).collect(),
        _ => Vec::new(),
    }
}
