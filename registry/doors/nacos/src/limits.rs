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
//! | entries of metadata | 128, as everywhere in the registry | 400 |
//! | `preserved.*` times | 1 ms to a day | 400 |
//! | names of services in one answer of v1 | as many as there are: `services_max` of the registry | |
//! | `v2_page_size_max` | 500 names in one answer of v2, as in Nacos | a larger page is one of 500 |
//! | `page_size_max` | 100,000 services in more than name, or subscribers, on one page | 400, where there are so many |
//! | `instances_page_max` | 10,000 instances on one page, also of services with their hosts | the same |
//! | `clusters_max` | 1,000 names in `clusters` | 400 |
//! | `batch_entries_max` | 10,000 instances in one batch | 400 |
//! | `clients_max` | 100,000 clients in one list | the list ends there |
//! | `udpPort` | 0 to 65535 | 400 |
//! | `udp_subscriptions_max` | 50,000 of a service and a target | the client is not pushed to, and polls |
//! | `udp_subscriptions_per_address_max` | 1,000 that are told at one IP address, loopback as well | the same |
//! | `udp_clusters_bytes_max` | 1024 bytes of `clusters` | the same |
//! | `udp_clusters_per_service_max` | 32 different texts of `clusters` that a service is pushed for | the same; a subscription that asks for another one stays as it was |
//! | `udp_packets_bytes_max` | 16 MiB of packets that are kept to be shared | they are made anew |
//! | `udp_text_bytes_max` | 128 bytes of `app` and of the agent | cut off where it is shown |
//! | `udp_datagram_bytes_max` | 65,507 bytes, packed | not sent, counted, logged once for the service |
//! | `udp_data_bytes_max` | 1 MiB of a list, not packed | the same |
//! | `nacos_grpc_connections_max` | 100,000 connections over gRPC; can be set | closed at once |
//! | `nacos_grpc_requests_in_flight_max` | 256 of one connection; can be set | they wait in the client's transport |
//! | `nacos_grpc_message_bytes_max` | 10 MiB, as in Nacos; can be set | the call fails with `OUT_OF_RANGE`, the stream ends |
//! | `grpc_subscriptions_per_connection_max` | 10,000 services | code 503 |
//! | `grpc_clusters_bytes_max` | 1024 bytes of `clusters` in a subscription | code 400 |
//! | `grpc_receiving_bytes_max` | twice a message of what one connection sends and has not finished | the call fails |
//! | `grpc_call_seconds_max` | 30 s for a call, with the time to receive it | the call fails |
//! | `grpc_fuzzy_pattern_bytes_max` | 720 bytes of a pattern | code 400 |
//! | `grpc_fuzzy_patterns_max` | 1,000 patterns of services, whoever watches them | code 50310 |
//! | `grpc_fuzzy_patterns_per_connection_max` | 20 of one connection | code 50310 |
//! | `grpc_fuzzy_services_per_pattern_max` | 500 services that match a pattern, as in Nacos | code 50311; further ones are not told of |
//! | `grpc_text_bytes_max` | 128 bytes of what a client says of itself | cut off where it is shown |

/// How many bytes a request body may have. Tomcat, in which Nacos runs, takes 2 MiB.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How many characters (UTF-16 units, as Java counts) keys and values of metadata may have together. Nacos 2.x:
/// `nacos.naming.service.metadata.length`.
pub const METADATA_CHARS_MAX: usize = 1024;

/// How many names of services one answer of v2 has at most. Nacos v2: 500. v1 has no such bound, and clients ask it for
/// all there are (Spring Cloud: 2^31 - 1).
pub const V2_PAGE_SIZE_MAX: usize = 500;

/// How many services in more than name, or subscribers, a page has at most. Nacos has no bound; these have room in a few
/// dozen megabytes.
pub const PAGE_SIZE_MAX: usize = 100_000;

/// How many instances a page has at most.
pub const INSTANCES_PAGE_MAX: usize = 10_000;

/// How many names `clusters` of a list may have.
pub const CLUSTERS_MAX: usize = 1_000;

/// How many instances one batch may name. Each is a write of its own.
pub const BATCH_ENTRIES_MAX: usize = 10_000;

/// How many clients are listed at most.
pub const CLIENTS_MAX: usize = 100_000;

/// How many subscriptions there may be for UDP push, each of one service and one target. Far fewer than the hub
/// takes by default: whoever makes them up must not crowd out those that hold a connection.
pub const UDP_SUBSCRIPTIONS_MAX: usize = 50_000;

/// How many subscriptions for UDP push may name one IP address. An address is where the datagrams go, and nobody has
/// proved that it asked for them: so this bounds what a stranger can be sent. A machine that watches more than a thousand
/// services polls the rest.
pub const UDP_SUBSCRIPTIONS_PER_ADDRESS_MAX: usize = 1_000;

/// How long `clusters` of a subscription for UDP push may be, in bytes.
pub const UDP_CLUSTERS_BYTES_MAX: usize = 1024;

/// For how many different texts of `clusters` a service is pushed. Each is rendered and packed by itself at every change.
pub const UDP_CLUSTERS_PER_SERVICE_MAX: usize = 32;

/// How many bytes of packets are kept, for a moment, for others who are to be told the same.
pub const UDP_PACKETS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much of a text that a UDP subscriber says of itself is kept to be shown, in bytes.
pub const UDP_TEXT_BYTES_MAX: usize = 128;

/// How many bytes a datagram can carry over IPv4: 65,535 less two headers.
pub const UDP_DATAGRAM_BYTES_MAX: usize = 65_507;

/// How many bytes a list may have, before it is packed, that one tries to push. Lists pack well, and some that are
/// larger would still fit into a datagram; but copying and packing them takes time from all others.
pub const UDP_DATA_BYTES_MAX: usize = 1024 * 1024;

/// How many services one connection over gRPC may be subscribed to. A gateway subscribes to all there are.
pub const GRPC_SUBSCRIPTIONS_PER_CONNECTION_MAX: usize = 10_000;

/// How much of a text that a client over gRPC says of itself is kept to be shown, in bytes.
pub const GRPC_TEXT_BYTES_MAX: usize = 128;

/// How many patterns of services may be watched over gRPC. Nacos 3.x: 20 (`nacos.naming.fuzzy.watch.max.pattern.count`).
pub const GRPC_FUZZY_PATTERNS_MAX: usize = 1_000;

/// How many of them one connection may watch.
pub const GRPC_FUZZY_PATTERNS_PER_CONNECTION_MAX: usize = 20;

/// Of how many services that match a pattern its watchers are told. Nacos 3.x:
/// `nacos.naming.fuzzy.watch.max.pattern.match.service.count`.
pub const GRPC_FUZZY_SERVICES_PER_PATTERN_MAX: usize = 500;

/// How long a pattern may be, in bytes: a namespace, a group and a service of the greatest length, and what stands
/// between and around them.
pub const GRPC_FUZZY_PATTERN_BYTES_MAX: usize = 64 + 128 + 512 + 16;

/// How long `clusters` of a subscription over gRPC may be, in bytes. It is kept, and echoed in every push.
pub const GRPC_CLUSTERS_BYTES_MAX: usize = 1_024;

/// How long a call may take, with the time in which its message is received.
pub const GRPC_CALL_SECONDS_MAX: u64 = 30;
