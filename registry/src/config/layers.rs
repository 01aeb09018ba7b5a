//! The three layers, each as texts by key.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::KEYS;
use crate::backup::{Export, Import, Job};

/// Before each variable of the environment.
const PREFIX: &str = "BEATRIX_";

/// A value with where it comes from, for errors.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) source: String,
    /// The key as it is spelled there.
    pub(super) spelled: String,
}

type Values = BTreeMap<String, Value>;

fn options(mut command: Command) -> Command {
    command = command.arg(
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .help("Configuration file, TOML [env: BEATRIX_CONFIG]"),
    );
    for key in KEYS {
        let help = format!("{} [default: {}]", key.help, key.default);
        let arg = Arg::new(key.name)
            .long(key.name.replace('_', "-"))
            .value_name("VALUE")
            .help(help);
        command = command.arg(arg.allow_hyphen_values(true));
    }
    command
}

/// What the command line asks for.
pub(super) enum Asked {
    /// To run the registry, with this file and these flags.
    Serve(Option<PathBuf>, Values),
    /// To write or read a backup.
    Backup(Job),
}

fn url() -> Arg {
    Arg::new("url")
        .long("url")
        .value_name("URL")
        .default_value("http://127.0.0.1:8848")
        .help("Where the registry listens")
}

fn export() -> Command {
    Command::new("export")
        .about("Writes a backup of a registry that runs, as JSON lines")
        .after_help("A backup holds leases and the passwords of checkers: keep it as you keep those.")
        .arg(url())
        .arg(
            Arg::new("namespace")
                .long("namespace")
                .value_name("NAMESPACE")
                .help("Only this namespace, without settings of the registry"),
        )
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("FILE")
                .help("Writes this file, which only its owner may read, instead of the standard output"),
        )
}

fn import() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("import")
        .about("Reads a backup into a registry that runs")
        .after_help("The whole backup is checked before anything of it is sent. What is sent twice changes nothing.")
        .arg(url())
        .arg(
            Arg::new("input")
                .long("input")
                .value_name("FILE")
                .help("Reads this file instead of the standard input"),
        )
        .arg(flag("merge", "Overwrites what the backup names and keeps the rest. The default").conflicts_with("replace"))
        .arg(flag(
            "replace",
            "Also removes what the backup does not name, in the namespaces that it names: persistent instances, \
             layers, services, settings",
        ))
        .arg(flag("persistent-only", "Leaves out instances that beat"))
        .arg(flag("dry-run", "Checks the backup and changes nothing"))
}

fn backup(matches: &ArgMatches) -> Option<Job> {
    let text = |matches: &ArgMatches, name: &str| matches.get_one::<String>(name).cloned();
    if let Some(matches) = matches.subcommand_matches("export") {
        return Some(Job::Export(Export {
            url: text(matches, "url").unwrap_or_default(),
            namespace: text(matches, "namespace"),
            output: text(matches, "output").map(PathBuf::from),
        }));
    }
    let matches = matches.subcommand_matches("import")?;
    Some(Job::Import(Import {
        url: text(matches, "url").unwrap_or_default(),
        input: text(matches, "input").map(PathBuf::from),
        replace: matches.get_flag("replace"),
        persistent_only: matches.get_flag("persistent-only"),
        dry_run: matches.get_flag("dry-run"),
    }))
}

/// Parses the flags. Help and version come as an error that is none.
pub(super) fn flags(args: impl IntoIterator<Item = OsString>) -> Result<Asked, clap::Error> {
    let about = "A service registry that knows who is alive";
    let after = "Every option can also be set as BEATRIX_<OPTION> in the environment, and by its name with \
                 underscores in the file. Flags beat the environment, which beats the file.";
    let serve = options(
        Command::new("serve")
            .about("Runs the registry. The default")
            .after_help(after),
    );
    let command = options(Command::new("beatrix"))
        .about(about)
        .after_help(after)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand(serve)
        .subcommand(export())
        .subcommand(import())
        .args_conflicts_with_subcommands(true);
    let matches = command.try_get_matches_from(args)?;
    if let Some(job) = backup(&matches) {
        return Ok(Asked::Backup(job));
    }
    let (file, values) = given(matches.subcommand_matches("serve").unwrap_or(&matches));
    Ok(Asked::Serve(file, values))
}

fn given(matches: &ArgMatches) -> (Option<PathBuf>, Values) {
    let values = KEYS.iter().filter_map(|key| {
        let text = matches.get_one::<String>(key.name)?.clone();
        let spelled = format!("--{}", key.name.replace('_', "-"));
        Some((
            key.name.to_owned(),
            Value {
                text,
                source: "flags".into(),
                spelled,
            },
        ))
    });
    (
        matches.get_one::<String>("config").map(PathBuf::from),
        values.collect(),
    )
}

/// Takes the variables with our prefix.
pub(super) fn environment(
    env: impl IntoIterator<Item = (OsString, OsString)>,
    errors: &mut Vec<String>,
) -> (Option<PathBuf>, Values) {
    let mut values = Values::new();
    let mut file = None;
    for (name, text) in env {
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        let spelled = format!("{PREFIX}{name}");
        // Kubernetes tells every pod the address of a service called "beatrix" by variables of these names.
        if name.starts_with("SERVICE_") || name == "PORT" || name.starts_with("PORT_") {
            continue;
        }
        if name == "CONFIG" {
            file = Some(PathBuf::from(text));
            continue;
        }
        let key = name.to_ascii_lowercase();
        if !is_known(&key) {
            let known = nearest(&key).to_ascii_uppercase();
            errors.push(format!(
                "environment: unknown key `{spelled}`; the nearest is `{PREFIX}{known}`"
            ));
            continue;
        }
        match text.into_string() {
            Ok(text) => {
                values.insert(
                    key,
                    Value {
                        text,
                        source: "environment".into(),
                        spelled,
                    },
                );
            }
            Err(_) => errors.push(format!("environment: {spelled} must be UTF-8")),
        }
    }
    (file, values)
}

/// Reads the file.
pub(super) fn file(path: &Path, errors: &mut Vec<String>) -> Values {
    let source = path.display().to_string();
    let table = std::fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| text.parse::<toml::Table>().map_err(|error| error.to_string()));
    let table = match table {
        Ok(table) => table,
        Err(error) => {
            errors.push(format!("{source}: {error}"));
            return Values::new();
        }
    };
    let mut values = Values::new();
    for (key, value) in table {
        if !is_known(&key) {
            errors.push(format!(
                "{source}: unknown key `{key}`; the nearest is `{}`",
                nearest(&key)
            ));
            continue;
        }
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            other => {
                errors.push(format!(
                    "{source}: {key} must be a text, a number or true or false, but is {}",
                    other.type_str()
                ));
                continue;
            }
        };
        values.insert(
            key.clone(),
            Value {
                text,
                source: source.clone(),
                spelled: key,
            },
        );
    }
    values
}

fn is_known(key: &str) -> bool {
    KEYS.iter().any(|known| known.name == key)
}

fn nearest(key: &str) -> &'static str {
    let mut names: Vec<_> = KEYS.iter().map(|known| known.name).collect();
    names.sort_by_key(|name| strsim::damerau_levenshtein(name, key));
    names.first().copied().unwrap_or_default()
}
