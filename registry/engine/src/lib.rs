//! The engine of Beatrix: the core, driven by time, and everything that doors need of it behind one façade.
//!
//! In the order in which a request meets them:
//!
//! - [`registry`]: [`Registry`], the façade. Beats go straight to the table of beats; reads take the current view;
//!   writes go to the one owner.
//! - [`journal`]: the seam behind which commits become durable, and where revisions come from.
//! - [`probing`]: who is asked how it is, since it does not say so itself.
//! - [`hub`]: who wants to know, and what they have been told.
//! - [`clock`] and [`random`]: time and randomness, which come in from outside.
//!
//! This crate knows no protocol.

pub mod clock;
pub mod config;
pub mod hub;
pub mod journal;
mod looks;
mod pace;
pub mod probing;
pub mod random;
pub mod registry;

pub use config::{EngineConfig, ReportPace};
pub use registry::{Registry, RegistryBuilder, WriteError, Written};

/// The rendered forms that views and updates keep, one for each door that renders.
pub mod formats {
    use beatrix_core::catalog::Format;

    /// JSON of the native API.
    pub const NATIVE: Format = Format::new(0);
    /// A whole event of the native watch stream, with its id.
    pub const NATIVE_EVENT: Format = Format::new(1);
    /// The list of hosts of the Nacos HTTP API.
    pub const NACOS: Format = Format::new(2);
    /// The same while the service's protection threshold is reached: each host is shown as healthy.
    pub const NACOS_PROTECTED: Format = Format::new(3);
}
