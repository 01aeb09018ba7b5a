//! The client of the Beatrix service registry: register and stay alive, find services and follow them.
//!
//! ```no_run
//! use beatrix_sdk::{Client, ServiceInstance};
//!
//! # async fn example() -> Result<(), beatrix_sdk::Error> {
//! let client = Client::builder("http://127.0.0.1:8848").build()?;
//!
//! // Registered, and kept so, while the value lives.
//! let registration = client.register(ServiceInstance::new("checkout", "10.0.0.7", 8080)).await?;
//!
//! // A live list of the instances of another service.
//! let mut orders = client.watch("orders")?;
//! orders.ready().await;
//! if let Some(instance) = orders.pick() {
//!     println!("calling http://{}/", instance.authority());
//! }
//!
//! registration.deregister().await?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`]: made by [`Client::builder`] from one or several addresses of one registry; clones are cheap.
//! - [`ServiceInstance`], [`Registration`]: what to register, and the handle whose life is the registration's.
//!   One task per client beats for all of them in one request, and registers again what the registry lost.
//! - [`ServiceWatch`]: a service that is followed; [`View`]: its instances at one revision; [`Change`]: what
//!   differs between two views.
//! - [`Client::service`]: one read, through a short cache.
//! - [`Error`]: says whether to retry and whether anything may have happened.
//!
//! A list is not believed blindly: see [`Stale`] for when the last good one is kept.
//!
//! The API speaks milliseconds and free text; this crate speaks [`Duration`](std::time::Duration) and checked
//! names. The types that travel are in [`wire`].

mod backoff;
mod cache;
mod client;
mod error;
mod name;
mod random;
mod registration;
mod reporter;
mod transport;
mod view;
mod watch;

pub use beatrix_wire as wire;
pub use beatrix_wire::{DeclaredStatus, DrainResponse, Health, Instance, Problem, Removal};
pub use client::{Client, ClientBuilder};
pub use error::Error;
pub use name::{ServiceKey, ServiceName};
pub use registration::{Probe, Registration, ServiceInstance};
pub use view::{Change, Stale, View};
pub use watch::ServiceWatch;
