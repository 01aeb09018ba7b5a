//! Where the programs under test and the peers' clients are, and what happens when one is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// A program of this workspace by the name of its target.
///
/// The tests do not build it: `tests/run` builds all programs first.
///
/// # Errors
///
/// When it has not been built.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("the path of this test is unknown")?;
    // A test lies in `deps` of the folder in which the programs lie; the load program lies among them.
    let places = test.ancestors().skip(1).take(2);
    places
        .flat_map(|place| [place.join(name), place.join("examples").join(name)])
        .find(|path| path.is_file())
        .with_context(|| format!("`{name}` is not built: run `cargo build --workspace --bins --examples`"))
}

/// A client of another project, driven by a program of ours. What the drivers take and print: `clients/README.md`.
#[derive(Debug, Clone)]
pub struct Client {
    program: PathBuf,
    /// What stands before its flags.
    first: Vec<PathBuf>,
}

impl Client {
    /// The command that starts the driver, without its flags.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.first);
        command
    }
}

/// The PyPI package `nacos-sdk-python` in its HTTP generation, or `None` where the test has to be left out.
///
/// # Panics
///
/// When it is missing and `CI` is `true`.
#[must_use]
pub fn python_client() -> Option<Client> {
    python(1, "clients/nacos_python.py")
}

/// The same package in one of its gRPC generations, 2 or 3, or `None` where the test has to be left out.
///
/// # Panics
///
/// When it is missing and `CI` is `true`.
#[must_use]
pub fn python_grpc_client(generation: u8) -> Option<Client> {
    python(generation, "clients/nacos_python_grpc.py")
}

fn python(generation: u8, driver: &str) -> Option<Client> {
    let environment = here().join(format!(".env/{generation}"));
    // It is written when all is installed.
    let found = environment.join("installed").is_file();
    let client = Client {
        program: environment.join("bin/python"),
        first: vec![here().join(driver)],
    };
    or_left_out(
        client,
        found,
        &format!("the Python client nacos-sdk-python, generation {generation},"),
    )
}

/// The npm package `nacos`, which speaks HTTP only, or `None` where the test has to be left out.
///
/// # Panics
///
/// When it is missing and `CI` is `true`.
#[must_use]
pub fn node_client() -> Option<Client> {
    let found = here().join("node_modules/nacos/package.json").is_file();
    let client = Client {
        program: PathBuf::from("node"),
        first: vec![here().join("clients/nacos_node.js")],
    };
    or_left_out(client, found, "the Node.js client nacos")
}

/// The crate `nacos_rust_client` in its HTTP mode, or `None` where the test has to be left out.
///
/// # Panics
///
/// When it is missing and `CI` is `true`.
#[must_use]
pub fn rust_client() -> Option<Client> {
    rust("nacos-rust-client", "nacos_rust_client")
}

/// The same crate in its gRPC mode, or `None` where the test has to be left out.
///
/// # Panics
///
/// When it is missing and `CI` is `true`.
#[must_use]
pub fn rust_grpc_client() -> Option<Client> {
    let mut client = rust_client()?;
    client.first.push("--grpc".into());
    Some(client)
}

/// The crate `nacos-sdk`, or `None` where the test has to be left out.
///
/// # Panics
///
/// When it is missing and `CI` is `true`.
#[must_use]
pub fn nacos_sdk_client() -> Option<Client> {
    rust("nacos-sdk", "nacos-sdk")
}

fn rust(driver: &str, name: &str) -> Option<Client> {
    let program = here().join("clients/rust/target/debug").join(driver);
    let found = program.is_file();
    let client = Client {
        program,
        first: Vec::new(),
    };
    or_left_out(client, found, &format!("the Rust client {name}"))
}

/// A server of another project by the name of its program, or `None` where the test has to be left out.
///
/// # Panics
///
/// When it is missing and `CI` is `true`.
#[must_use]
pub fn server(name: &str) -> Option<PathBuf> {
    // Servers lie where only the administrator's shell looks.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = places
        .map(|place| place.join(name))
        .find(|program| program.is_file());
    or_left_out(found.clone(), found.is_some(), &format!("the server {name}"))?
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn or_left_out<T>(program: T, found: bool, what: &str) -> Option<T> {
    if found {
        return Some(program);
    }
    let message = format!("{what} is missing: run tests/setup");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
    eprintln!("LEFT OUT: {message}");
    None
}
