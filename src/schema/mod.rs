//! A line of the trail in the schema that its destination asks for: our own, OCSF or ECS.
//!
//! A line comes as the bytes that were sealed and goes as one JSON object. What makes it hard:
//!
//! - **Nothing may get lost.** A member of the line is *taken* when it is written to a place that the schema has for it ([`part`]).
//!   What was not taken at the end is written as it is: in OCSF to `unmapped`, in ECS under `sealtrail`. So a member that a later
//!   release adds, or one of another type than expected, is there too.
//! - **It is total.** Whatever the bytes are, one JSON object comes out. What is no JSON object is kept as text.
//! - **It is on the way of every line to a destination.** A line is read once, its values are copied as they stand, escapes
//!   included, and there is no tree.
//!
//! Which act becomes which class is in one table a schema: [`ocsf::TABLE`], [`ecs::TABLE`]. `docs/schemas.md` shows both, and a test
//! holds it against them. Filtering and sending are the work of others.

pub mod ecs;
pub mod ocsf;
mod object;
mod part;
pub mod table;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealtrail_seal::leaf_hash;

use object::Object;
use part::Part;

/// The form in which a destination gets the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Schema {
    /// As they were sealed.
    #[default]
    Native,
    /// Open Cybersecurity Schema Framework, [`ocsf::VERSION`].
    Ocsf,
    /// Elastic Common Schema, [`ecs::VERSION`].
    Ecs,
}

impl Schema {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Schema; 3] = [Schema::Native, Schema::Ocsf, Schema::Ecs];
    /// Their names, in the same order: for what a configuration is told that asks for another.
    pub const NAMES: [&str; 3] = [Schema::Native.name(), Schema::Ocsf.name(), Schema::Ecs.name()];

    /// As the configuration spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Schema::Native => "native",
            Schema::Ocsf => "ocsf",
            Schema::Ecs => "ecs",
        }
    }

    /// The schema of that name.
    pub fn by_name(name: &str) -> Option<Schema> {
        Schema::ALL.into_iter().find(|schema| schema.name() == name)
    }
}

/// Appends to `out` what `line` is in `schema`: one JSON object, without a line end. `line` is a line of the trail without its own.
pub fn render(schema: Schema, line: &[u8], out: &mut Vec<u8>) {
    let (write, write_foreign): (Write, WriteForeign) = match schema {
        Schema::Native => return out.extend_from_slice(line),
        Schema::Ocsf => (ocsf::write, ocsf::write_foreign),
        Schema::Ecs => (ecs::write, ecs::write_foreign),
    };
    let mut object = Object::new(out);
    match members(line) {
        Some(mut part) => write(&mut part, &leaf(line), &mut object),
        None => write_foreign(line, &leaf(line), &mut object),
    }
}

type Write = fn(&mut Part<'_>, &str, &mut Object<'_>);
type WriteForeign = fn(&[u8], &str, &mut Object<'_>);

/// The members of a line, or `None` where it is no JSON object whose texts can be copied, or has too many of them.
fn members(line: &[u8]) -> Option<Part<'_>> {
    let text = std::str::from_utf8(line).ok()?;
    if has_surrogate(line) {
        // Half a pair is no text, and looks like one until it is decoded. The agent writes no such escape at all.
        serde_json::from_str::<serde_json::Value>(text).ok()?;
    }
    Part::of(text)
}

/// A line's time in milliseconds since 1970; 0 where it is none.
fn unix_ms(time: &str) -> i64 {
    part::inside(time).parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond)
}

/// What an event is kept as that is no JSON object: its bytes, where the text beside them has not all of them.
fn write_bytes(line: &[u8], to: &mut Object<'_>) {
    if std::str::from_utf8(line).is_err() {
        to.word("raw_base64", &STANDARD.encode(line));
    }
}

fn has_surrogate(line: &[u8]) -> bool {
    memchr::memmem::find_iter(line, b"\\u").any(|at| matches!(line.get(at + 2), Some(b'd' | b'D')))
}

