//! What a row of Oracle's audit means, whichever way it was written.
//!
//! Traditional auditing writes [`aud`] files and [`xml`], and lines to [`syslog`], as unified auditing does. The fields are the same under
//! several names. What is hard:
//!
//! - An action is a number. Its name is not in the row: it comes from Oracle's table, and the number is kept beside it.
//! - What SYS does is written differently: `ACTION` is the statement there, and the number has a field of its own, if any.
//!
//! Fields: Oracle Database Security Guide, "Auditing"; Database Reference, `SYS.AUD$`, `AUDIT_ACTIONS`, `UNIFIED_AUDIT_TRAIL`.

mod actions;
pub mod aud;
pub mod syslog;
pub mod xml;

use arrayvec::ArrayVec;

use crate::extra::EXTRA_MAX;
use crate::record::{Act, Client, Record, Session, Statement, Status, Value};
use crate::scratch::Room;

/// What a field is to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    User,
    Session,
    Code,
    /// A number, or of SYS the statement.
    Action,
    Number,
    Sql,
    Object,
    Schema,
    Comment,
    Host,
    Time,
    Extra,
}

/// A field by its name.
fn known(name: &[u8]) -> Option<(Role, &'static str)> {
    Some(match name {
        b"USERID" => (Role::User, "USERID"),
        b"DBUSER" => (Role::User, "DBUSER"),
        b"DATABASE USER" => (Role::User, "DATABASE USER"),
        b"DB_User" => (Role::User, "DB_User"),
        b"SESSIONID" => (Role::Session, "SESSIONID"),
        b"SESID" => (Role::Session, "SESID"),
        b"Session_Id" => (Role::Session, "Session_Id"),
        b"RETURNCODE" => (Role::Code, "RETURNCODE"),
        b"RETCODE" => (Role::Code, "RETCODE"),
        b"STATUS" => (Role::Code, "STATUS"),
        b"Returncode" => (Role::Code, "Returncode"),
        b"ACTION" => (Role::Action, "ACTION"),
        b"Action" => (Role::Action, "Action"),
        b"ACTION NUMBER" => (Role::Number, "ACTION NUMBER"),
        b"Sql_Text" => (Role::Sql, "Sql_Text"),
        b"SQL$TEXT" => (Role::Sql, "SQL$TEXT"),
        b"OBJ$NAME" => (Role::Object, "OBJ$NAME"),
        b"OBJNAME" => (Role::Object, "OBJNAME"),
        b"Object_Name" => (Role::Object, "Object_Name"),
        b"OBJ$CREATOR" => (Role::Schema, "OBJ$CREATOR"),
        b"SCHEMA" => (Role::Schema, "SCHEMA"),
        b"Object_Schema" => (Role::Schema, "Object_Schema"),
        b"COMMENT$TEXT" => (Role::Comment, "COMMENT$TEXT"),
        b"Comment_Text" => (Role::Comment, "Comment_Text"),
        b"CLIENT ADDRESS" => (Role::Comment, "CLIENT ADDRESS"),
        b"USERHOST" => (Role::Host, "USERHOST"),
        b"Userhost" => (Role::Host, "Userhost"),
        b"Extended_Timestamp" => (Role::Time, "Extended_Timestamp"),
        b"ENTRYID" => (Role::Extra, "ENTRYID"),
        b"STATEMENT" => (Role::Extra, "STATEMENT"),
        b"TERMINAL" => (Role::Extra, "TERMINAL"),
        b"PRIV$USED" => (Role::Extra, "PRIV$USED"),
        b"OS$USERID" => (Role::Extra, "OS$USERID"),
        b"DBID" => (Role::Extra, "DBID"),
        b"OBJ$PRIVILEGES" => (Role::Extra, "OBJ$PRIVILEGES"),
        b"AUTH$PRIVILEGES" => (Role::Extra, "AUTH$PRIVILEGES"),
        b"AUTH$GRANTEE" => (Role::Extra, "AUTH$GRANTEE"),
        b"NEW$OWNER" => (Role::Extra, "NEW$OWNER"),
        b"NEW$NAME" => (Role::Extra, "NEW$NAME"),
        b"NEW$CREATOR" => (Role::Extra, "NEW$CREATOR"),
        b"SES$ACTIONS" => (Role::Extra, "SES$ACTIONS"),
        b"SES$TID" => (Role::Extra, "SES$TID"),
        b"LOGOFF$LREAD" => (Role::Extra, "LOGOFF$LREAD"),
        b"LOGOFF$PREAD" => (Role::Extra, "LOGOFF$PREAD"),
        b"LOGOFF$LWRITE" => (Role::Extra, "LOGOFF$LWRITE"),
        b"LOGOFF$DEAD" => (Role::Extra, "LOGOFF$DEAD"),
        b"LOGOFF$TIME" => (Role::Extra, "LOGOFF$TIME"),
        b"CLIENT$ID" => (Role::Extra, "CLIENT$ID"),
        b"CLIENTID" => (Role::Extra, "CLIENTID"),
        b"OBJ$EDITION" => (Role::Extra, "OBJ$EDITION"),
        b"CURRENT_USER" => (Role::Extra, "CURRENT_USER"),
        b"PROXY$SID" => (Role::Extra, "PROXY$SID"),
        b"INSTANCE#" => (Role::Extra, "INSTANCE#"),
        b"PROCESS#" => (Role::Extra, "PROCESS#"),
        b"XID" => (Role::Extra, "XID"),
        b"SCN" => (Role::Extra, "SCN"),
        b"SPARE1" => (Role::Extra, "SPARE1"),
        b"SQL$BIND" => (Role::Extra, "SQL$BIND"),
        b"TYPE" => (Role::Extra, "TYPE"),
        b"STMTID" => (Role::Extra, "STMTID"),
        b"CURUSER" => (Role::Extra, "CURUSER"),
        b"PDB_GUID" => (Role::Extra, "PDB_GUID"),
        b"PRIVILEGE" => (Role::Extra, "PRIVILEGE"),
        b"CLIENT USER" => (Role::Extra, "CLIENT USER"),
        b"CLIENT TERMINAL" => (Role::Extra, "CLIENT TERMINAL"),
        b"CURRENT USER" => (Role::Extra, "CURRENT USER"),
        b"CON_NAME" => (Role::Extra, "CON_NAME"),
        b"Audit_Type" => (Role::Extra, "Audit_Type"),
        b"Proxy_Session_Id" => (Role::Extra, "Proxy_Session_Id"),
        b"StatementId" => (Role::Extra, "StatementId"),
        b"EntryId" => (Role::Extra, "EntryId"),
        b"Global_Uid" => (Role::Extra, "Global_Uid"),
        b"Client_Id" => (Role::Extra, "Client_Id"),
        b"Ext_Name" => (Role::Extra, "Ext_Name"),
        b"OS_User" => (Role::Extra, "OS_User"),
        b"OS_Process" => (Role::Extra, "OS_Process"),
        b"Terminal" => (Role::Extra, "Terminal"),
        b"Instance_Number" => (Role::Extra, "Instance_Number"),
        b"Policy_Name" => (Role::Extra, "Policy_Name"),
        b"New_Owner" => (Role::Extra, "New_Owner"),
        b"New_Name" => (Role::Extra, "New_Name"),
        b"Stmt_Type" => (Role::Extra, "Stmt_Type"),
        b"TransactionId" => (Role::Extra, "TransactionId"),
        b"Scn" => (Role::Extra, "Scn"),
        b"AuthPrivileges" => (Role::Extra, "AuthPrivileges"),
        b"OSPrivilege" => (Role::Extra, "OSPrivilege"),
        b"Grantee" => (Role::Extra, "Grantee"),
        b"Priv_Used" => (Role::Extra, "Priv_Used"),
        b"SES_Actions" => (Role::Extra, "SES_Actions"),
        b"Ses_Actions" => (Role::Extra, "Ses_Actions"),
        b"Obj_Edition_Name" => (Role::Extra, "Obj_Edition_Name"),
        b"Priv_Granted" => (Role::Extra, "Priv_Granted"),
        b"Econtext_id" => (Role::Extra, "Econtext_id"),
        b"EContext_Id" => (Role::Extra, "EContext_Id"),
        b"Current_User" => (Role::Extra, "Current_User"),
        b"Sql_Bind" => (Role::Extra, "Sql_Bind"),
        b"RLS_Information" => (Role::Extra, "RLS_Information"),
        b"Con_Name" => (Role::Extra, "Con_Name"),
        _ => return None,
    })
}

