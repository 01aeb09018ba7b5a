//! What comes from a backup.

use super::{Because, Instance, Model, Name};
use crate::catalog::InstancePiece;
use crate::model::{DeclaredStatus, Health, Lease, Liveness, Reason};

impl Model {
    /// Returns whether it is taken.
    pub(in super::super) fn import(&mut self, name: Name, piece: InstancePiece, fresh: Lease) -> bool {
        let InstancePiece {
            mut registration,
            mut declared,
            state,
            ..
        } = piece;
        // Whose connection is open goes on living by it.
        let open = self
            .instances
            .get(&name)
            .filter(|known| known.session().is_some());
        if let Some(known) = open {
            registration.liveness = known.registration.liveness.clone();
            declared.clone_from(&known.declared);
        }
        let open = open.is_some();
        let lifetime = registration.liveness.kind().lifetime();
        if !self.takes(&name, lifetime, false) {
            return false;
        }
        // Nobody loses his lease by it.
        let holder = self.by_lease(piece.lease);
        let free = holder.is_none_or(|holder| holder == name);
        let (mut kept, mut streak, mut row) = (None, 0, (false, 0));
        let mut lease = if free { piece.lease } else { fresh };
        let mut waiting = Vec::new();
        if let Some(known) = self.instances.get_mut(&name) {
            let differs = registration.liveness == Liveness::Static && known.health != state.health;
            if known.is_alike(&registration) && known.declared == declared && !differs {
                return true;
            }
            known.taken_over(&registration);
            waiting.clone_from(&known.waiting);
            if known.registration.incarnation == registration.incarnation {
                lease = known.lease;
            }
            let unwell = declared
                .as_ref()
                .is_some_and(|said| said.status == DeclaredStatus::Unhealthy);
            if open {
                kept = Some((known.health, known.because, known.measured, false, false));
            } else if known.asked_alike(&registration) {
                row = known.row;
                if unwell == known.unwell() {
                    kept = Some((
                        known.health,
                        known.because,
                        known.measured,
                        known.unconfirmed,
                        known.heard,
                    ));
                }
                if kept.is_some() || known.health == state.health {
                    streak = known.streak;
                }
            }
        }
        self.take_layer(&name, &registration);
        self.services.insert(name.0.clone(), None);
        let waits = matches!(registration.liveness, Liveness::Beat(_) | Liveness::Session(_));
        let mut imported = Instance {
            unconfirmed: !matches!(registration.liveness, Liveness::Static),
            silent: waits && !open && state.health == Health::Unhealthy && state.reason == Reason::Silent,
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
            streak,
            row,
            heard: false,
            waiting,
        };
        if let Some((health, because, measured, unconfirmed, heard)) = kept {
            (imported.health, imported.because, imported.measured) = (health, because, measured);
            (imported.unconfirmed, imported.heard) = (unconfirmed && !heard, false);
        }
        self.instances.insert(name, imported);
        self.changed();
        true
    }
}
