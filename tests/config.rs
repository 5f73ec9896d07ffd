//! The configuration: what is wrong with it is said at once, defaults are where the example says, secrets stay secret.
//!
//! `tests/config/NAME.toml` is a wrong file and `NAME.txt` all that is said about it. `SEALTRAIL_ACCEPT=1 cargo test` writes the
//! latter anew; look at the difference before you keep it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::env::VarError;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sealtrail::config::plan::{DestinationKind, Plan};
use sealtrail::config::{self, ConfigError, Reading, Surroundings, keys};

const SOURCE: &str = "[[source]]\nname = \"pg\"\npaths = [\"/var/log/postgresql/*.csv\"]\n";

// ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn every_wrong_file_is_told_what_is_wrong_with_it() {
    let accept = std::env::var_os("SEALTRAIL_ACCEPT").is_some();
    let mut different = Vec::new();
    for path in wrong_files() {
        let error = read(&path).unwrap_err();
        let said = format!("{error}\n");
        let expected = path.with_extension("txt");
        if accept {
            fs::write(&expected, &said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            different.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn no_mistake_repeats_a_secret_that_stands_in_the_file() {
    for path in wrong_files() {
        let error = read(&path).unwrap_err();
        for said in [error.to_string(), format!("{error:?}"), error.json().to_string()] {
            assert!(!said.contains("hunter"), "{}: {said}", path.display());
        }
    }
}

#[test]
fn mistakes_are_in_the_order_of_the_file_with_line_and_column() {
    let error = read(Path::new("tests/config/all_at_once.toml")).unwrap_err();
    let lines: Vec<usize> = error.mistakes().iter().map(|mistake| mistake.line).collect();
    assert!(lines.len() > 40 && lines.is_sorted(), "{lines:?}");
    let json = error.json();
    assert_eq!(json["mistakes"][1]["line"], 3);
    assert_eq!(json["mistakes"][1]["column"], 1);
    assert_eq!(json["mistakes"][1]["section"], "[agent]");
    assert_eq!(json["mistakes"][1]["key"], "jornal_max_bytes");
    assert_eq!(json["mistakes"][1]["hint"], "did you mean journal_max_bytes?");
}

#[test]
fn a_file_that_cannot_be_read_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    assert_unreadable(&missing, "no such file");
    assert_unreadable(folder.path(), "is a folder");

    let latin1 = folder.path().join("latin1.toml");
    fs::write(&latin1, b"[agent]\nname = \"caf\xe9\"\n").unwrap();
    assert_unreadable(&latin1, "not UTF-8 at byte 19, line 2");

    let huge = folder.path().join("huge.toml");
    fs::File::create(&huge).unwrap().set_len(5 << 20).unwrap();
    assert_unreadable(&huge, "larger than 4MiB");

    let closed = folder.path().join("closed.toml");
    fs::write(&closed, SOURCE).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read it all the same.
    if fs::File::open(&closed).is_err() {
        assert_unreadable(&closed, "permission denied");
    }
}

fn assert_unreadable(path: &Path, reason: &str) {
    match read(path) {
        Err(ConfigError::Unreadable { reason: found, hint, .. }) => {
            assert!(found.contains(reason), "{found}");
            assert!(!hint.is_empty());
        }
        other => panic!("{}: {other:?}", path.display()),
    }
}

// ── Defaults and the example ─────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_example_does_the_same_as_the_smallest_file() {
    let example = read_text(&example()).unwrap();
    let smallest = read_text(&example_lines(|line| line == "[[source]]" || line.contains("# required"))).unwrap();
    assert_eq!(debug(example.plan), debug(smallest.plan));
}

#[test]
fn every_key_of_the_example_stands_at_its_default() {
    let written = example_lines(|line| !line.contains("# example"));
    // The example's further destinations have keys without a default; the next test is about those.
    let written = written.split("[[destination]]").take(2).collect::<Vec<_>>().join("[[destination]]");
    let smallest = read_text(&example()).unwrap();
    assert_eq!(debug(read_text(&written).unwrap().plan), debug(smallest.plan));
}

#[test]
fn every_key_of_the_example_destinations_stands_at_its_default() {
    let needed = ["name", "type", "url", "bucket", "address"].map(|key| format!("{key} = "));
    let is_needed = |line: &str| line.contains("# needed") || needed.iter().any(|key| line.starts_with(key));
    let with_defaults = example_lines(|line| is_needed(line) || !line.contains("# example"));
    let without = example_lines(|line| {
        is_header(line) || is_needed(line) || line.contains("# required") || line.starts_with("path = ")
    });
    let (with_defaults, without) = (without_optional(&with_defaults), without_optional(&without));
    let (with_defaults, without) = (read_text(&with_defaults).unwrap(), read_text(&without).unwrap());
    assert_eq!(without.plan.destinations.len(), keys::destination_types().count());
    assert_eq!(debug(with_defaults.plan), debug(without.plan));
}

#[test]
fn the_example_holds_every_key_once_and_no_other() {
    let text = lines_of(&example(), |_| true);
    let mut expected = keys::all();
    let mut found = key_names(&text);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn the_documentation_names_every_key() {
    let page = fs::read_to_string("docs/configuration.md").unwrap();
    for key in keys::all() {
        let key = key.rsplit('.').next().unwrap();
        assert!(page.contains(&format!("`{key}`")), "docs/configuration.md lacks `{key}`");
    }
}

#[test]
fn the_smallest_file_delivers_to_a_folder_in_the_state_dir() {
    let plan = read_text(&format!("[agent]\nstate_dir = \"/srv/s\"\n{SOURCE}")).unwrap().plan;
    let [destination] = plan.destinations.as_slice() else { panic!("{plan:?}") };
    let DestinationKind::File(file) = &destination.kind else { panic!("{plan:?}") };
    assert_eq!((destination.name.as_str(), destination.required), ("archive", true));
    assert_eq!(file.path, Path::new("/srv/s/archive"));
    assert_eq!(plan.health.status_socket, Path::new("/srv/s/status.sock"));
    assert_eq!((plan.agent.name.as_str(), plan.agent.origin.as_str()), ("orders-db-1", "orders-db-1"));
}

// ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn variables_are_replaced_in_values_and_not_twice() {
    let plan = read_text(
        "[agent]\norigin = \"acme/${SET}\"\n[[source]]\nname = \"a\"\npaths = [\"/${SET}/*\"]\nlabels = { a = \"$${SET}\" }\n",
    );
    let plan = plan.unwrap().plan;
    assert_eq!(plan.agent.origin, "acme/from-env");
    assert_eq!(plan.sources[0].paths, ["/from-env/*"]);
    assert_eq!(plan.sources[0].labels["a"], "${SET}");
}

#[test]
fn an_origin_is_accepted_where_run_can_sign_under_it() {
    for origin in ["a".repeat(200), "a".repeat(201), "ü".repeat(101), "a\u{a0}b".to_owned(), "ü/ü".to_owned()] {
        let read = read_text(&format!("[agent]\norigin = \"{origin}\"\n{SOURCE}"));
        assert_eq!(read.is_ok(), sealtrail_seal::check_origin(&origin).is_ok(), "{origin}");
    }
}

#[test]
fn a_pattern_without_a_slash_leaves_out_that_name_in_every_folder() {
    let plan = read_text(&format!("{SOURCE}exclude = [\"*.gz\", \"/var/log/x/*\"]\n")).unwrap().plan;
    assert_eq!(plan.sources[0].exclude, ["/**/*.gz", "/var/log/x/*"]);
    assert!(glob::Pattern::new("/**/*.gz").unwrap().matches("/var/log/postgresql/a.gz"));
}

#[test]
fn a_token_is_read_from_a_file_without_its_newline() {
    let lines = |keys: &str| format!("{SOURCE}\n[[destination]]\nname = \"c\"\n{keys}\n");
    let syslog = |keys: &str| lines(&format!("type = \"syslog\"\naddress = \"logs.example:6514\"\n{keys}"));
    assert_warned(&syslog("transport = \"tcp\""), "tcp to logs.example: records travel in the clear");
    assert_warned(&syslog("transport = \"udp\""), "nobody can tell which");
    assert_warned(&syslog(""), "never say that they have a line");
    let kafka = "type = \"kafka\"\nbrokers = [\"[::1]:9092\", \"kafka.example:9092\"]\ntopic = \"audit\"\ntransport = \"tcp\"\n";
    assert_warned(&lines(kafka), "tcp to kafka.example: records");
    assert_warned(&lines("type = \"stdout\""), "never say that they have a line");
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "s3cr3t\n").unwrap();
    let reading = read_text(&http(&format!("token_file = {token:?}"))).unwrap();
    let DestinationKind::Http(http) = &reading.plan.destinations[0].kind else { panic!() };
    assert_eq!(http.token.as_ref().map(|token| token.expose()), Some("s3cr3t".to_owned()));
}

