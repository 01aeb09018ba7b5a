//! What the endpoints do, once for all versions of the protocol: they differ in how a request is read and what the answer
//! looks like, not in what happens. A file for each resource.

pub(crate) mod instances;
