//! What a statement does, in words that both sides can be brought to: sets of short texts.

use std::collections::BTreeSet;

/// Texts such as `read public.orders`, `TABLE orders`, `to app`.
pub type Items = BTreeSet<String>;

/// What a statement does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What kind of statement it is, as a command tag: `CREATE TABLE AS`.
    pub action: String,
    /// Relations that are read and written: `read a.b`, `insert a.b`.
    pub relations: Items,
    /// What DDL is about, by kind and name: `TABLE a.b`, and to what it belongs: `on TABLE a.b`.
    pub objects: Items,
    /// GRANT and REVOKE: privileges, columns, objects, grantees, options, grantor.
    pub grant: Items,
    /// Roles: which, and their attributes.
    pub role: Items,
    /// Parameters that are set or put back: `search_path set`.
    pub settings: Items,
    /// Data that leaves or enters as a whole: `out program cat`.
    pub transfers: Items,
}

/// The classes of facts, by name.
pub const CLASSES: &[&str] = &["relations", "objects", "grant", "role", "settings", "transfers"];

impl Facts {
    /// The items of a class of [`CLASSES`].
    pub fn of(&self, class: &str) -> &Items {
        match class {
            "relations" => &self.relations,
            "objects" => &self.objects,
            "grant" => &self.grant,
            "role" => &self.role,
            "settings" => &self.settings,
            _ => &self.transfers,
        }
    }
}
