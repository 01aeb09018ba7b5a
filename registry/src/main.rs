//! The binary `beatrix`: reads the configuration, runs the registry, and ends with a code that tells how it went.

use std::process::ExitCode;

use anyhow::Context;
use beatrix::backup::Job;
use beatrix::config::{self, Outcome};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for what the user got wrong, as in `sysexits.h`.
const USAGE: u8 = 64;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the command line"
)]
fn main() -> ExitCode {
    let config = match config::from_process() {
        Ok(Outcome::Serve(config)) => config,
        Ok(Outcome::Backup(job)) => return back_up(job),
        Ok(Outcome::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(USAGE);
        }
    };
    if let Err(error) = beatrix::logs::init(&config) {
        eprintln!("{error:#}");
        return ExitCode::from(USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(async {
        let stop = beatrix::serve::asked_to_stop().context("signals cannot be heard")?;
        beatrix::serve::run(config, stop).await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped");
            ExitCode::FAILURE
        }
    }
}

/// Writes or reads a backup. Only the backup itself goes to the standard output.
#[expect(clippy::print_stderr, reason = "this is the command line")]
fn back_up(job: Job) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(beatrix::backup::run(job)) {
        Ok((told, well)) => {
            eprintln!("{told}");
            if well {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