#[test]
fn a_header_says_something_of_its_batch_unless_a_variable_stands_in_it() {
    let text = http("headers = { X-Batch = \"{first}\", X-Set = \"${SET}{first\", X-Plain = \"1\" }");
    let reading = read_text(&text).unwrap();
    let DestinationKind::Http(http) = &reading.plan.destinations[0].kind else { panic!() };
    assert_eq!(http.templates.keys().collect::<Vec<_>>(), ["X-Batch"]);
    let fixed = ["X-Set", "X-Plain"].map(|name| http.headers[name].expose());
    assert_eq!(fixed, ["from-env{first", "1"]);
}

#[test]
fn a_token_of_sentinel_is_for_azure_monitor_unless_another_scope_is_written() {
    let scope = |more: &str| {
        let text = format!(
            "{SOURCE}\n[[destination]]\nname = \"s\"\ntype = \"sentinel\"\nurl = \"https://x.ingest.monitor.azure.com\"\nrule = \"dcr-1\"\n\
             stream = \"Custom-S\"\noauth2 = {{ token_url = \"https://login.example/\", client_id = \"x\", client_secret = \"${{SET}}\"{more} }}\n"
        );
        let reading = read_text(&text).unwrap();
        let DestinationKind::Sentinel(sentinel) = &reading.plan.destinations[0].kind else { panic!() };
        sentinel.oauth2.scope.clone()
    };
    assert_eq!(scope("").as_deref(), Some("https://monitor.azure.com//.default"));
    assert_eq!(
        scope(", scope = \"https://monitor.azure.us//.default\"").as_deref(),
        Some("https://monitor.azure.us//.default")
    );
}

