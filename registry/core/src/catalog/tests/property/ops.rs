//! What may happen to a catalog, and how often.

use std::sync::Arc;

use proptest::prelude::*;

use crate::catalog::InstancePiece;
use crate::catalog::testing::{beat_with, declared, labelled, of_run, probed, registration};
use crate::model::{
    Begun, Declared, DeclaredStatus, Endpoint, Existence, Health, Lease, Lifetime, Liveness, LivenessKind,
    Marks, OperatorPatch, Reason, Registration, Revision, ServicePatch, SessionId, Share, State, Threshold,
    Wall,
};

pub(super) const SERVICES: [&str; 3] = ["a", "b", "c"];
pub(super) const ADDRESSES: [&str; 4] = ["10.0.0.1:80", "10.0.0.2:80", "[::1]:80", "host:80"];

#[derive(Debug, Clone, Copy)]
pub(in crate::catalog::tests) enum Op {
    Register {
        at: (usize, usize),
        kind: u8,
        run: u8,
        label: bool,
        healthy: bool,
        expires: bool,
        uniform: bool,
    },
    Reregister {
        at: (usize, usize),
    },
    /// What a backup says of an instance.
    Import {
        at: (usize, usize),
        kind: u8,
        run: u8,
        label: bool,
        healthy: bool,
        status: u8,
        /// Under a lease that was given out here, or one of elsewhere.
        lease: Option<prop::sample::Index>,
    },
    Beat {
        lease: prop::sample::Index,
    },
    Advance {
        ms: u64,
    },
    Deregister {
        at: (usize, usize),
    },
    Operate {
        at: (usize, usize),
        patch: u8,
        ahead: bool,
    },
    Clear {
        at: (usize, usize),
    },
    Declare {
        lease: prop::sample::Index,
        status: u8,
    },
    Probed {
        at: (usize, usize),
        good: bool,
    },
    /// What a connection has in a service, as bits: which addresses, and which of them are labelled.
    Publish {
        service: usize,
        session: u64,
        addresses: u8,
        labelled: u8,
        healthy: bool,
        run: u8,
    },
    CloseSession {
        session: u64,
    },
    DeclareService {
        service: usize,
        patch: u8,
        must: u8,
    },
    RemoveService {
        service: usize,
    },
    Expiry {
        on: Option<bool>,
    },
    /// A step of a checkpoint.
    Capture {
        chunks: usize,
    },
    Reopen,
}

pub(in crate::catalog::tests) fn operation() -> impl Strategy<Value = Op> {
    let at = || (0..SERVICES.len(), 0..ADDRESSES.len());
    let lease = any::<prop::sample::Index>;
    prop_oneof![
        4 => (
            at(), 0_u8..8, 0_u8..3, any::<bool>(), prop::bool::weighted(0.8), prop::bool::weighted(0.8),
            prop::bool::weighted(0.3),
        )
            .prop_map(|(at, kind, run, label, healthy, expires, uniform)| {
                Op::Register { at, kind, run, label, healthy, expires, uniform }
            }),
        2 => at().prop_map(|at| Op::Reregister { at }),
        2 => (
            at(), 0_u8..8, 0_u8..3, any::<bool>(), prop::bool::weighted(0.7), 0_u8..3,
            prop::option::of(lease()),
        )
            .prop_map(|(at, kind, run, label, healthy, status, lease)| {
                Op::Import { at, kind, run, label, healthy, status, lease }
            }),
        6 => lease().prop_map(|lease| Op::Beat { lease }),
        5 => prop_oneof![
            0_u64..3_000, 0_u64..30_000, 0_u64..100_000, 590_000_u64..610_000, Just(86_400_000)
        ]
        .prop_map(|ms| Op::Advance { ms }),
        2 => at().prop_map(|at| Op::Deregister { at }),
        2 => (at(), 0_u8..6, any::<bool>()).prop_map(|(at, patch, ahead)| Op::Operate { at, patch, ahead }),
        1 => at().prop_map(|at| Op::Clear { at }),
        2 => (lease(), 0_u8..3).prop_map(|(lease, status)| Op::Declare { lease, status }),
        3 => (at(), any::<bool>()).prop_map(|(at, good)| Op::Probed { at, good }),
        4 => (0..SERVICES.len(), 0_u64..3, 0_u8..16, 0_u8..16, prop::bool::weighted(0.9), 0_u8..8).prop_map(
            |(service, session, addresses, labelled, healthy, run)| {
                Op::Publish { service, session, addresses, labelled, healthy, run }
            }
        ),
        2 => (0_u64..3).prop_map(|session| Op::CloseSession { session }),
        2 => (0..SERVICES.len(), 0_u8..7, 0_u8..6)
            .prop_map(|(service, patch, must)| Op::DeclareService { service, patch, must }),
        1 => (0..SERVICES.len()).prop_map(|service| Op::RemoveService { service }),
        1 => prop::option::of(any::<bool>()).prop_map(|on| Op::Expiry { on }),
        3 => (1_usize..4).prop_map(|chunks| Op::Capture { chunks }),
        2 => Just(Op::Reopen),
    ]
}

