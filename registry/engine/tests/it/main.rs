//! The engine's promises, by name. Time is paused and steps from timer to timer; randomness has a seed.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod commands;
mod deadlines;
mod declaring;
mod directory;
mod drain;
mod embedded;
mod follow;
mod guard;
mod journal;
mod lifetimes;
mod limits;
mod looks;
mod merging;
mod past;
mod probes;
mod push;
mod restart;
mod resume;
mod returning;
mod revisions;
mod sessions;
mod simulation;
mod stall;
mod stop;
mod stress;
mod subscribers;
mod support;