/// The hash of the line as a leaf of the trail's tree, in base64 as roots are: with it each event can be proven against the trail.
fn leaf(line: &[u8]) -> String {
    STANDARD.encode(leaf_hash(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn rendered(schema: Schema, line: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        render(schema, line, &mut out);
        assert!(out.starts_with(b"before"), "what was there stays");
        out.split_off(6)
    }

    fn is_object(bytes: &[u8]) -> bool {
        bytes.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
    }

    const LINES: [&str; 3] = [
        r#"{"v":1,"type":"event","id":"f:1","time":"2026-11-20T20:28:31.863Z","user":"app","action":"GRANT","resource":"s.t","resource_type":"table","outcome":"failure","error":{"code":"42501","message":"no \u001b"},"category":"permission_change","admin":true,"grant":{"privileges":["SELECT"],"roles":[],"on":[{"type":"table","name":"t"}],"to":["bob"]},"engine":"postgresql","server":"db1","source":"s","format":"postgres-csvlog","database":"d","client":{"address":"127.0.0.1","port":5,"application":"psql"},"session":{"id":"6.4","line":7,"pid":9,"start":"2026-11-20T20:28:31Z"},"statement":{"text":"GRANT \"é\"","rows":1},"extra":{"message":"m","hint":"h"},"at":{"file":"a.csv","offset":0,"length":3}}"#,
        r#"{"v":1,"type":"agent","id":"o/1","time":"2026-11-20T20:28:31.863Z","user":"(agent)","action":"GAP","resource":"s","resource_type":"source","outcome":"failure","category":"operation","message":"m","gap":{"of":"rows","from":1}}"#,
        r#"{"v":1,"type":"checkpoint","id":"o/2","time":"2026-11-20T20:28:31.863Z","user":"(agent)","action":"CHECKPOINT","resource":"o","resource_type":"trail","outcome":"success","category":"operation","checkpoint":"o\n2\n"}"#,
    ];

    #[test]
    fn a_schema_is_found_by_its_name_and_no_other() {
        for schema in Schema::ALL {
            assert_eq!(Schema::by_name(schema.name()), Some(schema));
        }
        assert_eq!(Schema::NAMES, ["native", "ocsf", "ecs"]);
        assert_eq!((Schema::by_name("OCSF"), Schema::by_name("")), (None, None));
    }

    #[test]
    fn native_is_the_line_itself() {
        assert_eq!(rendered(Schema::Native, b"any \xff bytes"), b"any \xff bytes");
    }

    #[test]
    fn what_is_no_json_object_is_kept_as_text_and_byte_for_byte_where_it_is_none() {
        for line in [&b"no json \xff"[..], b"", b"[1]", b"null", b"{\"a\":\"\\ud800\"}", b"{\"a\":1}}"] {
            let kept = STANDARD.encode(line);
            let text = String::from_utf8_lossy(line).into_owned();
            let ocsf: Value = serde_json::from_slice(&rendered(Schema::Ocsf, line)).unwrap();
            assert_eq!((&ocsf["class_uid"], &ocsf["raw_data"]), (&Value::from(0), &Value::from(text.as_str())));
            let ecs: Value = serde_json::from_slice(&rendered(Schema::Ecs, line)).unwrap();
            assert_eq!(ecs["event"]["original"], Value::from(text.as_str()));
            let is_text = std::str::from_utf8(line).is_ok();
            let bytes = if is_text { Value::Null } else { Value::from(kept) };
            assert_eq!(
                (&ocsf["unmapped"]["sealtrail"]["raw_base64"], &ecs["sealtrail"]["raw_base64"]),
                (&bytes, &bytes)
            );
        }
    }

    #[test]
    fn a_member_that_is_of_another_type_or_comes_twice_is_still_there() {
        let line = br#"{"type":"event","user":7,"time":"x","client":[1],"session":{"pid":"p"},"id":"a","id":"b","news":{"a":null}}"#;
        let ocsf: Value = serde_json::from_slice(&rendered(Schema::Ocsf, line)).unwrap();
        let rest: Value = serde_json::from_str(
            r#"{"type":"event","user":7,"time":"x","client":[1],"session":{"pid":"p"},"id":"b","news":{"a":null}}"#,
        )
        .unwrap();
        for (name, value) in rest.as_object().unwrap() {
            assert_eq!(&ocsf["unmapped"]["sealtrail"][name], value, "{name} in {ocsf}");
        }
        let ecs: Value = serde_json::from_slice(&rendered(Schema::Ecs, line)).unwrap();
        assert_eq!(ecs["event"]["dataset"], "sealtrail.event");
        for (name, value) in rest.as_object().unwrap().iter().filter(|(name, _)| *name != "type") {
            assert_eq!(&ecs["sealtrail"][name], value, "{name} in {ecs}");
        }
    }

    #[test]
    fn an_object_of_very_many_members_is_copied_and_a_line_of_them_kept_as_text() {
        let many: Vec<String> = (0..5000).map(|at| format!("\"k{at}\":{at}")).collect();
        let many = many.join(",");
        let line = format!(r#"{{"type":"event","action":"SELECT","engine":"postgresql","extra":{{{many}}}}}"#);
        let ocsf: Value = serde_json::from_slice(&rendered(Schema::Ocsf, line.as_bytes())).unwrap();
        assert_eq!((&ocsf["class_uid"], &ocsf["unmapped"]["postgresql"]["k4999"]), (&6005.into(), &4999.into()));
        let ecs: Value = serde_json::from_slice(&rendered(Schema::Ecs, line.as_bytes())).unwrap();
        assert_eq!((&ecs["event"]["action"], &ecs["sealtrail"]["extra"]["k4999"]), (&"SELECT".into(), &4999.into()));
        let line = format!("{{{many}}}");
        let ocsf: Value = serde_json::from_slice(&rendered(Schema::Ocsf, line.as_bytes())).unwrap();
        assert_eq!(ocsf["raw_data"], line.as_str());
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_json_object(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            for schema in [Schema::Ocsf, Schema::Ecs] {
                prop_assert!(is_object(&rendered(schema, &line)));
            }
        }

        #[test]
        fn so_does_a_line_of_which_anything_was_altered(
            which in 0..LINES.len(),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>(), any::<prop::sample::Index>()), 1..6),
        ) {
            let mut line = LINES[which].as_bytes().to_vec();
            for (place, how, byte, other) in edits {
                if line.is_empty() { break; }
                let (place, other) = (place.index(line.len()), other.index(line.len()));
                match how {
                    0 => line[place] = byte,
                    1 => line.insert(place, b"{}[]\",:\\u0d81"[usize::from(byte) % 13]),
                    2 => { line.drain(place.min(other)..place.max(other)); }
                    _ => line.copy_within(place.min(other)..place.max(other), 0),
                }
            }
            for schema in [Schema::Ocsf, Schema::Ecs] {
                prop_assert!(is_object(&rendered(schema, &line)), "{}", String::from_utf8_lossy(&line));
            }
        }

        #[test]
        fn so_does_a_line_in_which_one_value_is_another_one(
            which in 0..LINES.len(), member in any::<prop::sample::Index>(),
            value in prop::sample::select(vec!["null", "-1", "1e999", "18446744073709551616", "\"\"", "[]", "{}", "[[{\"a\":{}}]]", "{\"a\":1,\"a\":2}", "true", "\"\\u0000\"", "[\"x\",2]", "{\"to\":\"x\",\"names\":[{}]}"]),
        ) {
            let members: Vec<(String, Value)> = serde_json::from_str::<serde_json::Map<_, _>>(LINES[which]).unwrap().into_iter().collect();
            let chosen = member.index(members.len());
            let texts: Vec<String> = members.iter().enumerate().map(|(index, (name, old))| {
                format!("\"{name}\":{}", if index == chosen { value.to_owned() } else { old.to_string() })
            }).collect();
            let line = format!("{{{}}}", texts.join(","));
            for schema in [Schema::Ocsf, Schema::Ecs] {
                prop_assert!(is_object(&rendered(schema, line.as_bytes())), "{line}");
            }
        }
    }
}
