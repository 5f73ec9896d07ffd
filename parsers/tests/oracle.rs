//! Oracle's rows come back as they went in, from every form, where the form can carry them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sealtrail_parsers::{Format, Framer, Parsed, Record, Scratch, parse};
use support::{Part, parts};

/// Line ends, quotes, fields, blocks and tags as a client may write them; bytes that are no UTF-8; now and then a long text.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n\nWed Oct 21 11:58:09 2020 -04:00\nLENGTH : '9'\nACTION :[1] '3'\n\n".to_vec()),
        Just(b"' STATUS:[1] '0'\n".to_vec()),
        Just(b"\" RETCODE:\"0\"".to_vec()),
        Just(b"</Sql_Text></AuditRecord><AuditRecord>".to_vec()),
        Just(b"Audit file /\n&lt;&#10;".to_vec()),
        Just(b"\xff\xfe\xc3(".to_vec()),
        proptest::collection::vec(1_u8.., 0..12),
    ];
    support::now_and_then_a_megabyte(proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat()))
}

fn field(name: &str, value: &[u8], quote: u8) -> Vec<u8> {
    [format!("{name}:[{}] ", value.len()).as_bytes(), &[quote], value, &[quote]].concat()
}

/// As SYS's rows are written: a field a line.
fn sys(sql: &[u8], user: &[u8]) -> Vec<u8> {
    let fields = [
        field("ACTION ", &[b"begin ", sql].concat(), b'\''),
        field("DATABASE USER", user, b'\''),
        field("STATUS", b"0", b'\''),
        field("ACTION NUMBER", b"47", b'\''),
    ];
    [b"Wed Oct 21 11:58:08 2020 -04:00\nLENGTH : '99'\n", &fields.join(&b"\n"[..])[..], b"\n\n"].concat()
}

/// As users' rows are written: all fields on a line.
fn user_row(user: &[u8], name: &[u8]) -> Vec<u8> {
    let fields = [field("USERID", user, b'"'), field("ACTION", b"3", b'"'), field("OBJ$NAME", name, b'"')];
    fields.join(&b" "[..])
}

fn aud_user(user: &[u8], name: &[u8]) -> Vec<u8> {
    [b"Wed Oct 21 11:58:08 2020 -04:00\nLENGTH: \"99\"\n", &user_row(user, name)[..], b"\n\n"].concat()
}

/// rsyslog writes control bytes as `#ooo`.
fn syslog(user: &[u8], name: &[u8]) -> Vec<u8> {
    let row = user_row(user, name);
    let escaped = row.iter().flat_map(|byte| match byte {
        0..0x20 | 0x7f => format!("#{byte:03o}").into_bytes(),
        byte => vec![*byte],
    });
    let escaped: Vec<u8> = escaped.collect();
    [b"Dec  7 16:05:45 host Oracle Audit[1]: LENGTH: \"9\" ", &escaped[..], b"\n"].concat()
}

fn xml(sql: &[u8], user: &[u8]) -> Vec<u8> {
    let escaped = |text: &[u8]| {
        text.iter()
            .flat_map(|byte| match byte {
                b'<' => b"&lt;".to_vec(),
                b'>' => b"&gt;".to_vec(),
                b'&' => b"&amp;".to_vec(),
                b'"' => b"&quot;".to_vec(),
                byte => vec![*byte],
            })
            .collect::<Vec<u8>>()
    };
    let row = [
        b"<AuditRecord><Extended_Timestamp>2026-03-29T14:54:00.782747Z</Extended_Timestamp><DB_User>",
        &escaped(user)[..],
        b"</DB_User><Action>47</Action><Returncode>0</Returncode>\n<Sql_Text>begin ",
        &escaped(sql),
        b"</Sql_Text>\n</AuditRecord>",
    ];
    row.concat()
}

fn with_record(form: Format, frame: &[u8], look: impl FnOnce(&Record<'_>)) {
    match parse(&form.into(), frame, &mut Scratch::new()) {
        Parsed::Record(record) => look(&record),
        other => panic!("{other:?}: {}", frame.escape_ascii()),
    }
}

fn not_empty(text: &[u8]) -> Option<&[u8]> {
    Some(text).filter(|text| !text.is_empty())
}

fn framed(form: Format, rows: &[Vec<u8>], step: usize) {
    let file = rows.concat();
    let pieces: Vec<_> = if file.len() < 20_000 { file.chunks(step).collect() } else { vec![&file[..]] };
    let expected: Vec<_> = rows.iter().cloned().map(Part::Record).collect();
    assert_eq!(parts(Framer::new(&form.into()), &pieces), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn statements_and_names_come_back_as_they_went_in(sql in hostile(), user in hostile()) {
        for (form, frame) in [(Format::OracleAud, sys(&sql, &user)), (Format::OracleXml, xml(&sql, &user))] {
            with_record(form, &frame, |record| {
                assert_eq!(record.user, not_empty(&user));
                let text = record.statement.and_then(|statement| statement.text).expect("a statement");
                assert_eq!(text, [b"begin ", &sql[..]].concat());
                assert_eq!(record.command, Some(&b"PL/SQL EXECUTE"[..]));
            });
        }
        with_record(Format::OracleAud, &aud_user(&user, &sql), |record| {
            assert_eq!((record.user, record.object), (not_empty(&user), not_empty(&sql)));
        });
        // What a daemon wrote as `#012` and what a client wrote so are the same bytes: only the length tells them apart.
        if !user.contains(&b'#') && !sql.contains(&b'#') {
            with_record(Format::OracleSyslog, &syslog(&user, &sql), |record| {
                assert_eq!((record.user, record.object), (not_empty(&user), not_empty(&sql)));
            });
        }
    }

    #[test]
    fn rows_are_framed_whatever_they_hold(texts in proptest::collection::vec((hostile(), hostile()), 1..5), step in 1..97_usize) {
        let rows: Vec<_> = texts.iter().enumerate()
            .map(|(index, (one, other))| if index % 2 == 0 { sys(one, other) } else { aud_user(one, other) }).collect();
        framed(Format::OracleAud, &rows, step);
        let rows: Vec<_> = texts.iter().map(|(one, other)| xml(one, other)).collect();
        framed(Format::OracleXml, &rows, step);
        let rows: Vec<_> = texts.iter().map(|(one, other)| syslog(one, other)).collect();
        framed(Format::OracleSyslog, &rows, step);
    }

    #[test]
    fn half_a_row_costs_no_other(texts in proptest::collection::vec((hostile(), hostile()), 1..4), at: usize) {
        let rows: Vec<_> = texts.iter().map(|(one, other)| xml(one, other)).collect();
        let torn = &rows[0][..at % rows[0].len()];
        let found = support::whole(Format::OracleXml, &[torn, &rows.concat()].concat());
        for row in rows {
            prop_assert!(found.contains(&Part::Record(row)));
        }
    }
}
