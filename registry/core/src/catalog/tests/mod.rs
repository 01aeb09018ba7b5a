//! The catalog as a whole. Names of tests are claims; time is moved by hand.

mod ahead;
mod beats;
mod declared;
mod deltas;
mod directory;
mod guard;
mod guard_end;
mod importing;
mod layers;
mod lifecycle;
mod limits;
mod model;
mod namespaces;
mod property;
mod restart;
mod services;
mod sessions;
mod settings;
mod simulation;
mod spared;
mod threads;
mod warming;