#[test]
fn a_time_zone_is_spelled_as_its_database_does() {
    let plan = read_text(&format!("{SOURCE}timezone = \"europe/berlin\"\n")).unwrap().plan;
    assert_eq!(plan.sources[0].timezone.as_deref(), Some("Europe/Berlin"));
}

#[test]
fn whereabouts_need_no_secret_and_mind_no_other_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealtrail.toml");
    fs::write(&path, format!("[agent]\nstate_dir = \"/srv/s\"\nbanana = 1\n{}", http("token = \"${SURELY_NOT_SET}\"")))
        .unwrap();
    let found = config::whereabouts(&path).unwrap();
    assert_eq!(found.state_dir, Path::new("/srv/s"));
    assert_eq!(found.status_socket, Path::new("/srv/s/status.sock"));
}

#[test]
fn the_hash_is_of_the_files_bytes() {
    let reading = read_text(SOURCE).unwrap();
    // sha256sum of the same bytes.
    assert_eq!(reading.plan.sha256, "27b81a260ffaabd6e360d7e21e809b85bc503cf4b65965ccb53e129a56106f9e");
}

// ── Identity ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn no_identity_is_configured_by_an_empty_table() {
    assert!(read_text(&format!("{SOURCE}[identity]\nfiles = []\n")).unwrap().plan.identity.is_none());
}