/// More fields than any row has.
const FIELDS_MAX: usize = 48;

/// One row, unescaped.
#[derive(Debug, Default)]
struct Row<'a> {
    time: &'a [u8],
    pid: Option<u64>,
    fields: ArrayVec<(Role, &'static str, &'a [u8]), FIELDS_MAX>,
    /// Fields of no known name, as they stand, one behind the other.
    other: Vec<&'a [u8]>,
    flags: ArrayVec<&'static str, 2>,
}

impl<'a> Row<'a> {
    /// Takes a field; `raw` is all of it.
    fn take(&mut self, name: &[u8], value: &'a [u8], raw: &'a [u8]) {
        self.take_as(known(name), value, raw);
    }

    /// Takes a field of which it is known what it is.
    fn take_as(&mut self, role: Option<(Role, &'static str)>, value: &'a [u8], raw: &'a [u8]) {
        match role {
            Some((Role::Time, _)) if self.time.is_empty() => self.time = value,
            Some((role, name)) if self.fields.len() < FIELDS_MAX - 2 => {
                self.fields.push((role, name, value));
            }
            _ => self.other.push(raw),
        }
    }

    fn flag(&mut self, flag: &'static str) {
        if !self.flags.contains(&flag) {
            let _ = self.flags.try_push(flag);
        }
    }

    fn get(&self, role: Role) -> Option<&'a [u8]> {
        let found = self.fields.iter().find(|(of, ..)| *of == role);
        found.map(|(.., value)| *value).filter(|value| !value.is_empty())
    }

