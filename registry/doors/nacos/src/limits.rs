//! Every limit of this door, in one table. Those of the registry behind it come on top.
//!
//! | name | limit | what happens beyond it |
//! | --- | --- | --- |
//! | `body_bytes_max` | 2 MiB, as in Tomcat | 413 |
//! | `namespaceId`, `groupName`, `serviceName`, `clusterName` | 64, 128, 512, 64 characters | 400 |
//! | `ip` | 128 characters | 400 |
//! | `port` | 0 to 65535 | 400 |
//! | `weight` | 0 to 10000 | 400 |
//! | `metadata_chars_max` | 1024 characters of keys and values | 400 |
//! | `preserved.*` times | 1 ms to a day | 400 |

/// How many bytes a request body may have. Tomcat, in which Nacos runs, takes 2 MiB.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How many characters (UTF-16 units, as Java counts) keys and values of metadata may have together. Nacos 2.x:
/// `nacos.naming.service.metadata.length`.
pub const METADATA_CHARS_MAX: usize = 1024;
