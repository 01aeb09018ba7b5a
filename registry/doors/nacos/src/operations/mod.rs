//! What the endpoints do, once for all versions of the protocol: they differ in how a request is read and what the answer
//! looks like, not in what happens. A file for each resource.

pub(crate) mod catalog;
pub(crate) mod clients;
pub(crate) mod instances;
pub(crate) mod namespaces;
pub(crate) mod server;
pub(crate) mod services;
pub(crate) mod subscribers;
