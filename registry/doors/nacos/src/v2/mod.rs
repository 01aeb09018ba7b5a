//! The v2 API.