pub(super) fn registration_of(kind: u8, run: u8, label: bool) -> Registration {
    let registered = match kind {
        0 | 1 => beat_with(5_000, 15_000, 30_000),
        2 => beat_with(1_000, 3_001, 3_013),
        3 => beat_with(500, 10_000, 2_345),
        4 => beat_with(60_000, 82_010, 300_000),
        5 => registration(Liveness::Session(SessionId(u64::from(run)))),
        6 => probed(2, 3),
        _ => registration(Liveness::Static),
    };
    let registered = if label {
        Registration {
            cluster: "other".parse().unwrap(),
            ..labelled("k", "v", registered)
        }
    } else {
        registered
    };
    match run {
        0 => registered,
        _ => of_run(&format!("run-{run}"), registered),
    }
}

/// An instance as a connection publishes it. Mostly it names no run, as those of Nacos.
pub(super) fn published_by(session: u64, run: u8, label: bool) -> Registration {
    Registration {
        liveness: Liveness::Session(SessionId(session)),
        ..registration_of(5, run.saturating_sub(5), label)
    }
}

/// An instance as a backup may have it: by its health and what it says about itself, with a reason that goes with them.
pub(super) fn piece_of(
    endpoint: Endpoint,
    registration: Registration,
    healthy: bool,
    declared: Option<Arc<Declared>>,
    lease: Lease,
) -> InstancePiece {
    let unwell = declared
        .as_ref()
        .is_some_and(|declared| declared.status == DeclaredStatus::Unhealthy);
    let reason = match (registration.liveness.kind(), healthy && !unwell) {
        (_, false) if unwell => Reason::Declared,
        (LivenessKind::Beat, true) => Reason::Beat,
        (LivenessKind::Probe, true) => Reason::ProbePassed,
        (LivenessKind::Session | LivenessKind::Static, true) => Reason::Registered,
        (LivenessKind::Beat | LivenessKind::Session, false) => Reason::Silent,
        (LivenessKind::Probe, false) => Reason::ProbeFailed,
        (LivenessKind::Static, false) => Reason::Operator,
    };
    let health = if healthy && !unwell {
        Health::Healthy
    } else {
        Health::Unhealthy
    };
    let state = State {
        health,
        // None of these is taken over.
        marks: Marks::SUSPECT.and(Marks::FLAPPING).and(Marks::REPORTED),
        reason,
        revision: Revision(1_000_000),
        since: Wall(5),
        share: Share::EARLY,
        begun: Begun::at(Wall(7), Wall(5)),
    };
    InstancePiece {
        endpoint,
        lease,
        registration,
        declared,
        state,
    }
}

pub(super) fn patch_of(patch: u8) -> OperatorPatch {
    let mut made = OperatorPatch::default();
    match patch {
        0 => made.enabled = Some(false),
        1 => made.enabled = Some(true),
        2 => made.draining = Some(true),
        3 => made.draining = Some(false),
        4 => made.sticky = Some(true),
        _ => made.sticky = Some(false),
    }
    made
}

pub(super) fn service_patch_of(patch: u8) -> ServicePatch {
    let mut made = ServicePatch::default();
    match patch {
        0 => made.lifetime = Some(Some(Lifetime::Ephemeral)),
        1 => made.lifetime = Some(Some(Lifetime::Persistent)),
        2 => made.lifetime = Some(None),
        3 => made.expires = Some(false),
        4 => made.expires = Some(true),
        5 => made.protect_threshold = Some(Threshold::new(0.5).unwrap()),
        _ => {}
    }
    made
}

pub(super) fn must_of(must: u8) -> Existence {
    match must {
        0 => Existence::Present,
        1 => Existence::Absent,
        _ => Existence::Any,
    }
}

pub(super) fn status_of(status: u8) -> Option<Arc<crate::model::Declared>> {
    match status {
        0 => None,
        1 => declared(DeclaredStatus::Draining),
        _ => declared(DeclaredStatus::Unhealthy),
    }
}