#[test]
fn rules_come_from_the_configuration_and_from_files_of_each_form() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("people.csv", "account,person\na,A\nb;c,B\n"),
        ("people.json", "[{\"account\": \"d\", \"person\": \"D\"}]"),
        ("people.toml", "[[rule]]\naccount = 'e*'\nteam = 'E'\n"),
    ];
    let paths = files.map(|(name, text)| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    });
    let rule = "[[identity.rule]]\naccount = ['x', '${SET}']\nperson = 'X'\n";
    let reading = read_text(&format!("{SOURCE}[identity]\nfiles = {paths:?}\n{rule}")).unwrap();
    let directory = &reading.plan.identity.as_ref().unwrap().loaded.directory;
    assert_eq!(directory.len(), 5);
    let shown = config::human(&reading, &[], &[]);
    assert!(shown.contains(&format!("rules                     5  (directory {})\n", directory.version)), "{shown}");
    fs::set_permissions(&paths[0], fs::Permissions::from_mode(0o666)).unwrap();
    assert_warned(&format!("{SOURCE}[identity]\nfiles = {paths:?}\n"), "can be written by everyone");
}

#[test]
fn grants_come_from_files_and_access_that_two_had_at_once_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.csv"), folder.path().join("two.json"));
    let head = "who,account,database,server,from,to,note\n";
    fs::write(
        &one,
        format!(
            "{head}Jane,dba,shop,orders-db-1,2026-11-01,2026-11-02,x\nMary,dba,shop,other,2026-11-01,2026-11-02,\n"
        ),
    )
    .unwrap();
    fs::write(&two, "[{\"person\": \"Joan\", \"account\": \"dba\", \"from\": \"2026-11-02\", \"to\": \"2026-11-03\"}]")
        .unwrap();
    let columns = "grants_columns = { who = 'person', note = '' }";
    let text = format!("{SOURCE}[identity]\ngrants = [{one:?}, {two:?}]\n");
    let reading = read_text(&format!("{text}{columns}\n")).unwrap();
    assert_eq!(reading.plan.identity.as_ref().unwrap().loaded.directory.grants.len(), 2);
    assert!(config::human(&reading, &[], &[]).contains("(2 grants for this server)"));
    assert_warned(
        &format!("{text}{columns}\n"),
        "had the same account from 2026-11-02T00:00:00.000Z to 2026-11-03T00:00:00.000Z",
    );
    let error = read_text(&text).unwrap_err();
    let told: Vec<String> =
        error.mistakes().iter().map(|mistake| format!("{} {}", mistake.line, mistake.message)).collect();
    assert!(told[0].starts_with("5 ") && told[0].contains("one.csv:2: who: unknown column"), "{told:?}");
}

#[test]
fn what_is_wrong_in_a_file_of_rules_is_told_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.csv"), folder.path().join("two.csv"));
    fs::write(&one, "account,person\na,A\nb,B\n").unwrap();
    fs::write(&two, "name,account,person\nlate,b,C\n").unwrap();
    let error = read_text(&format!("{SOURCE}[identity]\nfiles = [{one:?}, {two:?}]\n")).unwrap_err();
    let [mistake] = error.mistakes() else { panic!("{error}") };
    assert_eq!(mistake.line, 5);
    let expected = format!(
        "{}:2: rule late: may apply to the same row as rule one.csv:3 in {}:3, and both have priority 100",
        two.display(),
        one.display()
    );
    assert_eq!(mistake.message, expected);
}

