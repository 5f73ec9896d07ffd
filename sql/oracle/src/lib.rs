//! A judge for the statement reader that others wrote: PostgreSQL's own parser, over PostgreSQL's own regression suite.
//!
//! What a statement does is brought into the same words from both sides ([`facts::Facts`]): from the parse tree that PostgreSQL's
//! parser makes, and from what [`sealtrail_sql`] read out of the text. `tests/regress.rs` compares them. Not a member of the
//! workspace: building the parser needs a C compiler, libclang and two minutes, and nothing but this test needs the parser.

pub mod definitions;
pub mod facts;
pub mod kinds;
pub mod ours;
pub mod relations;
pub mod rights;
pub mod script;
pub mod session;
pub mod tally;
pub mod tree;

use facts::Facts;
use serde_json::Value;

/// What a parse tree says that its statement does.
pub fn truth(statement: &Value) -> Facts {
    let Some((kind, fields)) = tree::node(statement) else { return Facts::default() };
    Facts {
        action: kinds::action(kind, fields),
        relations: relations::of(statement),
        objects: definitions::of(kind, fields).into_iter().chain(definitions::made(statement)).collect(),
        grant: rights::grant(kind, fields),
        role: rights::roles(kind, fields),
        settings: session::settings(kind, fields),
        transfers: session::transfers(kind, fields),
    }
}
