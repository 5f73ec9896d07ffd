//! Who is behind an account: from the configuration to the record, as `run` and `identity test` have it, and while the directory changes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "support/rows.rs"]
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealtrail::event;
use sealtrail::health::SourceHealth;
use sealtrail::held::Held;
use sealtrail::identity::{Carrier, Carriers, Loader, Watch};
use sealtrail::intake::Intake;
use sealtrail::limits::{BLOCK_BYTES_MAX, IDENTITY_LOOK_MS};
use sealtrail_parsers::{Dialect, Format};
use serde_json::Value;

const CAPTURE: &str = "tests/captures/pg15-pgaudit.csv";

// ── The whole way ────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_trail_says_who_it_was_and_leaves_the_account_as_it_is() {
    let site = Site::new(
        "[[identity.rule]]\nname = 'app'\naccount = 'app'\nkind = 'service'\nteam = 'payments'\n\
         [[identity.rule]]\nname = 'dba'\naccount = 'postgres'\nperson = 'Jane Doe'\nkind = 'break_glass'\nexpires = 2026-11-19\n",
    );
    let lines = site.drain();
    let plain = Site::new("").drain();
    let mut seen = BTreeSet::new();
    let schema = serde_json::from_str(include_str!("../docs/record.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let events = |lines: &[Value]| lines.iter().filter(|line| line["type"] == "event").cloned().collect::<Vec<_>>();
    let (lines, plain) = (events(&lines), events(&plain));
    assert!(lines.len() > 100 && lines.len() == plain.len());
    for (mut line, before) in lines.into_iter().zip(plain) {
        if let Some(error) = schema.iter_errors(&line).next() {
            panic!("{error}: {line}");
        }
        let user = line["user"].as_str().unwrap().to_owned();
        let is_stand_in = line["derived"]["user"].is_string();
        let identity = line["identity"].clone();
        match user.as_str() {
            "app" => {
                assert_eq!((&identity["rule"], &identity["team"]), (&"app".into(), &"payments".into()));
                let is_refused = line["action"] == "LOGIN FAILED";
                assert_eq!(identity["trust"], if is_refused { "asserted" } else { "mapped" }, "{line}");
                assert!(line["person"].is_null());
            }
            "postgres" => {
                assert_eq!((&line["person"], &identity["expired"]), (&"Jane Doe".into(), &true.into()));
                assert_eq!((&line["break_glass"], &line["admin"]), (&true.into(), &true.into()));
            }
            _ if is_stand_in => assert_eq!(identity["reason"], "no_account", "{line}"),
            _ => assert_eq!(identity["reason"], "no_rule", "{line}"),
        }
        seen.insert(user.clone());
        if user != "postgres" {
            for added in ["person", "identity"] {
                line.as_object_mut().unwrap().remove(added);
            }
            line["at"]["file"] = before["at"]["file"].clone();
            assert_eq!(line, before, "nothing else changes");
        }
        assert!(before["person"].is_null() && before["identity"].is_null());
    }
    for user in ["app", "postgres", "(internal)", "(pre-auth)"] {
        assert!(seen.contains(user), "{seen:?}");
    }
}

#[test]
fn whom_the_server_proved_a_session_to_be_counts_as_long_as_it_lasts() {
    let site = Site::new("[[identity.rule]]\naccount = 'app'\nauthentication = 'jane@ACME.COM'\nperson = 'Jane Doe'\n");
    let row = |session: &str, number: u32, message: &str| {
        format!(
            "2026-11-20 20:28:31.135 UTC,\"app\",\"appdb\",17061,\"10.0.0.1:5000\",{session},{number},\"authentication\",2026-11-20 20:28:31 UTC,2/1,0,LOG,00000,\
             \"{message}\",,,,,,,,,\"\",\"client backend\",,0\n"
        )
    };
    let login = "connection authorized: user=app database=appdb";
    let proven = |identity: &str| {
        format!("connection authenticated: identity=\"\"{identity}\"\" method=gss (/etc/pg_hba.conf:9)")
    };
    let statement = "AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<not logged>";
    let log = [
        row("6b00ad6f.1", 2, &proven("jane@ACME.COM")),
        row("6b00ad6f.1", 3, login),
        row("6b00ad6f.1", 4, statement),
        row("6b00ad6f.2", 2, &proven("joan@ACME.COM")),
        row("6b00ad6f.2", 3, login),
        row("6b00ad6f.2", 4, statement),
        row("6b00ad6f.3", 9, statement),
        row(
            "6b00ad6f.1",
            5,
            "disconnection: session time: 0:00:01.000 user=app database=appdb host=10.0.0.1 port=5000",
        )
        .replace("\"authentication\"", "\"idle\""),
        row("6b00ad6f.1", 6, statement),
    ];
    fs::write(site.log(), log.concat()).unwrap();
    let lines = site.drain();
    let found: Vec<String> = lines
        .iter()
        .filter(|line| line["type"] == "event")
        .map(|line| {
            let word = [&line["identity"]["trust"], &line["identity"]["reason"]].into_iter().find_map(Value::as_str);
            format!("{} {} {}", line["session"]["id"].as_str().unwrap(), line["session"]["line"], word.unwrap())
        })
        .collect();
    let expected = [
        "6b00ad6f.1 2 not_met",
        "6b00ad6f.1 3 verified",
        "6b00ad6f.1 4 verified",
        "6b00ad6f.2 2 not_met",
        "6b00ad6f.2 3 verified",
        "6b00ad6f.2 4 verified",
        "6b00ad6f.3 9 not_met",
        "6b00ad6f.1 5 verified",
        "6b00ad6f.1 6 not_met",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_an_application_says_names_the_person_and_is_never_more_than_asserted() {
    let site = Site::new(
        "[identity]\nvariables = ['app.user_id', 'app.current_user']\ncomment_keys = ['user']\napplications = ['/shop:(\\w+)/']\n\
         [[identity.rule]]\nname = 'app'\naccount = 'app'\nkind = 'service'\nteam = 'shop'\n\
         [[identity.rule]]\nname = '42'\npriority = 50\naccount = 'app'\nclaim = '42'\nperson = 'Jane Doe'\n",
    );
    let row = |number: u32, application: &str, transaction: &str, tag: &str, text: &str| {
        let text = text.replace('"', "\"\"\"\"");
        format!(
            "2026-11-20 20:28:31.135 UTC,\"app\",\"appdb\",17061,\"10.0.0.1:5000\",6b00ad6f.1,{number},\"{tag}\",2026-11-20 20:28:31 UTC,{transaction},0,LOG,00000,\
             \"AUDIT: SESSION,{number},1,MISC,{tag},,,\"\"{text}\"\",<not logged>\",,,,,,,,,\"{application}\",\"client backend\",,0\n"
        )
    };
    let log = [
        row(1, "", "2/1", "SELECT", "SELECT 1"),
        row(2, "shop:joan", "2/2", "SELECT", "SELECT 1"),
        row(3, "shop:joan", "2/3", "SELECT", "SELECT 1 /*user='mary'*/"),
        row(4, "shop:joan", "2/4", "SET", "SET app.\"current_user\" = 'bob'"),
        row(5, "shop:joan", "2/5", "SELECT", "SELECT 1 /*user='mary'*/"),
        row(6, "", "2/6", "BEGIN", "BEGIN"),
        row(7, "", "2/6", "SET", "SET LOCAL app.user_id = '42'"),
        row(8, "", "2/6", "SELECT", "SELECT 1"),
        row(9, "", "2/6", "COMMIT", "COMMIT"),
        row(10, "", "2/7", "SELECT", "SELECT 1"),
        row(11, "", "2/8", "DISCARD ALL", "DISCARD ALL"),
        row(12, "", "2/9", "SELECT", "SELECT 1"),
    ];
    fs::write(site.log(), log.concat()).unwrap();
    let lines = site.drain();
    let lines: Vec<&Value> = lines.iter().filter(|line| line["type"] == "event").collect();
    let schema = serde_json::from_str(include_str!("../docs/record.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let found: Vec<String> = lines
        .iter()
        .map(|line| {
            if let Some(error) = schema.iter_errors(line).next() {
                panic!("{error}: {line}");
            }
            let identity = &line["identity"];
            let words = [&line["person"], &identity["rule"], &identity["carrier"], &identity["trust"]];
            words.map(|word| word.as_str().unwrap_or("-")).join(" ")
        })
        .collect();
    let expected = [
        "- app - mapped",
        "joan app application asserted",
        "mary app comment asserted",
        "joan app application asserted",
        "bob app session asserted",
        "bob app session asserted",
        "bob app session asserted",
        "Jane Doe 42 session asserted",
        "Jane Doe 42 session asserted",
        "bob app session asserted",
        "bob app session asserted",
        "- app - mapped",
    ];
    assert_eq!(found, expected);
    assert_eq!(lines[4]["identity"]["claimed_in"], lines[3]["id"], "the row that set it");
    assert_eq!(lines[7]["identity"]["claimed_in"], lines[6]["id"]);
    assert_eq!(lines[7]["identity"]["claim"], "42");
}

/// Person, carrier, reason, rule and ticket of each row.
fn told(lines: &[Value]) -> Vec<String> {
    let schema = serde_json::from_str(include_str!("../docs/record.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let of = |line: &Value| {
        if let Some(error) = schema.iter_errors(line).next() {
            panic!("{error}: {line}");
        }
        let identity = &line["identity"];
        let words =
            [&line["person"], &identity["carrier"], &identity["reason"], &identity["rule"], &identity["ticket"]];
        words.map(|word| word.as_str().unwrap_or("-")).join(" ")
    };
    lines.iter().filter(|line| line["type"] == "event").map(of).collect()
}

#[test]
fn access_that_was_given_for_a_time_names_the_person_and_of_two_at_once_nobody() {
    let site = Site::new("");
    let grants = site.folder.path().join("grants.csv");
    let people = "Requester,DB User,Database,Starts At,Expires At,Approved By,Ticket\n\
                  Jane,app,appdb,2026-11-20T20:00:00Z,2026-11-20T20:20:00Z,John,CHG-1\n\
                  Joan,app,appdb,2026-11-20T20:10:00Z,2026-11-20T20:30:00Z,John,CHG-2\n\
                  Mary,web,other,2026-11-20T20:00:00Z,2026-11-20T21:00:00Z,John,CHG-3\n";
    fs::write(&grants, people).unwrap();
    let rules = "[[identity.rule]]\nname = 'app'\naccount = 'app'\nkind = 'break_glass'\nteam = 'shop'\nticket = 'OLD'\n\
                 [[identity.rule]]\nname = 'web'\naccount = 'web'\nperson = 'Bob'\nticket = 'OLD'\n";
    site.configure(&format!("[identity]\ngrants = [{grants:?}]\n{rules}"));
    let at =
        |account: &str, minute: u32| row(account, 1).replacen("20:28:31.135", &format!("20:{minute:02}:00.000"), 1);
    let log = [at("app", 0), at("app", 10), at("app", 20), at("app", 30), at("web", 5), at("crm", 5)];
    fs::write(site.log(), log.concat()).unwrap();
    let lines = site.drain();
    assert_eq!(
        told(&lines),
        [
            "Jane grant - app CHG-1",
            "- - ambiguous_grant app -",
            "Joan grant - app CHG-2",
            "- - not_valid app OLD",
            "Bob - - web OLD",
            "- - no_rule - -",
        ]
    );
    let first = lines.iter().find(|line| line["type"] == "event").unwrap();
    let identity = &first["identity"];
    assert_eq!(identity["grant"], format!("{}:2", grants.display()));
    assert_eq!((&identity["team"], &identity["kind"]), (&"shop".into(), &"break_glass".into()));
    assert_eq!((&first["break_glass"], &identity["approved_by"]), (&true.into(), &"John".into()));
    assert_eq!((&identity["trust"], &identity["valid_to"]), (&"mapped".into(), &"2026-11-20T20:20:00.000Z".into()));
    let output = site.run(&["check"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(
        said.contains(&format!("Jane in {0}:2 and Joan in {0}:3 had the same account", grants.display())),
        "{said}"
    );
    let ask = |time: &str| {
        let output = site.run(&["identity", "test", "--account", "app", "--database", "appdb", "--time", time]);
        (output.status.code().unwrap(), text(&output.stdout).lines().next().unwrap().to_owned())
    };
    assert_eq!(ask("2026-11-20T20:05:00Z"), (0, "Jane".to_owned()));
    assert_eq!(
        ask("2026-11-20T20:15:00Z"),
        (1, "nobody: several people had access to this account at once".to_owned())
    );
    assert_eq!(ask("2026-11-20T20:45:00Z"), (0, "no person: the rule names none, and no grant covers it".to_owned()));
}

/// A session that Teleport began for somebody.
fn teleport(person: &str, account: &str, time: &str, pid: u64) -> String {
    format!(
        "{{\"event\":\"db.session.start\",\"time\":\"{time}\",\"code\":\"TDB00I\",\"user\":\"{person}\",\"sid\":\"{person}\",\"db_user\":\"{account}\",\
         \"db_service\":\"orders\",\"db_name\":\"appdb\",\"postgres_pid\":{pid},\"success\":true}}\n"
    )
}

const THROUGH_TELEPORT: &str =
    "[[identity.access]]\nsource = 'teleport'\nsources = ['pg']\naddress = ['10.0.0.1']\nservice = ['orders']\n
    [[identity.rule]]\nname = 'any'\naccount = '*'\npriority = 999\nperson = 'Somebody'\n";

#[test]
fn a_session_is_whose_the_layer_before_the_database_says_and_nobodys_before_it_is_read() {
    for (teleport_first, expected) in [
        (true, ["jane access - any -", "- - no_access_event any -", "Somebody - - any -"]),
        (false, ["- - no_access_event any -", "- - no_access_event any -", "Somebody - - any -"]),
    ] {
        let site = Site::new("");
        let events = site.folder.path().join("events.log");
        fs::write(&events, teleport("jane", "app", "2026-11-20T20:28:30.500Z", 17061)).unwrap();
        let source = format!("[[source]]\nname = 'teleport'\npaths = [{events:?}]\nformat = 'teleport-audit'\n");
        let (before, after) = if teleport_first { (source.as_str(), "") } else { ("", source.as_str()) };
        site.configure_with(before, &format!("{after}{THROUGH_TELEPORT}"));
        let log = [
            row("app", 1),
            row("app", 1).replace("17061", "17062").replace("6b00ad6f.1", "6b00ad6f.2"),
            row("app", 1).replace("10.0.0.1", "10.0.0.2").replace("6b00ad6f.1", "6b00ad6f.3"),
        ];
        fs::write(site.log(), log.concat()).unwrap();
        let lines = site.drain();
        let of_database: Vec<Value> = lines.iter().filter(|line| line["source"] == "pg").cloned().collect();
        assert_eq!(told(&of_database), expected, "teleport first: {teleport_first}");
        if teleport_first {
            let event = lines.iter().find(|line| line["source"] == "teleport").unwrap();
            let identity = &of_database[0]["identity"];
            assert_eq!((&identity["claimed_in"], &identity["trust"]), (&event["id"], &"mapped".into()));
            // A start later the same session goes on, and nobody knows whose it was.
            let mut log = fs::OpenOptions::new().append(true).open(site.log()).unwrap();
            log.write_all(row("app", 2).as_bytes()).unwrap();
            let lines = site.drain();
            let last = lines.iter().rfind(|line| line["source"] == "pg").unwrap();
            assert_eq!(told(std::slice::from_ref(last)), ["- - no_access_event any -"]);
        }
    }
}

#[test]
fn a_session_of_mysql_is_joined_by_the_time_when_it_began() {
    let site = Site::new("");
    let (events, log) = (site.folder.path().join("events.log"), site.folder.path().join("audit.log"));
    let event = |person: &str, time: &str| {
        let event = teleport(person, "app", time, 0).replace(",\"postgres_pid\":0", "");
        assert!(!event.contains("pid"));
        event
    };
    let all = event("mary", "2026-11-20T10:00:00Z") + &event("jane", "2026-11-20T20:28:30.500Z");
    fs::write(&events, all + &event("joan", "2026-11-20T21:00:00Z") + &event("jane", "2026-11-20T21:00:02Z")).unwrap();
    let row = |time: &str, connection: u32, operation: &str, object: &str| {
        format!("20261120 {time},db1,app,10.0.0.1,{connection},0,{operation},appdb,{object},0\n")
    };
    let rows = [
        row("20:28:31", 17, "CONNECT", ""),
        row("20:28:40", 17, "QUERY", "'SELECT 1'"),
        row("20:28:50", 18, "QUERY", "'SELECT 2'"),
        row("21:00:01", 19, "CONNECT", ""),
        row("21:00:05", 19, "QUERY", "'SELECT 3'"),
        row("22:00:01", 20, "CONNECT", ""),
        row("22:00:05", 20, "QUERY", "'SELECT 4'"),
    ];
    fs::write(&log, rows.concat()).unwrap();
    let source = |name: &str, path: &Path, format: &str| {
        format!("[[source]]\nname = '{name}'\npaths = [{path:?}]\nformat = '{format}'\ntimezone = 'UTC'\n")
    };
    let database = source("maria", &log, "mariadb-audit") + &THROUGH_TELEPORT.replace("'pg'", "'maria'");
    site.configure_with(&source("teleport", &events, "teleport-audit"), &database);
    let lines = site.drain();
    let found = told(&lines.iter().filter(|line| line["source"] == "maria").cloned().collect::<Vec<_>>());
    let (jane, nobody) = ("jane access - any -", |reason: &str| format!("- - {reason} any -"));
    let (ambiguous, no_event) = (nobody("ambiguous_access"), nobody("no_access_event"));
    assert_eq!(found, [jane, jane, &no_event, &ambiguous, &ambiguous, &no_event, &no_event]);
}

#[test]
fn what_clients_say_to_mysql_when_they_connect_and_to_oracle_names_the_person() {
    let site = Site::new("");
    let (my, oracle) = (site.folder.path().join("my.json"), site.folder.path().join("oracle.log"));
    let event = |number: u32, connection: u32, class: &str, event: &str, data: &str| {
        format!(
            "{{\"timestamp\": \"2026-11-20 17:28:58\", \"id\": {number}, \"class\": \"{class}\", \"event\": \"{event}\", \"connection_id\": {connection},\
             \"account\": {{\"user\": \"app\", \"host\": \"\"}}, \"login\": {{\"user\": \"app\", \"os\": \"\", \"ip\": \"192.0.2.1\", \"proxy\": \"\"}},\
             \"{class}_data\": {{{data}}}}}"
        )
    };
    let connect = |number: u32, connection: u32, attributes: &str| {
        let data = format!(
            "\"connection_type\": \"tcp/ip\", \"status\": 0, \"db\": \"shop\", \"connection_attributes\": {{{attributes}}}"
        );
        event(number, connection, "connection", "connect", &data)
    };
    let query = |number: u32, connection: u32, text: &str| {
        let data = format!("\"command\": \"Query\", \"sql_command\": \"x\", \"query\": \"{text}\", \"status\": 0");
        event(number, connection, "general", "status", &data)
    };
    let events = [
        connect(0, 41, "\"_app_user\": \"jane\", \"program_name\": \"shop\""),
        connect(1, 42, "\"program_name\": \"shop\""),
        query(2, 41, "SELECT 1"),
        query(3, 42, "SELECT 2"),
        query(4, 41, "SET @app_user = 'joan'"),
        query(5, 41, "SELECT 3"),
        event(6, 41, "connection", "disconnect", "\"connection_type\": \"tcp/ip\""),
        connect(7, 41, ""),
        query(8, 41, "SELECT 4"),
    ];
    fs::write(&my, format!("[\n{}\n]\n", events.join(",\n"))).unwrap();
    let row = |client: &str| {
        format!(
            "2026-11-20T15:52:56+00:00 host journal: Oracle Unified Audit[23128]: LENGTH: '{}' TYPE:\"4\" DBID:\"1\" SESID:\"7\" CLIENTID:\"{client}\" ENTRYID:\"1\" STMTID:\"9\" \
             DBUSER:\"APP\" CURUSER:\"APP\" ACTION:\"3\" RETCODE:\"0\" SCHEMA:\"APP\" OBJNAME:\"T\" PDB_GUID:\"00\"\n",
            150 + client.len()
        )
    };
    fs::write(&oracle, row("mary") + &row("")).unwrap();
    let source = |name: &str, path: &Path, format: &str| {
        format!("[[source]]\nname = '{name}'\npaths = [{path:?}]\nformat = '{format}'\ntimezone = 'UTC'\n")
    };
    site.configure(&format!(
        "{}{}[identity]\nvariables = ['@app_user', 'client_identifier']\nconnection_attributes = ['_app_user']\n",
        source("my", &my, "mysql-audit-json"),
        source("oracle", &oracle, "oracle-syslog")
    ));
    let lines = site.drain();
    let of = |name: &str| told(&lines.iter().filter(|line| line["source"] == name).cloned().collect::<Vec<_>>());
    let (nobody, person) = ("- - no_rule - -", |name: &str| format!("{name} session - - -"));
    let found = of("my");
    assert_eq!(found[..6], [nobody, nobody, &person("jane"), nobody, &person("jane"), &person("joan")]);
    assert_eq!(found[7..], [nobody, nobody], "another connection of the same number");
    assert_eq!(of("oracle"), [person("mary"), nobody.to_owned()]);
    let my: Vec<&Value> = lines.iter().filter(|line| line["source"] == "my").collect();
    assert_eq!((&my[2]["identity"]["claimed_in"], &my[2]["identity"]["trust"]), (&my[0]["id"], &"asserted".into()));
}

#[test]
fn a_start_with_a_file_that_is_wrong_is_refused() {
    let site = Site::new("");
    let people = site.folder.path().join("people.csv");
    fs::write(&people, "account,person\na,A\na,B\n").unwrap();
    site.configure(&format!("[identity]\nfiles = [{people:?}]\n"));
    for command in [&["check"][..], &["run", "--drain"]] {
        let output = site.run(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let said = text(&output.stderr);
        let both = format!(
            "{0}:3: rule people.csv:3: may apply to the same row as rule people.csv:2 in {0}:2",
            people.display()
        );
        assert!(said.contains(&both), "{said}");
    }
}

// ── `identity test` ──────────────────────────────────────────────────────────────────────────────────────────────

const RULES: &str = "[[identity.rule]]\nname = 'night'\npriority = 5\naccount = 'app'\naddress = '10.9.0.0/16'\nvalid_to = 2026-01-31\nperson = 'Jane'\n
[[identity.rule]]\nname = 'app'\npriority = 9\naccount = 'app'\naddress = ['10.0.0.0/8', 'local']\nkind = 'service'\nteam = 'pay'\n
[[identity.rule]]\nname = 'svc'\naccount = '/svc_(.*)/'\nteam = '{1}'\n";

#[test]
fn it_is_answered_who_somebody_would_be_and_which_rules_were_passed_over() {
    let site = Site::new(RULES);
    let ask = |more: &[&str]| {
        let output = site.run(&[&["identity", "test", "--account", "app", "--time", "2026-02-01"], more].concat());
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let (code, said) = ask(&["--address", "10.9.0.1"]);
    assert_eq!(code, 0);
    assert!(said.starts_with("no person: the rule names none\n"), "{said}");
    let config = site.config();
    let config = config.display();
    for line in [
        "  rule          app\n".to_owned(),
        "  trust         mapped\n".to_owned(),
        format!("passed over: night, priority 5, in {config}:9: it is not valid any more\n"),
        "1 rule is for other accounts\n".to_owned(),
    ] {
        assert!(said.contains(&line), "{line} in {said}");
    }
    let (code, said) = ask(&["--address", "10.9.0.1", "--time", "2026-01-31T12:00:00+01:00", "--time", "2026-01-31"]);
    assert!(code == 2 && said.is_empty());
    let (code, said) = ask(&["--address", "11.0.0.1"]);
    assert_eq!(code, 1);
    assert!(said.starts_with("nobody: the rules for this account ask for something else as well\n"), "{said}");
    assert!(said.contains("passed over: app, priority 9, in "), "{said}");
    let (code, said) = ask(&["--address", "local", "--json"]);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["identity"]["rule"], &json["person"]), (0, &"app".into(), &Value::Null));
    assert_eq!(json["passed_over"][0]["unmet"], "address");
    assert_eq!(json["rules_for_other_accounts"], 1);
}

#[test]
fn without_rules_there_is_nobody_to_ask() {
    let site = Site::new("");
    let output = site.run(&["identity", "test", "--account", "app"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no identity is configured"), "{}", text(&output.stderr));
}

// ── While the directory changes ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn every_row_is_mapped_by_one_version_and_says_which_while_the_directory_changes() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["one.csv", "two.csv"].map(|name| folder.path().join(name));
    let write = |round: usize| {
        // Each version names both people after itself: a row of two versions would be seen.
        for (path, account) in files.iter().zip(["app", "web"]) {
            let new = path.with_extension("new");
            fs::write(&new, format!("account,person,team\n{account},{account} {round},{round}\n")).unwrap();
            fs::rename(&new, path).unwrap();
        }
    };
    write(0);
    let loader =
        Loader { files: files.to_vec(), server: "db1".to_owned(), sources: vec!["pg".to_owned()], ..Loader::default() };
    let loaded = loader.load().unwrap();
    let mut versions = BTreeMap::from([(loaded.directory.version.clone(), 0)]);
    let mut intake = rows::intake("pg", &Format::PostgresCsvlog.into(), None, 1 << 20);
    intake.name_people(Arc::clone(&loaded.directory), Carriers { trust: Carrier::ALL.to_vec(), ..Carriers::default() });
    let (mut watch, mut now) = (Watch::new(loader, &loaded, 0), 0);
    let rows: String = (0..100).map(|at| row(if at % 2 == 0 { "app" } else { "web" }, at)).collect();
    let mut counted = BTreeMap::new();
    for round in 1..=100 {
        write(round);
        let mut exchanged = 0;
        for _ in 0..3 {
            now += IDENTITY_LOOK_MS;
            if let Some(directory) = watch.look(now) {
                let directory = directory.unwrap();
                versions.insert(directory.version.clone(), round);
                intake.identity.as_mut().unwrap().exchange(directory);
                exchanged += 1;
            }
            for line in take(&mut intake, rows.as_bytes()) {
                let round = versions[line["identity"]["directory"].as_str().unwrap()];
                let person = format!("{} {round}", line["user"].as_str().unwrap());
                assert_eq!(line["person"], person.as_str());
                assert_eq!(line["identity"]["team"], round.to_string().as_str());
                *counted.entry(round).or_insert(0) += 1;
            }
        }
        assert_eq!(exchanged, 1, "round {round}");
    }
    assert_eq!((versions.len(), counted.len()), (101, 101));
    assert_eq!(counted.values().sum::<usize>(), 30_000);
}

#[test]
fn a_running_agent_takes_a_changed_directory_and_keeps_the_last_good_one() {
    let site = Site::new("");
    let people = site.folder.path().join("people.csv");
    fs::write(&people, "account,person\napp,Jane\n").unwrap();
    site.configure(&format!("[identity]\nfiles = [{people:?}]\n"));
    fs::write(site.log(), row("app", 1)).unwrap();
    let mut agent =
        Command::new(env!("CARGO_BIN_EXE_sealtrail")).arg("run").arg("-c").arg(site.config()).spawn().unwrap();
    let status = || -> Value {
        let output = site.run(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    let until = |what: &str, is_so: &dyn Fn(&Value) -> bool| {
        let began = Instant::now();
        loop {
            let status = status();
            if is_so(&status) {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "not {what}: {status}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let add = |account: &str, number: u64| {
        let mut log = fs::OpenOptions::new().append(true).open(site.log()).unwrap();
        log.write_all(row(account, number).as_bytes()).unwrap();
    };
    let sealed = |rows: u64| move |status: &Value| status["sources"][0]["rows_sealed"] == rows;
    until("read", &sealed(1));
    fs::write(&people, "account,person\napp,Joan\n").unwrap();
    until("changed", &|status| status["identity"]["reloads"] == 1);
    add("app", 2);
    until("read", &sealed(2));
    fs::write(&people, "account,person\napp,A\napp,B\n").unwrap();
    let broken = until("refused", &|status| status["identity"]["problem"].is_string());
    assert!(broken["not_ready"][0].as_str().unwrap().starts_with("identity: "), "{broken}");
    add("app", 3);
    add("web", 4);
    until("read", &sealed(4));
    fs::write(&people, "account,person\nweb,Mary\n").unwrap();
    let mended = until("mended", &|status| status["identity"]["reloads"] == 2);
    assert!(mended["identity"]["problem"].is_null() && mended["not_ready"][0].is_null(), "{mended}");
    assert_eq!(mended["identity"]["unmapped"][0]["account"], "web");
    add("web", 5);
    until("read", &sealed(5));
    let pid = rustix::process::Pid::from_child(&agent);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(agent.wait().unwrap().success());
    let lines = site.lines();
    let schema = serde_json::from_str(include_str!("../docs/record.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let mut told = Vec::new();
    for line in &lines {
        if let Some(error) = schema.iter_errors(line).next() {
            panic!("{error}: {line}");
        }
        let word = if line["type"] == "event" { &line["person"] } else { &line["action"] };
        told.extend(word.as_str().filter(|word| !matches!(*word, "SEAL" | "CHECKPOINT" | "SEGMENT")));
        told.extend((line["type"] == "event" && word.is_null()).then_some("-"));
    }
    let expected = [
        "STARTED",
        "Jane",
        "DIRECTORY CHANGED",
        "Joan",
        "DIRECTORY REFUSED",
        "Joan",
        "-",
        "DIRECTORY CHANGED",
        "Mary",
        "STOPPED",
    ];
    assert_eq!(told, expected);
}

fn row(account: &str, number: u64) -> String {
    format!(
        "2026-11-20 20:28:31.135 UTC,\"{account}\",\"appdb\",17061,\"10.0.0.1:5000\",6b00ad6f.1,{number},\"SELECT\",2026-11-20 20:28:31 UTC,2/1,0,LOG,00000,\
         \"AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<not logged>\",,,,,,,,,\"\",\"client backend\",,0\n"
    )
}

fn take(intake: &mut Intake, log: &[u8]) -> Vec<Value> {
    let dialect = Dialect::from(Format::PostgresCsvlog);
    let mut frames = rows::frames(&dialect, log);
    let origin = Arc::new(intake.new_origin(0, &event::file_id("pg", b"first line", 0), dialect, "log"));
    intake.take(0, &origin, &mut frames, &mut Held::default(), true, BLOCK_BYTES_MAX, &SourceHealth::default());
    values(&std::mem::take(&mut intake.block.lines))
}

// ── How the tests run ────────────────────────────────────────────────────────────────────────────────────────────

/// A folder with a log, a configuration and a state.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(identity: &str) -> Self {
        let site = Site { folder: tempfile::tempdir().unwrap() };
        fs::copy(CAPTURE, site.log()).unwrap();
        site.configure(identity);
        site
    }

    fn configure(&self, identity: &str) {
        self.configure_with("", identity);
    }

    /// `before` stands before the source of the database.
    fn configure_with(&self, before: &str, identity: &str) {
        let state = self.folder.path().join("state");
        let config = format!(
            "[agent]\nname = \"db1\"\norigin = \"acme/test/db1\"\nstate_dir = {state:?}\n{before}[[source]]\nname = \"pg\"\npaths = [{:?}]\ntimezone = \"UTC\"\n{identity}",
            self.log()
        );
        fs::write(self.config(), config).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("sealtrail.toml")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log.csv")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealtrail"));
        command.args(arguments).arg("-c").arg(self.config()).env("SEALTRAIL_LOG", "warn").output().unwrap()
    }

    /// The lines of the trail when everything is read.
    fn drain(&self) -> Vec<Value> {
        let output = self.run(&["run", "--drain"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        self.lines()
    }

    fn lines(&self) -> Vec<Value> {
        let journal = self.folder.path().join("state/journal");
        let mut segments: Vec<PathBuf> = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|extension| extension == "zst"));
        segments.sort();
        segments.iter().flat_map(|path| values(&unpacked(path))).collect()
    }
}

fn unpacked(path: &Path) -> Vec<u8> {
    zstd::decode_all(fs::File::open(path).unwrap()).unwrap()
}

fn values(lines: &[u8]) -> Vec<Value> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
