//! Load for a registry, and what it is compared with. Everything it sends goes to this machine, is bounded in count
//! and time, and ends by itself. Each measurement is one line of `name=value` pairs, so that scripts can read it.
//!
//! - `nacos-beat`, `native-beat`, `register`, `list`: requests over kept connections, as fast as they are answered.
//! - `fan-out`: many subscribers of one service, and changes.
//! - `udp`: one subscriber over UDP, and changes.
//! - `hold`: many instances, and what they cost while nothing happens.
//! - `silence`: many instances that fall silent together, and how exactly that is found out.
//! - `providers`: many providers that live in their own rhythm, for tests of what becomes of them.
//! - `probes`: many instances that the registry probes, and whether it keeps its schedule.
//! - `grpc-push`, `grpc-hold`, `grpc-register`, `grpc-query`: Nacos over gRPC.
//! - `bare`: the other side of a comparison: bare axum handlers that answer the same bytes.
//!
//! All but `bare` take any address of the loopback interface, so that a peer runs under the same load; `providers` also
//! those of the links that tests lay.
#![expect(clippy::print_stdout, reason = "this is a command line")]

mod bare;
mod beats;
mod clock;
mod fan_out;
mod fleet;
mod flips;
mod grpc;
mod hold;
mod list;
mod probes;
mod providers;
mod pump;
mod register;
mod report;
mod silence;
mod target;
mod udp;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Load for a registry, and what it is compared with.
#[derive(Debug, Parser)]
struct Flags {
    /// How many threads make the load, or serve the bare handlers.
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Nacos beats, one a request.
    NacosBeat(beats::NacosBeat),
    /// Native beats, many leases a request.
    NativeBeat(beats::NativeBeat),
    /// Registrations of new instances.
    Register(register::Register),
    /// Lists of the instances of a service.
    List(list::List),
    /// Many subscribers of one service, and changes.
    FanOut(fan_out::FanOut),
    /// Changes of a service that is watched over UDP.
    Udp(udp::Udp),
    /// Many instances, and what they cost while nothing happens.
    Hold(hold::Hold),
    /// Many instances that fall silent together. The registry's guard has to be off.
    Silence(silence::Silence),
    /// Many providers, each in its own rhythm, until SIGTERM.
    Providers(providers::Providers),
    /// Many instances that the registry probes.
    Probes(probes::Probes),
    /// Subscribers over gRPC, and an instance that comes and goes.
    GrpcPush(grpc::Push),
    /// Connections over gRPC with an instance each, held and then cut.
    GrpcHold(grpc::Hold),
    /// Registrations and deregistrations over gRPC.
    GrpcRegister(grpc::Register),
    /// Queries over gRPC.
    GrpcQuery(grpc::Query),
    /// Bare axum handlers that answer the same bytes.
    Bare(bare::Bare),
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let threads = usize::from(flags.threads);
    let runtime = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
    } else {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?
    };
    runtime.block_on(async {
        match flags.command {
            Command::NacosBeat(command) => command.run().await,
            Command::NativeBeat(command) => command.run().await,
            Command::Register(command) => command.run().await,
            Command::List(command) => command.run().await,
            Command::FanOut(command) => command.run().await,
            Command::Udp(command) => command.run().await,
            Command::Hold(command) => command.run().await,
            Command::Silence(command) => command.run().await,
            Command::Providers(command) => command.run().await,
            Command::Probes(command) => command.run().await,
            Command::GrpcPush(command) => command.run().await,
            Command::GrpcHold(command) => command.run().await,
            Command::GrpcRegister(command) => command.run().await,
            Command::GrpcQuery(command) => command.run().await,
            Command::Bare(command) => command.run().await,
        }
    })
}
