//! Prints each change of a service, with the time in milliseconds since 1970 and the reason, and the answer of a
//! serving instance every second:
//!
//! ```text
//! 1790000000000 added 127.0.0.1:41873 healthy serving (registered)
//! 1790000000950 127.0.0.1:41873 answered demo@127.0.0.1:41873
//! 1790000016020 changed 127.0.0.1:41873 unhealthy not serving (silent)
//! 1790000031030 removed 127.0.0.1:41873 (expired)
//! ```
//!
//! Try it: `cargo run -p beatrix-examples --bin consumer -- --service demo`
#![expect(
    clippy::print_stdout,
    reason = "an example shows on the terminal what it does"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use beatrix_sdk::{Change, Client, Health, Instance, ServiceWatch, View};
use clap::Parser;

/// Follows a service and calls its instances.
#[derive(Parser)]
struct Flags {
    /// Address of the registry; may be given more than once.
    #[arg(long, default_value = "http://127.0.0.1:8848")]
    registry: Vec<String>,
    #[arg(long, default_value = "public")]
    namespace: String,
    #[arg(long, default_value = "demo")]
    service: String,
    /// How often to call a serving instance; 0 is never.
    #[arg(long, default_value_t = 1000)]
    calls_every_ms: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let flags = Flags::parse();
    let (first, others) = flags.registry.split_first().context("no registry")?;
    let mut builder = Client::builder(first).with_namespace(&flags.namespace);
    for other in others {
        builder = builder.with_address(other);
    }
    let watch = builder.build()?.watch(&*flags.service)?;
    if flags.calls_every_ms > 0 {
        tokio::spawn(call(watch.clone(), Duration::from_millis(flags.calls_every_ms)));
    }
    tokio::select! {
        () = follow(watch) => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}

/// Prints what differs between each view and the one before.
async fn follow(mut watch: ServiceWatch) {
    let mut before: Arc<View> = watch.current();
    loop {
        let view = watch.changed().await;
        for change in view.changes_since(&before) {
            match change {
                Change::Added(instance) => print("added", &instance),
                Change::Updated { after, .. } => print("changed", &after),
                Change::Removed { before, reason } => {
                    let reason = reason.as_deref().unwrap_or("reason unknown");
                    println!("{} removed {} ({reason})", now_ms(), before.authority());
                }
            }
        }
        if view.stale() != before.stale() {
            match view.stale() {
                Some(stale) => println!("{} keeping the last list: {stale:?}", now_ms()),
                None => println!("{} the list is the registry's again", now_ms()),
            }
        }
        before = view;
    }
}

fn print(what: &str, instance: &Instance) {
    let health = match instance.health {
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    };
    let serving = match instance {
        Instance { serving: true, .. } => "serving",
        Instance { draining: true, .. } => "draining",
        _ => "not serving",
    };
    let text = instance
        .reason_text
        .as_ref()
        .map(|text| format!(": {text}"))
        .unwrap_or_default();
    println!(
        "{} {what} {} {health} {serving} ({}{text})",
        now_ms(),
        instance.authority(),
        instance.reason
    );
}

/// Calls an instance again and again, each time another one.
async fn call(watch: ServiceWatch, every: Duration) {
    let http = match reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .build()
    {
        Ok(http) => http,
        Err(error) => return println!("{} no calls: {error}", now_ms()),
    };
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        let Some(instance) = watch.pick() else {
            println!("{} nobody serves {}", now_ms(), watch.service());
            continue;
        };
        let authority = instance.authority();
        let answer = async {
            http.get(format!("http://{authority}/"))
                .send()
                .await?
                .text()
                .await
        };
        match answer.await {
            Ok(answer) => {
                watch.report_success(&instance);
                println!("{} {authority} answered {}", now_ms(), answer.trim());
            }
            Err(error) => {
                watch.report_failure(&instance, &error);
                println!("{} {authority} failed: {error}", now_ms());
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a time stamp for people and scripts; nothing is decided by it"
)]
fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis()
}
