//! The embedded journal's promises: what is acknowledged survives, nothing is invented, and what is wrong is said.

mod corruption;
mod disk;
mod failing;
mod folder;
mod given_up;
mod history;
mod power;
mod registry;

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{Committed, InstancePiece, Keep, Mutation, Piece, Proposed, ServicePiece};
use beatrix_core::model::{
    Begun, Cluster, Endpoint, Epoch, Health, Lease, Liveness, Marks, Metadata, Origin, Reason, Registration,
    Revision, ServiceKey, Share, State, Wall, Weight,
};
use beatrix_engine::clock::SystemClock;
use beatrix_engine::journal::embedded::disk::Disk;
use beatrix_engine::journal::embedded::{Embedded, EmbeddedConfig, OpenError};
use beatrix_engine::journal::{Checkpoints, Journal, JournalError, Known, Restored};

pub(crate) use disk::SimDisk;

pub(crate) const EPOCH: Epoch = Epoch(0xE);

pub(crate) fn config() -> EmbeddedConfig {
    EmbeddedConfig {
        free_reserve: 0,
        revisions_reserved: 1_000,
        ..EmbeddedConfig::new(EPOCH)
    }
}

/// A journal that is restored, with what it knew.
pub(crate) struct Started {
    pub(crate) journal: Embedded,
    pub(crate) restored: Restored,
    pub(crate) known: Vec<Known>,
}

impl Started {
    /// The log after the checkpoint.
    pub(crate) fn log(&self) -> Vec<Committed> {
        let committed = |known: &Known| match known {
            Known::Committed(committed) => Some(committed.clone()),
            Known::Piece(_) => None,
        };
        self.known.iter().filter_map(committed).collect()
    }

    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let piece = |known: &Known| match known {
            Known::Piece(piece) => Some(piece.clone()),
            Known::Committed(_) => None,
        };
        self.known.iter().filter_map(piece).collect()
    }

    pub(crate) fn checkpoints(&self) -> Box<dyn Checkpoints> {
        self.journal.checkpoints().unwrap()
    }
}

pub(crate) async fn try_start(journal: Result<Embedded, OpenError>) -> Result<Started, String> {
    let mut journal = journal.map_err(|error| error.to_string())?;
    let mut known = Vec::new();
    let restored = journal
        .restore(&mut |portion| known.extend(portion))
        .await
        .map_err(|error| error.to_string())?;
    Ok(Started {
        journal,
        restored,
        known,
    })
}

pub(crate) fn on(disk: &SimDisk, config: EmbeddedConfig) -> Result<Embedded, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Embedded::on(disk, config, Arc::new(SystemClock::new()))
}

pub(crate) async fn start(disk: &SimDisk) -> Started {
    try_start(on(disk, config())).await.unwrap()
}

pub(crate) fn service(number: u64) -> ServiceKey {
    ServiceKey::new(
        "public".parse().unwrap(),
        "DEFAULT_GROUP".parse().unwrap(),
        format!("s{}", number % 7).parse().unwrap(),
    )
}

pub(crate) fn registration(number: u64) -> Registration {
    Registration {
        cluster: Cluster::DEFAULT.parse().unwrap(),
        weight: Weight::DEFAULT,
        enabled: true,
        metadata: Metadata::new([("number", number.to_string().as_str())]).unwrap(),
        locality: None,
        liveness: Liveness::Static,
        expires: true,
        incarnation: None,
        own_id: None,
    }
}

pub(crate) fn endpoint(number: u64) -> Endpoint {
    Endpoint::V4(u32::try_from(number).unwrap().into(), 80)
}

/// A mutation that is like no other.
pub(crate) fn proposed(number: u64) -> Proposed {
    Proposed {
        mutation: Mutation::Registered {
            service: service(number),
            endpoint: endpoint(number),
            registration: Box::new(registration(number)),
            health: Health::Healthy,
            lease: Lease::from_bits(number + 1).unwrap(),
        },
        by: Origin::REGISTRY,
    }
}

/// An instance of a checkpoint, which comes with its service.
pub(crate) fn pieces(number: u64, as_of: Revision) -> [Piece; 2] {
    let state = State {
        health: Health::Healthy,
        marks: Marks::NONE,
        reason: Reason::Registered,
        revision: as_of,
        since: Wall(number),
        share: Share::FULL,
        begun: Begun::NEVER,
    };
    [
        Piece::Service(Box::new(ServicePiece {
            key: service(number),
            as_of,
            revision: as_of,
            settings: None,
            emptied_by: None,
            layers: Vec::new(),
        })),
        Piece::Instances(vec![InstancePiece {
            endpoint: endpoint(number),
            lease: Lease::from_bits(number + 1).unwrap(),
            registration: registration(number),
            declared: None,
            state,
        }]),
    ]
}

/// Commits those of these numbers, each at its number as the time. Returns the last revision.
pub(crate) async fn commit(
    journal: &mut Embedded,
    numbers: std::ops::Range<u64>,
    keep: Keep,
) -> Result<Revision, JournalError> {
    let at = Wall(numbers.end);
    let committed = journal.commit(numbers.map(proposed).collect(), at, keep).await?;
    Ok(committed.last().unwrap().revision)
}

/// What is to come within bounded time, from a thread that no timer of ours drives.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} does not come");
}

/// A whole checkpoint of `numbers`, as of a revision.
pub(crate) async fn checkpoint(
    started: &Started,
    as_of: Revision,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<Piece>, JournalError> {
    let checkpoints = started.checkpoints();
    let mut all = vec![Piece::Begin { as_of }];
    all.extend(numbers.flat_map(|number| pieces(number, as_of)));
    for portion in all.chunks(100) {
        checkpoints.pieces(portion.to_vec()).await?;
    }
    checkpoints.finish().await?;
    Ok(all)
}
