//! Fuzzy watch, of Nacos 3.x: a client is told which services there are whose names match a pattern, as they come and go.
//!
//! - `pattern`: what a pattern means.
//! - `patterns`: the part of one connection: what it is still to be told, and what it has not acknowledged.
//! - `feed`: the one task that knows which services match which pattern. It follows the registry's changes while
//!   anybody watches a pattern, and does nothing while nobody does.
//! - `notice`: what is said.
//!
//! # Differences from Nacos
//!
//! - A service that went while the client was away is told by a notice of its own, and not in the batches of the
//!   difference: Java's client takes every name in those for one that came.
//! - Batches and notices go out after a tenth of a second (Nacos: after a second, and half of one).

mod feed;
mod notice;
mod pattern;
mod patterns;

pub(super) use feed::{Feed, Granted, Wish};
pub(super) use notice::service_of;
pub(super) use pattern::Pattern;
pub(super) use patterns::Patterns;
