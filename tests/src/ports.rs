//! A pair of ports as Nacos clients know it: who is told one of them finds gRPC 1000 above it.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How far above the HTTP port clients look for gRPC.
pub const GRPC_OFFSET: u16 = 1_000;

/// Where pairs are looked for. The system gives out no port below 32768 by itself, so that nobody who just connects
/// takes one of a pair, also while the registry is away.
const RANGE: std::ops::Range<u16> = 20_000..31_000;

/// How often another pair is tried. Most are free.
const TRIES: usize = 100;

/// An address of the loopback interface that is free, as is the one 1000 above it.
///
/// It is free when it is looked at: somebody else may be faster.
///
/// # Errors
///
/// When none is found.
pub fn free_pair() -> anyhow::Result<SocketAddr> {
    // Each call begins elsewhere, so that tests that run at the same time rarely meet.
    let mut random = StdRng::seed_from_u64(RandomState::new().hash_one(()));
    (0..TRIES)
        .map(|_| random.random_range(RANGE))
        .find(|port| is_free(*port) && is_free(port + GRPC_OFFSET))
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .context("no pair of ports is free")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
