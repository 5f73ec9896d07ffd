//! `sealtrail identity test`: who would this be?

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use sealtrail::clock;
use sealtrail::config::{self, plan::IdentityPlan};
use sealtrail::identity::rule::{Asked, Of, time_ms};
use sealtrail::identity::{Carried, Carrier, Directory, Mapper, Reason};

use super::{CliError, ConfigArg, Exit, print, print_json};

/// Say who would be named for an account, and by which rule
///
/// Reads the configuration and its files of rules as run does, and asks them as a row would: with an account, where the client
/// is, what it calls itself, and a time. Says who that would be, by which rule, and which rules were passed over and why.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    sealtrail identity test --account svc_pay --address 10.20.1.7\n  \
    sealtrail identity test --account app --application psql --time 2026-11-30T02:00:00Z\n  \
    sealtrail identity test --account app --json | jq '.passed_over'\n\n\
    Exit codes:\n  \
    0  a rule applies\n  \
    1  none does, or the configuration has mistakes\n  \
    2  the configuration cannot be read")]
pub struct IdentityArgs {
    #[command(subcommand)]
    command: IdentityCommand,
}

#[derive(Debug, Subcommand)]
enum IdentityCommand {
    Test(Box<TestArgs>),
}

/// Ask the rules as a row would
#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    config: ConfigArg,

    /// The account, as the server reports it.
    #[arg(long, value_name = "NAME")]
    account: String,

    /// Where the client is: an address, or local.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,

    /// What the client calls itself.
    #[arg(long, value_name = "NAME")]
    application: Option<String>,

    /// The session's database.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,

    /// The source that the row is of; without it, the configuration's first.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,

    /// The client's user on its own host.
    #[arg(long, value_name = "NAME")]
    os_user: Option<String>,

    /// What the server proved: a certificate's name, a Kerberos principal, an LDAP entry.
    #[arg(long, value_name = "NAME")]
    authentication: Option<String>,

    /// Whom the application says that its session is for.
    #[arg(long, value_name = "NAME")]
    claim: Option<String>,

    /// When: 2026-11-30, its first moment in UTC, or 2026-11-30T18:00:00+01:00; without it, now.
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<u64>,

    /// Print the answer as JSON on stdout.
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<u64, String> {
    time_ms(text, false).ok_or_else(|| "no time: such as 2026-11-30 or 2026-11-30T18:00:00+01:00".to_owned())
}

/// Runs it.
pub fn main(args: IdentityArgs) -> Result<Exit, CliError> {
    let IdentityCommand::Test(args) = args.command;
    let plan = config::load(&args.config.config)?;
    let Some(identity) = &plan.identity else {
        let hint = "add [[identity.rule]] or [identity] files: docs/identity.md has examples";
        return Err(CliError::new("no identity is configured: nobody would be named").hint(hint).no());
    };
    let sources: Vec<&str> = plan.sources.iter().map(|source| source.name.as_str()).collect();
    let source = args.source.as_deref().unwrap_or_else(|| sources.first().copied().unwrap_or_default());
    if !sources.contains(&source) {
        return Err(
            CliError::new(format!("no source is called {source:?}")).hint(format!("one of {}", sources.join(", ")))
        );
    }
    answer(&args, identity, &plan.agent.name, source)
}

fn answer(args: &TestArgs, identity: &IdentityPlan, server: &str, source: &str) -> Result<Exit, CliError> {
    let directory = &identity.loaded.directory;
    // As a row has it.
    let address = args.address.as_deref().map(|address| if address == "local" { "[local]" } else { address });
    let time_ms = args.time.unwrap_or_else(clock::unix_ms);
    let mut asked = Asked { address: address.map(str::as_bytes), time_ms, ..Asked::default() };
    for (of, text) in [
        (Of::Account, Some(args.account.as_str())),
        (Of::Application, args.application.as_deref()),
        (Of::Database, args.database.as_deref()),
        (Of::Server, Some(server)),
        (Of::Source, Some(source)),
        (Of::OsUser, args.os_user.as_deref()),
        (Of::Authentication, args.authentication.as_deref()),
        (Of::Claim, args.claim.as_deref()),
    ] {
        asked.texts[of as usize] = text.map(str::as_bytes).filter(|text| !text.is_empty());
    }
    let mut mapper = Mapper::new(directory.clone(), identity.carriers.clone());
    let carried = |carrier, of: Of| asked.text(of).map(|text| Carried { carrier, value: text.into(), row: None });
    let proven = carried(Carrier::Authentication, Of::Authentication);
    let claim = carried(Carrier::Session, Of::Claim);
    let fields = mapper.answer(&asked, None, proven.as_ref(), claim.as_ref()).object();
    let is_found = match fields["identity"]["reason"].as_str() {
        None => true,
        Some(reason) => reason != Reason::AmbiguousGrant.word() && !fields["identity"]["rule"].is_null(),
    };
    if args.json {
        print_json(&as_json(&fields, directory, &asked))?;
    } else {
        print(&as_text(&fields, directory, &asked))?;
    }
    Ok(if is_found { Exit::Yes } else { Exit::No })
}

fn as_json(fields: &Value, directory: &Directory, asked: &Asked<'_>) -> Value {
    let (passed, others) = directory.passed(asked);
    let passed = passed.iter().map(|it| {
        json!({ "rule": it.rule.name, "place": it.rule.place.to_string(), "priority": it.rule.priority, "unmet": it.unmet })
    });
    json!({
        "person": fields["person"],
        "identity": fields["identity"],
        "time": clock::rfc3339(asked.time_ms),
        "passed_over": passed.collect::<Vec<_>>(),
        "rules_for_other_accounts": others,
    })
}

fn as_text(fields: &Value, directory: &Directory, asked: &Asked<'_>) -> String {
    let identity = &fields["identity"];
    let found = directory.find(asked);
    let mut text = match (&fields["person"], &identity["reason"], &found.rule) {
        (Value::String(person), ..) => format!("{person}\n"),
        (_, Value::String(reason), _) if reason == Reason::AmbiguousGrant.word() => {
            format!("nobody: {}\n", Reason::AmbiguousGrant.sentence())
        }
        (_, Value::String(_), Ok(_)) => "no person: the rule names none, and no grant covers it\n".to_owned(),
        (_, _, Ok(_)) => "no person: the rule names none\n".to_owned(),
        (_, _, Err(reason)) => format!("nobody: {}\n", reason.sentence()),
    };
    for (key, value) in identity.as_object().into_iter().flatten().filter(|(key, _)| *key != "reason") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!("  {key:<12}  {value}\n"));
    }
    let (passed, others) = directory.passed(asked);
    for it in passed {
        let why = match it.unmet {
            "valid_from" => "it is not valid yet".to_owned(),
            "valid_to" => "it is not valid any more".to_owned(),
            key => format!("it asks for another {key}"),
        };
        text.push_str(&format!(
            "passed over: {}, priority {}, in {}: {why}\n",
            it.rule.name, it.rule.priority, it.rule.place
        ));
    }
    text.push_str(&match others {
        1 => "1 rule is for other accounts\n".to_owned(),
        others => format!("{others} rules are for other accounts\n"),
    });
    text
}
