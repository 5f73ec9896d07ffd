//! Any bytes are read to their end, in every dialect; what is found lies in its statement, and reading again finds the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealtrail_sql::{Dialect, Reader, Reading, Span, Value, name};

fuzz_target!(|text: &[u8]| {
    let (mut reader, mut reading, mut again) = (Reader::new(), Reading::new(), Reading::new());
    for dialect in [Dialect::POSTGRES, Dialect::MYSQL, Dialect::ORACLE, Dialect::TSQL] {
        reader.read(dialect, text, &mut reading);
        check(dialect, text, &reading);
        Reader::new().read(dialect, text, &mut again);
        assert_eq!(reading, again);
    }
});

fn check(dialect: Dialect, text: &[u8], reading: &Reading) {
    let mut end = 0;
    for statement in &reading.statements {
        assert!(end <= statement.span.start && statement.span.start < statement.span.end);
        end = statement.span.end;
        assert!(end as usize <= text.len());
        let within = |span: Span| span.is_empty() || statement.span.start <= span.start && span.end <= statement.span.end;
        for relation in reading.relations(statement) {
            assert!(!relation.name.is_empty() && relation.name.parts().into_iter().all(within));
            relation.name.normalized(dialect, text);
        }
        for object in reading.objects(statement) {
            assert!(object.name.parts().into_iter().all(within));
        }
        for principal in reading.principals(statement) {
            assert!(!principal.name.is_empty() && within(principal.name) && within(principal.host));
            name::normalized(dialect, principal.name.of(text));
        }
        reading.privileges(statement).iter().for_each(|one| assert!(within(one.name) && within(one.columns)));
        let value_within = |value: Value| match value {
            Value::Text(span) | Value::Secret(span) => within(span),
            _ => true,
        };
        reading.attributes(statement).iter().for_each(|one| assert!(value_within(one.value)));
        reading.settings(statement).iter().for_each(|one| assert!(value_within(one.value)));
        reading.settings(statement).iter().for_each(|one| assert!(within(one.parameter)));
        reading.transfers(statement).iter().for_each(|one| assert!(within(one.target)));
    }
}
