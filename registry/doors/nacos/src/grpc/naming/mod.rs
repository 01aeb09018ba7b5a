//! What the requests about instances and services do. Each reads its request into the domain's types, calls the
//! registry, and answers.

pub(super) mod instances;
pub(super) mod lists;
pub(super) mod patterns;
pub(super) mod services;