// ── Warnings and matches ─────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn check_counts_the_files_that_match_and_leaves_out_the_excluded() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.csv", "b.csv", "b.csv.gz"] {
        fs::write(folder.path().join(name), "12345").unwrap();
    }
    fs::create_dir(folder.path().join("c.csv")).unwrap();
    let pattern = folder.path().join("*");
    let text = format!("[[source]]\nname = \"a\"\npaths = [{pattern:?}, {pattern:?}]\nexclude = [\"*.gz\"]\n");
    let reading = read_text(&text).unwrap();
    let found = config::matches(&reading.plan.sources[0]);
    assert_eq!((found.files.len(), found.bytes, found.unreadable), (2, 10, None));
}

#[test]
fn two_sources_that_match_one_file_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), "").unwrap();
    let pattern = folder.path().join("*.csv");
    let text = ["a", "b"].map(|name| format!("[[source]]\nname = {name:?}\npaths = [{pattern:?}]\n")).concat();
    assert_warned(&text, "matches the paths of a as well");
}

#[test]
fn what_is_risky_is_warned_about() {
    assert_warned(SOURCE, "named \"orders-db-1\", after this host alone");
    assert_warned(SOURCE, "only times that name UTC or an offset");
    assert_warned(SOURCE, "no file matches now");
    assert_warned(&http("").replace("https", "http"), "travel in the clear");
    assert_warned(&http("required = false"), "none is required");
    let any = http("tls = { danger_accept_any_certificate = true }");
    assert_warned(&any, "DANGER: nobody checks who answers");
    assert_warned(&any, "danger_accept_any_certificate = true");
    assert!(!shown(&read_text(&http("tls = { danger_accept_any_certificate = false }")).unwrap()).contains("DANGER"));
    assert_warned(&format!("{SOURCE}[health]\nlisten = \"0.0.0.0:9465\"\n"), "from other hosts");
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "s3cr3t").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    assert_warned(&http(&format!("token_file = {token:?}")), "can be read by everyone");
}

#[test]
fn plain_http_to_this_host_is_no_risk() {
    for host in ["localhost:8080", "127.0.0.1", "[::1]:80"] {
        let text = http("").replace("https://collector.example", &format!("http://{host}"));
        assert!(!shown(&read_text(&text).unwrap()).contains("in the clear"), "{host}");
    }
    let syslog = "[[destination]]\nname = \"c\"\ntype = \"syslog\"\naddress = \"[::1]:514\"\ntransport = \"tcp\"\n";
    let archive = "[[destination]]\nname = \"a\"\ntype = \"file\"\npath = \"/srv/a\"\n";
    let shown = shown(&read_text(&format!("{SOURCE}{syslog}{archive}")).unwrap());
    assert!(!shown.contains("in the clear") && !shown.contains("never say"), "{shown}");
}

fn assert_warned(text: &str, message: &str) {
    let shown = shown(&read_text(text).unwrap());
    assert!(shown.contains(message), "{shown}");
}

// ── Secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_secret_is_in_the_plan_and_nowhere_in_what_is_printed(secret in "[A-Za-z0-9]{12,40}") {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, format!("{secret}\n")).unwrap();
        let s3 = "[[destination]]\nname = \"s\"\ntype = \"s3\"\nbucket = \"acme\"\naccess_key_id = \"AKIA\"\n";
        let right = [
            http("oauth2 = { token_url = \"https://login.example/\", client_id = \"x\", client_secret = \"${SECRET}\" }"),
            http("token = \"${SECRET}\"\nheaders = { X-Api-Key = \"${SECRET}\", X-Plain = \"${SECRET}\" }"),
            http(&format!("token_file = {file:?}")),
            format!("{SOURCE}{s3}secret_access_key = \"${{SECRET}}\"\n"),
            format!("{SOURCE}{s3}secret_access_key_file = {file:?}\n"),
        ];
        for text in right {
            let reading = read_with(&text, &secret).unwrap();
            for printed in [shown(&reading), format!("{reading:?}"), format!("{:#?}", reading.plan)] {
                prop_assert!(!printed.contains(&secret), "{}", printed);
            }
            prop_assert!(shown(&reading).contains("***"));
        }
        let in_url = http("").replace("/ingest", "/${SECRET}");
        prop_assert!(!shown(&read_with(&in_url, &secret).unwrap()).contains(&secret));
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_in_the_mistake(secret in "[A-Za-z0-9]{12,40}") {
        for (text, mistakes) in [
            (http("token = \"x${SECRET}\""), 1),
            (http("token = \"${SECRET}\"\ntoken_file = \"/nonexistent\""), 2),
            (http("headers = { Authorization = \"Bearer\\n${SECRET}\" }"), 1),
            (http("headers = { Host = \"${SECRET}\" }"), 1),
            (http("compression = \"${SECRET}\"\ntimeout = \"${SECRET}\"\nbatch_max_bytes = \"${SECRET}\""), 3),
            (http("").replace("https://collector.example", "${SECRET}"), 1),
            (http("oauth2 = { token_url = \"${SECRET}\", client_id = \"x\", client_secret = \"x${SECRET}\" }"), 2),
            (http("").replace("https://", "https://${SECRET}@"), 1),
            (http("").replace("https://", "${SECRET}://"), 1),
            (format!("{SOURCE}timezone = \"${{SECRET}}\"\nstart_at = \"${{SECRET}}\"\nformat = \"${{SECRET}}\"\n"), 3),
        ] {
            let error = read_with(&text, &secret).unwrap_err();
            prop_assert_eq!(error.mistakes().len(), mistakes, "{}", error);
            for printed in [error.to_string(), format!("{error:?}"), error.json().to_string()] {
                prop_assert!(!printed.contains(&secret), "{}", printed);
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[{0,2}(agent|source|seal|destination|x)\\]{0,2}\n|[a-z]{1,4} ?= ?[\"\\[{}\\]0-9a-z$.]{0,8}\n|.{0,6}\n){0,12}") {
        if let Err(error) = read_text(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn what_is_not_written_is_marked_as_a_default_and_what_is_written_is_not() {
    let reading = read_text(&http("token = \"${SET}\"")).unwrap();
    let shown = config::human(&reading, &[], &[]);
    assert!(shown.contains("timeout                   30s  (default)\n"), "{shown}");
    assert!(shown.contains("token                     ***  (from ${SET})\n"), "{shown}");
    assert!(shown.contains("url                       https://collector.example/ingest\n"), "{shown}");
    let json = config::json(&reading, &[], &[]);
    let defaults: Vec<&str> = json["defaults"].as_array().unwrap().iter().filter_map(|key| key.as_str()).collect();
    assert!(defaults.contains(&"destination.0.timeout") && !defaults.contains(&"destination.0.url"), "{defaults:?}");
    assert_eq!(json["destinations"][0]["token"], "***");
    assert_eq!(json["seal"]["segment_max_bytes"], "16MiB");
}

// ── How the tests read ───────────────────────────────────────────────────────────────────────────────────────────

fn env(name: &str) -> Result<String, VarError> {
    match name {
        "SET" => Ok("from-env".to_owned()),
        // Those of the example that have no default.
        "COLLECTOR_TOKEN" | "SPLUNK_HEC_TOKEN" => Ok("from-env".to_owned()),
        "EMPTY" => Ok(String::new()),
        "TWO_LINES" => Ok("one\ntwo".to_owned()),
        _ => Err(VarError::NotPresent),
    }
}

fn read(path: &Path) -> Result<Reading, ConfigError> {
    config::read(path, Surroundings { env: &env, host: "orders-db-1" })
}

fn read_text(text: &str) -> Result<Reading, ConfigError> {
    read_with(text, "")
}

/// Reads a file of this text, with `SECRET` in the environment.
fn read_with(text: &str, secret: &str) -> Result<Reading, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealtrail.toml");
    fs::write(&path, text).unwrap();
    let env = |name: &str| if name == "SECRET" { Ok(secret.to_owned()) } else { env(name) };
    config::read(&path, Surroundings { env: &env, host: "orders-db-1" })
}

fn http(keys: &str) -> String {
    format!(
        "{SOURCE}\n[[destination]]\nname = \"c\"\ntype = \"http\"\nurl = \"https://collector.example/ingest\"\n{keys}\n"
    )
}

/// All that `check` prints, for a person and for a machine.
fn shown(reading: &Reading) -> String {
    let found: Vec<_> = reading.plan.sources.iter().map(config::matches).collect();
    let warnings = config::warnings(reading, &found);
    format!("{}{}", config::human(reading, &found, &warnings), config::json(reading, &found, &warnings))
}

/// A plan as text, without the hash of the file.
fn debug(plan: Plan) -> String {
    format!("{:#?}", Plan { sha256: String::new(), ..plan })
}

fn wrong_files() -> Vec<PathBuf> {
    let files = fs::read_dir("tests/config").unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    files.sort();
    assert!(files.len() > 50);
    files
}

fn example() -> String {
    fs::read_to_string("config.example.toml").unwrap()
}

/// The example's keys and headers, commented out or not, that `keep` keeps. A key is `#` and a word, a remark `#` and a blank.
fn example_lines(keep: impl Fn(&str) -> bool) -> String {
    lines_of(&without_rules(&example()), keep)
}

/// What of an `oauth2` that is needed need not be, and what of it only stands beside something else.
fn without_optional(text: &str) -> String {
    let text = text.replace("client_secret_file = \"/etc/sealtrail/entra.secret\", ", "");
    let text = text.replace(", ca_file = \"/etc/sealtrail/ca.pem\" }  # needed", " }");
    text.replace("${DD_API_KEY}", "${SET}").replace("${ENTRA_SECRET}", "${SET}")
}

/// A rule has no defaults, nor has a layer: it is there or it is not.
fn without_rules(example: &str) -> String {
    let without = |example: String, rule: &str| {
        let start = example.find(rule).unwrap();
        let end = start + example[start..].find("\n\n\n").unwrap();
        format!("{}{}", &example[..start], &example[end..])
    };
    ["#[[identity.access]]", "#[[redact.rule]]"].into_iter().fold(example.to_owned(), without)
}

fn lines_of(text: &str, keep: impl Fn(&str) -> bool) -> String {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    let lines = lines.map(|line| line.strip_prefix('#').unwrap_or(line)).filter(|line| !line.is_empty());
    lines.filter(|line| keep(line)).map(|line| format!("{line}\n")).collect()
}

fn is_header(line: &str) -> bool {
    line.starts_with("[agent]") || line.starts_with("[[")
}

/// The names of all keys of a file, as `keys::all` gives them. A key that stands twice fails to parse.
fn key_names(text: &str) -> Vec<String> {
    let file: BTreeMap<String, toml::Value> = toml::from_str(text).unwrap();
    let mut names = Vec::new();
    for (section, value) in file {
        let tables = match value {
            toml::Value::Array(tables) => tables,
            table => vec![table],
        };
        for table in tables {
            let kind = table.get("type").and_then(|kind| kind.as_str());
            let section = kind.map_or(section.clone(), |kind| format!("{section}({kind})"));
            for (key, value) in table.as_table().unwrap() {
                let rules =
                    value.as_array().filter(|_| key == "rule" || key == "access").and_then(|rules| rules[0].as_table());
                match value.as_table().filter(|_| ["tls", "only", "oauth2"].contains(&key.as_str())).or(rules) {
                    Some(inner) => names.extend(inner.keys().map(|inner| format!("{section}.{key}.{inner}"))),
                    None => names.push(format!("{section}.{key}")),
                }
            }
        }
    }
    names
}
