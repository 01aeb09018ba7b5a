//! The passing of time, and restarts.

use super::{Because, Instance, KEPT, Model, Name};
use crate::model::{Health, Liveness, Timings};

impl Model {
    /// Lets time pass: what is due first happens first.
    pub(in super::super) fn advance(&mut self, by: u64) {
        let end = self.now + by;
        loop {
            self.warm();
            let silences = self.instances.iter().filter_map(|(name, instance)| {
                Some((instance.due(self.expires_since(&name.0, instance)?)?, Some(name)))
            });
            let layers = self
                .layers
                .values()
                .filter_map(|kept| Some((kept.gone_since? + KEPT, None)));
            let warmed = self.warming.map(|until| (until, None));
            let next = silences
                .chain(layers)
                .chain(warmed)
                .filter(|(at, _)| *at <= end)
                .min();
            let Some((at, name)) = next.map(|(at, name)| (at, name.cloned())) else {
                // Services go last: one with a layer waits for its end.
                self.drop_services(end);
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            match name {
                Some(name) => self.fall(&name),
                None => {
                    let now = self.now;
                    let before = self.layers.len();
                    self.layers
                        .retain(|_, kept| kept.gone_since.is_none_or(|since| since + KEPT > now));
                    self.revision += (before - self.layers.len()) as u64;
                    self.warm();
                }
            }
        }
    }

    fn fall(&mut self, name: &Name) {
        let now = self.now;
        let since = self.expires_since(&name.0, &self.instances[name]).unwrap();
        let instance = self.instances.get_mut(name).unwrap();
        let (_, remove) = instance.deadlines(since).unwrap();
        if remove <= now {
            self.give_up(name, false);
        } else {
            instance.silent = true;
            instance.show();
            instance.set(Health::Unhealthy, Because::Other);
            self.changed();
        }
    }

    fn drop_services(&mut self, now: u64) {
        let over = self.services.iter().filter(|(service, empty)| {
            empty.is_some_and(|since| since + KEPT <= now) && self.layers_of(service).next().is_none()
        });
        let over: Vec<_> = over.map(|(service, _)| service.clone()).collect();
        for service in over {
            // The next process is told.
            self.revision += 1;
            self.forget(&service);
        }
    }

    /// A restart: what was stays, silences and the times of what is gone begin anew.
    pub(in super::super) fn reopen(&mut self) {
        for instance in self.instances.values_mut() {
            (instance.last_beat, instance.restarted, instance.streak) = (self.now, self.now, 0);
            instance.unconfirmed = !matches!(instance.registration.liveness, Liveness::Static);
            (instance.heard, instance.row) = (false, (false, 0));
            instance.waiting.clear();
        }
        for kept in self.layers.values_mut() {
            kept.gone_since = kept.gone_since.map(|_| self.now);
        }
        for empty in self.services.values_mut() {
            *empty = empty.map(|_| self.now);
        }
        self.warming = (!self.services.is_empty())
            .then(|| self.now + Timings::DEFAULT.unhealthy_after().as_micros() as u64);
    }

    /// Ends the time after a restart, if its time is over or all who are to come back have.
    pub(in crate::catalog::tests) fn warm(&mut self) {
        let Some(until) = self.warming else { return };
        let awaited = |instance: &Instance| instance.unconfirmed && !instance.heard;
        if self.now < until && self.instances.values().any(awaited) {
            return;
        }
        self.warming = None;
        self.revision += 1;
        self.instances.values_mut().for_each(Instance::show);
    }
}
