//! What comes from a backup.

use super::{Because, Instance, Model, Name};
use crate::catalog::InstancePiece;
use crate::model::{Health, Lease, Lifetime, Liveness, Reason};

impl Model {
    /// Returns whether it is taken.
    pub(in super::super) fn import(&mut self, name: Name, piece: InstancePiece, fresh: Lease) -> bool {
        let InstancePiece {
            registration,
            declared,
            state,
            ..
        } = piece;
        let lifetime = registration.liveness.kind().lifetime();
        if !self.takes(&name, lifetime, false) {
            return false;
        }
        // Nobody loses his lease by it.
        let holder = self.by_lease(piece.lease);
        let free = holder.is_none_or(|holder| holder == name);
        let mut lease = if free { piece.lease } else { fresh };
        if let Some(known) = self.instances.get(&name) {
            let differs = lifetime == Lifetime::Persistent && known.health != state.health;
            if known.registration == registration && known.declared == declared && !differs {
                return true;
            }
            if known.registration.incarnation == registration.incarnation {
                lease = known.lease;
            }
        }
        self.take_layer(&name, &registration);
        self.services.insert(name.0.clone(), None);
        let waits = matches!(registration.liveness, Liveness::Beat(_) | Liveness::Session(_));
        let imported = Instance {
            unconfirmed: !matches!(registration.liveness, Liveness::Static),
            silent: waits && state.health == Health::Unhealthy && state.reason == Reason::Silent,
            because: match state.reason {
                Reason::Declared => Because::Declared,
                _ => Because::Other,
            },
            measured: state.reason != Reason::Registered,
            registration,
            lease,
            health: state.health,
            declared,
            last_beat: self.now,
            restarted: self.now,
            streak: 0,
            heard: false,
        };
        self.instances.insert(name, imported);
        self.changed();
        true
    }
}
