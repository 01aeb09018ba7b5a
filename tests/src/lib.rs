//! What the end-to-end tests and the load program stand on: real processes, real sockets, nothing of the registry's
//! own code but the wire types. It sees Beatrix as a stranger does.
//!
//! In the order in which a test meets them:
//!
//! - [`programs`]: where the programs under test and the peers' clients are, and what happens when one is missing.
//! - [`process`]: a child process with its output, its signals and its certain end.
//! - [`registry`]: the real `beatrix` process on free ports of the loopback interface.
//! - [`ports`]: a pair of ports as Nacos clients know it.
//! - [`http1`]: a small HTTP/1.1 client that can also say what no decent client would.
//! - [`native`], [`nacos`]: the two APIs as short calls.
//! - [`nacos_grpc`]: a raw connection of Nacos over gRPC.
//! - [`sse`]: a raw Server-Sent Events reader that notes when each event arrived.
//! - [`udp`]: a subscriber over UDP, as the older Nacos clients are.
//! - [`cut`]: a network of its own behind a link that the test can cut.
//! - [`mount`]: a small file system that the test can fill.
//! - [`probed`]: servers of other projects, and one of ours, for probes to ask.
//! - [`recorder`]: a relay in front of the registry that notes when each beat passed.
//! - [`eventually`]: waiting for a condition with a deadline.
//! - [`proc_fs`]: memory and CPU of a process as the kernel counts them.
//!
//! Nothing here asserts a speed, and no port is fixed.

pub mod cut;
pub mod eventually;
pub mod http1;
pub mod mount;
pub mod nacos;
pub mod nacos_grpc;
pub mod native;
pub mod ports;
pub mod probed;
pub mod proc_fs;
pub mod process;
pub mod programs;
pub mod recorder;
pub mod registry;
pub mod sse;
pub mod udp;
