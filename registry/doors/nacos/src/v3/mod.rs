//! The v3 API.
