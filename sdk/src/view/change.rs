//! What differs between two views.

use std::sync::Arc;

use beatrix_wire::Instance;

use super::{View, mirror::Place};

/// One difference between two views of a service.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An instance that was not there before.
    Added(Arc<Instance>),
    /// An instance that is different now.
    Updated {
        /// As it was.
        before: Arc<Instance>,
        /// As it is.
        after: Arc<Instance>,
    },
    /// An instance that is gone.
    Removed {
        /// As it was.
        before: Arc<Instance>,
        /// `deregistered`, `expired`, `session_closed`, `probe_failed` or `operator`; absent when this client was
        /// not connected as it left, and the registry no longer says.
        reason: Option<String>,
    },
}

/// Walks through both lists at once, as both are in the same order.
pub(super) fn between(before: &View, after: &View) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut olds = before
        .instances
        .iter()
        .map(|old| (Place::of(old), old))
        .peekable();
    for new in &after.instances {
        let place = Place::of(new);
        while let Some((_, gone)) = olds.next_if(|(old, _)| *old < place) {
            changes.push(removed(gone, after));
        }
        match olds.next_if(|(old, _)| *old == place) {
            Some((_, old)) if old == new => {}
            Some((_, old)) => {
                changes.push(Change::Updated {
                    before: Arc::clone(old),
                    after: Arc::clone(new),
                });
            }
            None => changes.push(Change::Added(Arc::clone(new))),
        }
    }
    changes.extend(olds.map(|(_, gone)| removed(gone, after)));
    changes
}

fn removed(gone: &Arc<Instance>, after: &View) -> Change {
    let removal = after.removals.iter().rev().find(|removal| {
        // An earlier removal of an instance at the same address says nothing about this one.
        removal.port == gone.port && removal.address == gone.address && removal.revision > gone.revision
    });
    Change::Removed {
        before: Arc::clone(gone),
        reason: removal.map(|removal| removal.reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use beatrix_wire::Removal;

    use super::super::tests::{instance, key};
    use super::*;

    fn view(addresses: &[&str]) -> View {
        let instances = addresses
            .iter()
            .map(|address| Arc::new(instance(address)))
            .collect();
        View {
            instances,
            ..View::unknown(key("orders"))
        }
    }

    fn removal(address: &str, revision: u64) -> Removal {
        Removal {
            address: address.into(),
            port: 1,
            reason: "expired".into(),
            revision,
        }
    }

    #[test]
    fn every_difference_is_named_once_and_in_order() {
        let before = view(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.10:1", "z:1"]);
        let mut after = view(&["10.0.0.2:1", "10.0.0.3:1", "10.0.0.10:1"]);
        after.instances[2] = Arc::new(Instance {
            serving: false,
            ..instance("10.0.0.10:1")
        });
        after.removals = vec![removal("10.0.0.1", 5)];

        let told: Vec<String> = after
            .changes_since(&before)
            .iter()
            .map(|change| match change {
                Change::Added(new) => format!("+{}", new.address),
                Change::Updated { before, after } => {
                    format!("{}: {}>{}", after.address, before.serving, after.serving)
                }
                Change::Removed { before, reason } => format!("-{} {reason:?}", before.address),
            })
            .collect();

        assert_eq!(
            told,
            [
                "-10.0.0.1 Some(\"expired\")",
                "+10.0.0.3",
                "10.0.0.10: true>false",
                "-z None"
            ]
        );
        assert_eq!(after.changes_since(&after), []);
    }

    #[test]
    fn the_reason_of_an_earlier_removal_at_the_same_address_is_not_taken() {
        let mut after = view(&[]);
        // The instance that is gone now registered at revision 1, after that removal.
        after.removals = vec![removal("10.0.0.1", 1)];
        let before = view(&["10.0.0.1:1"]);
        assert!(matches!(
            &after.changes_since(&before)[..],
            [Change::Removed { reason: None, .. }]
        ));
    }
}
