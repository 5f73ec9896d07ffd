//! Writing csvlog and jsonlog rows as PostgreSQL 15 with pgAudit writes them.

use serde_json::json;

/// What one row says.
pub struct Row<'a> {
    pub user: &'a str,
    pub session: &'a str,
    pub line: u64,
    pub sql: &'a str,
}

const TIME: &str = "2026-11-20 20:19:03.841 UTC";
const START: &str = "2026-11-20 20:19:03 UTC";

/// The row as csvlog, its newline included.
pub fn csv(row: &Row<'_>) -> String {
    let message = quoted(&audit(row.sql));
    let Row { user, session, line, .. } = row;
    format!(
        "{TIME},{},\"appdb\",4321,\"127.0.0.1:33948\",{session},{line},\"SELECT\",{START},3/29,0,LOG,00000,{message},,,,,,,,,\"psql\",\"client backend\",,0\n",
        quoted(user),
    )
}

/// The row as jsonlog, its newline included.
pub fn json(row: &Row<'_>) -> String {
    // Keys in the server's order: `detect` and people look at the first ones.
    let text = |value: &str| json!(value).to_string();
    format!(
        "{{\"timestamp\":\"{TIME}\",\"user\":{},\"dbname\":\"appdb\",\"pid\":4321,\"remote_host\":\"127.0.0.1\",\"remote_port\":33948,\"session_id\":\"{}\",\"line_num\":{},\"ps\":\"SELECT\",\"session_start\":\"{START}\",\"vxid\":\"3/29\",\"txid\":0,\"error_severity\":\"LOG\",\"message\":{},\"application_name\":\"psql\",\"backend_type\":\"client backend\",\"query_id\":0}}\n",
        text(row.user),
        row.session,
        row.line,
        text(&audit(row.sql)),
    )
}

/// pgAudit's payload: a field is quoted only where it has to be.
fn audit(sql: &str) -> String {
    let sql = if sql.contains([',', '"', '\n', '\r']) { quoted(sql) } else { sql.to_owned() };
    format!("AUDIT: SESSION,1,1,READ,SELECT,,,{sql},<none>")
}

/// In quotes, with quotes doubled, as the server writes a field.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
