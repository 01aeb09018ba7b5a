//! Checkpoints: the whole state, in pieces, whenever the journal wants it.
//!
//! The catalog is walked in bounded steps; its lock is held for a step only, and never over an await. At the end of the
//! registry a checkpoint that is being made is given up: the one before it stays good.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{CaptureWalk, Catalog, Piece};
use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::journal::{Checkpoints, JournalError};

/// How many chunks of at most 64 instances are taken in one hold of the lock, at least if a service has more.
const STEP: usize = 256;

/// How many instances, or other pieces, the journal is handed at once.
const BATCH: usize = 4096;

/// How long it waits after a checkpoint that could not be kept: a full disk may want the next at once.
const AGAIN: Duration = Duration::from_secs(1);

/// Makes checkpoints until the registry stops.
pub(super) async fn run(
    catalog: Arc<Mutex<Catalog>>,
    checkpoints: Box<dyn Checkpoints>,
    stop: CancellationToken,
) {
    let made = async {
        loop {
            checkpoints.wanted().await;
            if let Err(error) = make(&catalog, &*checkpoints).await {
                tracing::warn!(%error, "a checkpoint cannot be kept; the one before it stays");
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    stop.run_until_cancelled(made).await;
}

async fn make(catalog: &Mutex<Catalog>, checkpoints: &dyn Checkpoints) -> Result<(), JournalError> {
    let mut walk = CaptureWalk::default();
    loop {
        let captured = {
            let catalog = catalog.lock();
            let captured = catalog.capture(&mut walk, STEP);
            // To whoever waits: otherwise this thread would mostly have it again at once.
            MutexGuard::unlock_fair(catalog);
            captured
        };
        let Some(captured) = captured else {
            return checkpoints.finish().await;
        };
        let (mut batch, mut weight) = (Vec::new(), 0);
        for piece in captured.into_pieces() {
            weight += weight_of(&piece);
            batch.push(piece);
            if weight >= BATCH {
                checkpoints.pieces(std::mem::take(&mut batch)).await?;
                tokio::task::yield_now().await;
                weight = 0;
            }
        }
        if !batch.is_empty() {
            checkpoints.pieces(batch).await?;
        }
        tokio::task::yield_now().await;
    }
}

fn weight_of(piece: &Piece) -> usize {
    match piece {
        Piece::Instances(instances) => instances.len(),
        Piece::Service(service) => 1 + service.layers.len(),
        Piece::Begin { .. } | Piece::Namespace { .. } | Piece::Setting { .. } => 1,
    }
}
