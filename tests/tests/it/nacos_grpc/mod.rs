//! Nacos clients that speak gRPC keep working, unmodified, each of them: it registers, hears of changes, says goodbye,
//! and is not missed by anybody when the registry is restarted.
//!
//! - [`driver`]: one client that runs.
//! - [`outside`]: what everybody else sees of it.
//! - [`clients`]: a client's life with one registry.
//! - [`batches`], [`apart`], [`persistent`]: more that not all of them can do.
//! - [`order`]: clients that ask before it is known who they are.
//! - [`silence`]: clients that say nothing but what they say by themselves.
//! - [`restart`]: the registry is killed or stopped, and started again.
//! - [`witnesses`]: consumers of all kinds who look on meanwhile.

mod apart;
mod batches;
mod clients;
mod driver;
mod order;
mod outside;
mod persistent;
mod restart;
mod silence;
mod witnesses;

use std::time::Duration;

use beatrix_tests::programs::{self, Client};

/// The service that most tests use.
const SERVICE: &str = "orders";

/// How long anything may take. Python comes back within 30 s, on two busy cores.
const PATIENCE: Duration = Duration::from_secs(90);

/// The clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// PyPI `nacos-sdk-python`, generation 2.
    Python2,
    /// PyPI `nacos-sdk-python`, generation 3.
    Python3,
    /// crates.io `nacos-sdk`.
    NacosSdk,
    /// crates.io `nacos_rust_client`. It hears of empty lists, too, which makes it the best witness.
    RustClient,
}

impl Kind {
    /// Where it is, or `None` where the test has to be left out.
    fn find(self) -> Option<Client> {
        match self {
            Self::Python2 => programs::python_grpc_client(2),
            Self::Python3 => programs::python_grpc_client(3),
            Self::NacosSdk => programs::nacos_sdk_client(),
            Self::RustClient => programs::rust_grpc_client(),
        }
    }

    /// Another client, to be in a service with this one.
    fn other(self) -> Self {
        match self {
            Self::NacosSdk => Self::RustClient,
            Self::Python2 | Self::Python3 | Self::RustClient => Self::NacosSdk,
        }
    }
}
