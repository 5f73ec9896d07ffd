use sealtrail_sql_oracle::*;
use std::collections::BTreeMap;
fn main() {
    let mut kinds: BTreeMap<(String,String),(usize, usize,usize,usize,usize)> = BTreeMap::new();
    let (mut refused, mut total, mut vars, mut cmds, mut data) = (0,0,0,0,0);
    let show = std::env::args().nth(1).unwrap_or_default();
    let dir = "../../target/oracle/postgresql-15/sql";
    for e in std::fs::read_dir(dir).unwrap() {
        let p = e.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&p).unwrap()).into_owned();
        let s = script::cut(&text);
        vars += s.with_variables; cmds += s.commands; data += s.data_lines;
        for piece in s.pieces {
            total += 1;
            match tree::parse(&piece.text, piece.backslash) {
                Ok(trees) => for t in trees {
                    let f = truth(&t);
                    let k = tree::node(&t).unwrap().0.to_owned();
                    if k == show || f.action == show { println!("{}\n   {:?}", piece.text, f); }
                    let e = kinds.entry((k, f.action)).or_default();
                    e.0 += 1; e.1 += f.relations.len(); e.2 += f.objects.len(); e.3 += f.grant.len(); e.4 += f.role.len();
                },
                Err(e) => { refused += 1; if show == "refused" { println!("{}:{}: {e}: {}", p.file_name().unwrap().to_string_lossy(), piece.line, piece.text.chars().take(150).collect::<String>().replace('\n', " ")); } }
            }
        }
    }
    for (k, v) in kinds { println!("{k:?} {v:?}"); }
    println!("total {total} refused {refused} vars {vars} cmds {cmds} data {data}");
}