    /// Makes the record. Needs as much room as the object's names and the unknown fields are long.
    fn record(mut self, room: &mut Room<'a>) -> Record<'a> {
        let action = self.get(Role::Action);
        let is_number = action.is_some_and(|action| action.iter().all(u8::is_ascii_digit));
        let number = self.get(Role::Number).or(action.filter(|_| is_number)).or_else(|| self.fine_grained());
        let sql = self.get(Role::Sql).or(action.filter(|_| !is_number));
        let status = match self.get(Role::Code) {
            Some(b"0") => Status::Success,
            Some(_) => Status::Failure,
            None => Status::Unknown,
        };
        let is_connect = number.is_none() && sql == Some(b"CONNECT");
        let command = number.map(|number| actions::name(number).map_or(number, str::as_bytes));
        let mut record = Record {
            time: self.time,
            act: act(if is_connect { Some(b"100") } else { number }, status),
            user: self.get(Role::User),
            client: self.client(),
            session: Session { id: self.get(Role::Session), pid: self.pid, ..Session::default() },
            command: command.or(sql.filter(|_| is_connect)),
            object: self.object(room),
            status,
            error_code: self.get(Role::Code).filter(|_| status == Status::Failure),
            statement: sql.filter(|_| !is_connect).map(|sql| Statement { text: Some(sql), ..Statement::default() }),
            ..Record::default()
        };
        self.add_extra(&mut record, is_number, room);
        record
    }

    /// Fine-grained auditing has a bit for each kind of statement instead of an action.
    fn fine_grained(&self) -> Option<&'static [u8]> {
        let kind = self.fields.iter().find(|(_, name, _)| *name == "Stmt_Type").map(|(.., value)| *value)?;
        Some(match kind {
            b"1" => b"3",
            b"2" => b"2",
            b"4" => b"6",
            b"8" => b"7",
            _ => return None,
        })
    }

    /// `SCHEMA.NAME`, each part as the server wrote it.
    fn object(&self, room: &mut Room<'a>) -> Option<&'a [u8]> {
        let name = self.get(Role::Object)?;
        let Some(schema) = self.get(Role::Schema) else { return Some(name) };
        Some(join(&[schema, name], b".", room))
    }

    /// The address in `(ADDRESS=(PROTOCOL=tcp)(HOST=10.0.0.7)(PORT=43679))`, else the host's name.
    fn client(&self) -> Client<'a> {
        let part = |name: &[u8]| {
            let comment = self.get(Role::Comment)?;
            let at = memchr::memmem::find(comment, name)? + name.len();
            let rest = comment.get(at..)?;
            rest.get(..memchr::memchr(b')', rest)?)
        };
        let address = part(b"(HOST=").filter(|host| !host.is_empty()).or(self.get(Role::Host));
        let port = part(b"(PORT=").and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
        Client { address, port, application: None }
    }

    fn add_extra(&mut self, record: &mut Record<'a>, is_number: bool, room: &mut Room<'a>) {
        for (role, name, value) in &self.fields {
            let is_kept = match role {
                Role::Extra | Role::Schema | Role::Comment | Role::Host | Role::Number => true,
                Role::Action => is_number,
                // A second field of the same kind.
                Role::User => record.user != Some(value),
                Role::Session => record.session.id != Some(value),
                Role::Sql => record.statement.is_none_or(|statement| statement.text != Some(value)),
                Role::Object => record.object.is_none_or(|object| !object.ends_with(value)),
                Role::Code | Role::Time => false,
            };
            if !is_kept || value.is_empty() {
                continue;
            }
            if record.extra.len() < EXTRA_MAX - 1 {
                record.extra.push((name, Value::Text(value)));
            } else {
                self.other.push(value);
            }
        }
        if !self.other.is_empty() {
            record.extra.push(("other", Value::Text(join(&self.other, b" ", room))));
        }
        for flag in &self.flags {
            record.flags.push(flag);
        }
    }
}

fn act(number: Option<&[u8]>, status: Status) -> Act {
    match (number, status) {
        (Some(b"100"), Status::Failure) => Act::LoginFailed,
        (Some(b"100"), _) => Act::Login,
        (Some(b"101" | b"102"), _) => Act::Logout,
        // One row for all that a session did with an object.
        (Some(b"103"), _) => Act::TableAccess,
        (_, Status::Failure) => Act::FailedStatement,
        _ => Act::Statement,
    }
}

fn join<'a>(parts: &[&'a [u8]], between: &[u8], room: &mut Room<'a>) -> &'a [u8] {
    room.write(|out| {
        let mut len = 0;
        for (index, part) in parts.iter().enumerate() {
            for bytes in [if index == 0 { b"" } else { between }, part] {
                let free = out.get_mut(len..).unwrap_or_default();
                let copied = bytes.len().min(free.len());
                free[..copied].copy_from_slice(&bytes[..copied]);
                len += copied;
            }
        }
        len
    })
}
