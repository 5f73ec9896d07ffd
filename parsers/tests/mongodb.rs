//! MongoDB's rows come back as they went in, whatever clients wrote into them, from JSON and from BSON alike.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sealtrail_parsers::{Act, Cut, Format, Framer, Parsed, Record, Scratch, parse};
use support::{Part, parts, whole};

/// What clients choose.
#[derive(Debug, Clone)]
struct Row {
    user: Vec<u8>,
    collection: Vec<u8>,
    text: Vec<u8>,
    result: i32,
}

/// Names and texts that imitate rows, with control bytes and bytes that are no UTF-8; now and then a long one.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n{\"atype\":\"authenticate\",\"ts\":{\"$date\":0}}\n".to_vec()),
        Just(b"\\\"}\n}".to_vec()),
        Just(b"\x02atype".to_vec()),
        Just(b"\xff\xfe\xc3(".to_vec()),
        proptest::collection::vec(1_u8.., 0..12),
        (1_u8..).prop_map(|byte| vec![byte; 1 << 20]),
    ];
    let pieces = proptest::collection::vec((piece, 0..20_u8), 0..5);
    pieces.prop_map(|pieces| {
        pieces
            .into_iter()
            .filter(|(piece, rare)| piece.len() < 1000 || *rare == 0)
            .flat_map(|(piece, _)| piece)
            .collect()
    })
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (hostile(), hostile(), hostile(), prop_oneof![Just(0), Just(13), any::<i32>()])
        .prop_map(|(user, collection, text, result)| Row { user, collection, text, result });
    proptest::collection::vec(row, 1..5)
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

impl Row {
    fn namespace(&self) -> Vec<u8> {
        [b"shop.", &self.collection[..]].concat()
    }

    fn json(&self) -> Vec<u8> {
        let mut row =
            b"{ \"atype\" : \"authCheck\", \"ts\" : { \"$date\" : \"2022-08-24T09:10:04.973-05:00\" }, \"remote\" : \
            { \"ip\" : \"10.0.0.7\", \"port\" : 1 }, \"users\" : [ { \"user\" : "
                .to_vec();
        row.extend(quoted(&self.user));
        row.extend(b", \"db\" : \"admin\" } ], \"param\" : { \"command\" : \"find\", \"ns\" : ");
        row.extend(quoted(&self.namespace()));
        row.extend(b", \"args\" : {\"find\":");
        row.extend(quoted(&self.text));
        row.extend(format!("}} }}, \"result\" : {} }}\n", self.result).bytes());
        row
    }

    fn bson(&self) -> Vec<u8> {
        let user = document(&[(2, "user", text(&self.user)), (2, "db", text(b"admin"))]);
        let args = document(&[(2, "find", text(&self.text))]);
        let param = [(2, "command", text(b"find")), (2, "ns", text(&self.namespace())), (3, "args", args)];
        document(&[
            (2, "atype", text(b"authCheck")),
            (9, "ts", 1_661_350_204_973_i64.to_le_bytes().to_vec()),
            (3, "remote", document(&[(2, "ip", text(b"10.0.0.7")), (0x10, "port", 1_i32.to_le_bytes().to_vec())])),
            (4, "users", document(&[(3, "0", user)])),
            (3, "param", document(&param)),
            (0x10, "result", self.result.to_le_bytes().to_vec()),
        ])
    }

    fn is(&self, record: &Record<'_>) {
        assert_eq!(record.user, Some(&self.user[..]));
        assert_eq!(record.object, Some(&self.collection[..]));
        assert_eq!(record.object_database, Some(&b"shop"[..]));
        assert_eq!(record.act, if self.result == 0 { Act::Statement } else { Act::FailedStatement });
        let code = self.result.to_string();
        assert_eq!(record.error_code, Some(code.as_bytes()).filter(|_| self.result != 0));
        assert_eq!((record.client.address, record.client.port), (Some(&b"10.0.0.7"[..]), Some(1)));
        let statement = record.statement.and_then(|statement| statement.text).expect("the arguments");
        assert!(statement.starts_with(b"{\"find\":\"") && statement.ends_with(b"\"}"));
    }
}

fn text(text: &[u8]) -> Vec<u8> {
    let len = i32::try_from(text.len() + 1).expect("short enough");
    [&len.to_le_bytes()[..], text, b"\0"].concat()
}

fn document(elements: &[(u8, &str, Vec<u8>)]) -> Vec<u8> {
    let inner: Vec<u8> = elements
        .iter()
        .flat_map(|(kind, name, value)| [&[*kind][..], name.as_bytes(), b"\0", value].concat())
        .collect();
    let len = i32::try_from(inner.len() + 5).expect("short enough");
    [&len.to_le_bytes()[..], &inner, b"\0"].concat()
}

fn check(format: Format, frame: &[u8], row: &Row) {
    match parse(&format.into(), frame, &mut Scratch::new()) {
        Parsed::Record(record) => row.is(&record),
        other => panic!("{other:?}: {}", frame.escape_ascii()),
    }
}

/// Whatever is damaged, rows that are whole are found.
fn survives(format: Format, rows: &[Vec<u8>], at: usize, flipped: u8) {
    let mut file = rows.concat();
    let at = at % rows[0].len();
    file[at] ^= flipped;
    let found = whole(format, &file);
    for row in &rows[1..] {
        assert!(found.contains(&Part::Record(row.clone())), "{at}: {}", row.escape_ascii());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_come_back_as_they_went_in(rows in rows()) {
        for format in [Format::MongodbAuditJson, Format::MongodbAuditBson] {
            let written: Vec<_> = rows.iter().map(|row| if format == Format::MongodbAuditJson { row.json() } else { row.bson() }).collect();
            let found = whole(format, &written.concat());
            prop_assert_eq!(found.len(), rows.len());
            for ((part, frame), row) in found.iter().zip(&written).zip(&rows) {
                prop_assert_eq!(part, &Part::Record(frame.clone()));
                check(format, frame, row);
            }
        }
    }

    #[test]
    fn a_damaged_document_costs_no_other(rows in rows(), at: usize, flipped in 1_u8..) {
        let written: Vec<_> = rows.iter().map(Row::bson).collect();
        survives(Format::MongodbAuditBson, &written, at, flipped);
    }

    #[test]
    fn a_row_that_breaks_off_costs_no_other(rows in rows(), at: usize, step in 1..64_usize) {
        let written: Vec<_> = rows.iter().map(Row::json).collect();
        let torn = [&written[0][..at % written[0].len()], b"\n"].concat();
        let file = [torn, written.concat()].concat();
        let pieces: Vec<_> = if file.len() < 10_000 { file.chunks(step).collect() } else { vec![&file[..]] };
        let found = parts(Framer::new(&Format::MongodbAuditJson.into()), &pieces);
        for row in written {
            prop_assert!(found.contains(&Part::Record(row)));
        }
    }
}

#[test]
fn a_row_that_is_cut_in_its_long_text_is_still_a_row() {
    let long = Row { user: b"clerk".to_vec(), collection: b"orders".to_vec(), text: vec![b'x'; 300_000], result: 0 };
    let mut cut = Cut::new(Format::MongodbAuditJson, 4096, 1024);
    long.json().chunks(1000).for_each(|piece| cut.push(piece));
    let shortened = cut.shortened().expect("a row");
    assert!(shortened.len() < 8192);
    check(Format::MongodbAuditJson, &shortened, &long);
}
