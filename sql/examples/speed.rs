//! How fast tokens and readings come: `cargo run --release -p sealtrail-sql --example speed [FILE…]`.
//!
//! Without files it reads a handful of usual statements over and over; with files, each line of them as one statement of
//! PostgreSQL. Prints megabytes a second of CPU, which Linux counts, so that others on the machine do not matter much.

#![allow(clippy::expect_used, reason = "a program for people")]

use std::hint::black_box;

use sealtrail_sql::{Dialect, Reader, Reading, Tokens};

const USUAL: &[&str] = &[
    "SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.created_at > $1 AND o.status IN ('open', 'paid') ORDER BY o.created_at DESC LIMIT 50",
    "INSERT INTO audit.events (at, who, what, detail) VALUES (now(), $1, $2, '{\"a\": 1, \"b\": \"some longer text that is carried along\"}')",
    "UPDATE accounts SET balance = balance - 100.00, updated_at = CURRENT_TIMESTAMP WHERE account_id = 4711 AND version = 12",
    "WITH recent AS (SELECT * FROM sales.orders WHERE day > current_date - 7) SELECT r.region, sum(r.total), count(*) FROM recent r LEFT JOIN regions g USING (region_id) GROUP BY 1",
    "DELETE FROM sessions WHERE expires_at < now() - interval '30 days'",
    "GRANT SELECT, INSERT (id, name) ON TABLE hr.employees, hr.departments TO analyst, \"Reporting\" WITH GRANT OPTION",
    "CREATE TABLE IF NOT EXISTS hr.employees (id bigint PRIMARY KEY, name text NOT NULL, dept int REFERENCES hr.departments (id), salary numeric(10,2) DEFAULT 0)",
    "BEGIN",
];

const TRIES: usize = 50;

fn main() {
    let files: Vec<Vec<u8>> = std::env::args().skip(1).map(|path| std::fs::read(path).expect("a file")).collect();
    let mut texts: Vec<&[u8]> = files.iter().flat_map(|file| file.split(|byte| *byte == b'\n')).collect();
    if texts.is_empty() {
        texts = USUAL.iter().map(|text| text.as_bytes()).collect();
    }
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let rounds = 200_000_000 / bytes.max(1) + 1;
    let lexing = measure(rounds, || texts.iter().map(|text| Tokens::new(Dialect::POSTGRES, text).count()).sum());
    let (mut reader, mut reading) = (Reader::new(), Reading::new());
    let both = measure(rounds, || {
        texts.iter().for_each(|text| reader.read(Dialect::POSTGRES, text, black_box(&mut reading)));
        reading.statements.len()
    });
    let speed = |seconds: f64| bytes as f64 * rounds as f64 / 1e6 / seconds;
    println!("{} statements, {bytes} bytes, {rounds} rounds", texts.len());
    println!("lexing              {:7.0} MB/s", speed(lexing));
    println!("lexing and reading  {:7.0} MB/s", speed(both));
}

/// Seconds of CPU that `work` takes so many times, by the best of many tries: the others on the machine disturb the rest.
fn measure(rounds: usize, mut work: impl FnMut() -> usize) -> f64 {
    let a_try = (rounds / TRIES).max(1);
    let one = || {
        let begin = cpu_seconds();
        for _ in 0..a_try {
            black_box(work());
        }
        (cpu_seconds() - begin) / a_try as f64
    };
    std::iter::repeat_with(one).take(TRIES).fold(f64::MAX, f64::min) * rounds as f64
}

/// What this process has had of a CPU so far.
fn cpu_seconds() -> f64 {
    let all = std::fs::read_to_string("/proc/self/schedstat").expect("Linux");
    all.split(' ').next().and_then(|first| first.parse().ok()).map_or(0.0, |ns: f64| ns / 1e9)
}
