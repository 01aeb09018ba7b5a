//! UDP push, for the clients of Nacos 1.x: who asks for a list with a `udpPort` is told of changes by datagram.
//!
//! It stands behind the same hub as every other push: one subscription for each service and target, and the first
//! change of a quiet service is on its way at once (Nacos 2.x: after 500 ms). Push is only the fast way: clients poll
//! every ten seconds all the same, so whatever is not pushed is late, not lost.
//!
//! - `agent`, `target`, `request`: which clients qualify, where datagrams may go, and what a list request says of it.
//! - `leases`: who is to be told of what, and until when. `book`: what is not acknowledged yet. Neither knows a clock
//!   or a socket.
//! - `payloads`, `packet`: what is sent, rendered once for all who are to be told the same. `ack`: what comes back.
//! - `pusher`: the handle. `driver`: the one task behind it. `ready`: how the hub tells it who has news,
//!   `turns`: in which order they are told. `sockets`: the only place that touches the network.
//!
//! # What it costs, and whom
//!
//! A datagram goes where the request says, not to where it came from, and nothing proves that somebody listens there:
//! a list request can make the registry send to others. Every bound on that is here:
//!
//! - one datagram for a new (service, target), and one resend if it is not acknowledged; a repeated request only
//!   prolongs the lease, and one datagram tells what was missed if it ends a silence;
//! - one for each change of the service after it, merged to at most 20 a second, until 30 s after the last request, or
//!   as long as the switch `pushCacheMillis` lets clients wait, if that is longer;
//! - of those not acknowledged only the newest is sent again, once; and when nothing has been acknowledged for 20 s
//!   nothing more is sent, until an acknowledgement or another list request;
//! - [`UDP_SUBSCRIPTIONS_PER_ADDRESS_MAX`] subscriptions that name one address, whatever the port;
//! - [`UDP_SUBSCRIPTIONS_MAX`] subscriptions in all, far fewer than the hub takes, so that they cannot crowd out others;
//! - [`UDP_CLUSTERS_PER_SERVICE_MAX`] different texts of `clusters` for each service, since each is rendered and packed
//!   by itself; no packet is kept for those who have not acknowledged it, and [`UDP_PACKETS_BYTES_MAX`] in all for
//!   those who are to be told the same;
//! - never to port 0, to unspecified, multicast or broadcast addresses. The broadcast address of a subnet cannot be
//!   told from another one; the system refuses it, since the sockets do not ask to broadcast.
//!
//! What remains is that somebody who reaches the HTTP port can have lists sent to addresses that the registry reaches
//! and he does not: each a datagram of at most [`UDP_DATAGRAM_BYTES_MAX`] bytes, far more than his request, and at each
//! change of the service another one, for the 20 s that silence takes. Whoever lets strangers reach the HTTP port
//! should switch push off (`pushEnabled`). The sockets are bound to the address that HTTP is bound to; on loopback,
//! which is the default, nothing leaves the machine.
//!
//! # Differences from Nacos
//!
//! - A change of a quiet service is pushed at once, those of the next 50 ms in one more datagram: three that follow one
//!   another within 200 ms come in fewer or as many datagrams, the last of which holds all three. Nacos waits for
//!   500 ms and sends one.
//! - Nacos goes on sending to one who acknowledges nothing, as long as he asks for lists. So does this, since each list
//!   request ends his silence.
//! - A newer datagram supersedes one that is not acknowledged: what is sent again is never out of date. It is
//!   made anew, with a time and a `lastRefTime` of its own; Nacos sends the same bytes twice.
//! - Datagrams that carry the same for the same reason have the same `lastRefTime`. It stays below 2^53: Node reads it
//!   as a floating-point number.
//! - An acknowledgement counts if it comes from where the datagram went, as in Nacos; one that comes over loopback also if
//!   only one client at this port can have sent it. A registry on loopback hears its clients so.
//! - `clientIP` must be an address; Nacos also resolves names.
//!
//! [`UDP_CLUSTERS_PER_SERVICE_MAX`]: crate::limits::UDP_CLUSTERS_PER_SERVICE_MAX
//! [`UDP_PACKETS_BYTES_MAX`]: crate::limits::UDP_PACKETS_BYTES_MAX
//! [`UDP_DATAGRAM_BYTES_MAX`]: crate::limits::UDP_DATAGRAM_BYTES_MAX
//! [`UDP_SUBSCRIPTIONS_MAX`]: crate::limits::UDP_SUBSCRIPTIONS_MAX
//! [`UDP_SUBSCRIPTIONS_PER_ADDRESS_MAX`]: crate::limits::UDP_SUBSCRIPTIONS_PER_ADDRESS_MAX

mod ack;
mod agent;
mod book;
mod driver;
mod leases;
mod packet;
mod payloads;
mod pusher;
mod ready;
mod request;
mod sockets;
mod target;
mod turns;

pub use pusher::{Counts, Pusher};
pub(crate) use request::Wish;
pub use sockets::{Datagrams, Sockets};
