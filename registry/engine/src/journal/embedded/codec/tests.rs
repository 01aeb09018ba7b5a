//! What is written reads back, and what was not written does not.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{
    Committed, InstancePiece, LayerOf, LayerPiece, Mutation, Part, Piece, ServicePiece,
};
use beatrix_core::model::{
    Begun, Checker, ClusterSettings, Curve, Declared, DeclaredStatus, Endpoint, GrpcProbe, Health,
    HttpMethod, HttpProbe, Lease, Lifetime, Liveness, Locality, Marks, Metadata, MysqlProbe, NamespaceInfo,
    OperatorLayer, Origin, Probe, ProbeKind, ProbePlan, ProbeSpec, Reason, RedisProbe, Registration,
    Revision, Selector, ServiceKey, ServiceSettings, SessionId, Share, SlowStart, State, Surface, Threshold,
    Timings, Tls, Wall, Weight,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::frame::{BLOCK_BYTES, Block, Frames, Header, Kind};
use super::piece::{Pieces, put_piece};
use super::record::{Records, put_record};

fn key() -> impl Strategy<Value = ServiceKey> {
    ("[a-z]{1,8}", "[A-Z_]{1,8}", "[a-z/ü-]{2,20}").prop_map(|(namespace, group, name)| {
        ServiceKey::new(
            namespace.parse().unwrap(),
            group.parse().unwrap(),
            name.parse().unwrap(),
        )
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| Endpoint::V4(ip.into(), port)),
        any::<([u8; 16], u16)>().prop_map(|(ip, port)| Endpoint::V6(ip.into(), port)),
        ("[a-z]{1,9}\\.[a-z]{1,9}", any::<u16>())
            .prop_map(|(name, port)| Endpoint::new(&name, port).unwrap()),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    btree_map("[a-zß]{1,9}", ".{0,12}", 0..4).prop_map(|map| Metadata::new(map).unwrap())
}

fn weight() -> impl Strategy<Value = Weight> {
    (0.0..=10_000.0).prop_map(|weight| Weight::new(weight).unwrap())
}

fn share() -> impl Strategy<Value = Share> {
    any::<u8>().prop_filter_map("a share", Share::from_bits)
}

fn probe() -> impl Strategy<Value = Probe> {
    let tls = prop_oneof![
        Just(Tls::None),
        Just(Tls::Unverified),
        "[a-z]{1,9}".prop_map(|name| Tls::verified(&name).unwrap()),
    ];
    let kind = prop_oneof![
        Just(ProbeKind::Tcp),
        (
            "/[a-z?=]{0,9}",
            btree_map("x-[a-z]{1,9}", "[ -~]{0,9}", 0..3),
            tls.clone()
        )
            .prop_map(|(path, headers, tls)| {
                let headers = headers.iter().map(|(name, value)| (&**name, value.trim()));
                let expected = "200-299,404".parse().unwrap();
                ProbeKind::Http(HttpProbe::new(HttpMethod::Post, &path, headers, expected, tls).unwrap())
            }),
        ("[a-z.]{0,9}", tls)
            .prop_map(|(service, tls)| ProbeKind::Grpc(GrpcProbe::new(&service, tls).unwrap())),
        ("[a-z]{1,9}", ".{0,9}", "[a-z ]{0,9}").prop_map(|(user, password, command)| {
            ProbeKind::Mysql(MysqlProbe::new(&user, &password, &command).unwrap())
        }),
        (option::of("[a-z]{1,9}"), option::of(".{0,9}")).prop_map(|(user, password)| {
            let user = user.filter(|_| password.is_some());
            ProbeKind::Redis(RedisProbe::new(user.as_deref(), password.as_deref()).unwrap())
        }),
    ];
    let own = (kind, option::of(1_u16..), 1_u8..=10, 1_u8..=10, 500_u64..10_000);
    let own = own.prop_map(|(kind, port, rise, fall, interval)| {
        let plan = ProbePlan {
            port,
            interval: Some(Duration::from_millis(interval)),
            timeout: None,
            rise: Some(rise),
            fall: Some(fall),
        };
        Probe::Own(Arc::new(ProbeSpec::new(kind, plan).unwrap()))
    });
    prop_oneof![Just(Probe::OfCluster), own]
}

fn lease() -> impl Strategy<Value = Lease> {
    (1..u64::MAX).prop_map(|bits| Lease::from_bits(bits).unwrap())
}

fn liveness() -> impl Strategy<Value = Liveness> {
    let time = 1_u64..1_000;
    prop_oneof![
        (1_u64..1_000, time.clone(), time).prop_map(|(interval, a, b)| {
            let ms = Duration::from_millis;
            Liveness::Beat(Timings::new(ms(interval), ms(interval + a), ms(interval + b)).unwrap())
        }),
        any::<u64>().prop_map(|session| Liveness::Session(SessionId(session))),
        probe().prop_map(Liveness::Probe),
        Just(Liveness::Static),
    ]
}

fn registration() -> impl Strategy<Value = Registration> {
    (
        "[A-Z-]{1,8}",
        weight(),
        any::<bool>(),
        metadata(),
        option::of(("[a-z]{1,5}", "[a-z]{0,5}")),
        liveness(),
        any::<bool>(),
        (option::of("[!-~]{1,20}"), option::of("[ -~ü]{1,20}")),
    )
        .prop_map(
            |(cluster, weight, enabled, metadata, locality, liveness, expires, (run, id))| Registration {
                cluster: cluster.parse().unwrap(),
                weight,
                enabled,
                metadata,
                locality: locality
                    .and_then(|(region, zone)| Locality::new(&region, &zone).unwrap())
                    .map(Arc::new),
                liveness,
                expires,
                incarnation: run.map(|run| run.parse().unwrap()),
                own_id: id.map(|id| Arc::new(id.parse().unwrap())),
            },
        )
}

fn layer() -> impl Strategy<Value = OperatorLayer> {
    (
        option::of(any::<bool>()),
        option::of(weight()),
        metadata(),
        any::<(bool, bool)>(),
    )
        .prop_map(|(enabled, weight, metadata, (draining, sticky))| OperatorLayer {
            enabled,
            weight,
            metadata,
            draining,
            sticky,
        })
}

fn declared() -> impl Strategy<Value = Arc<Declared>> {
    let status = prop_oneof![Just(DeclaredStatus::Draining), Just(DeclaredStatus::Unhealthy)];
    (status, option::of("[a-z ]{1,20}"))
        .prop_map(|(status, reason)| Arc::new(Declared::new(status, reason.as_deref()).unwrap()))
}

fn health() -> impl Strategy<Value = Health> {
    prop_oneof![Just(Health::Healthy), Just(Health::Unhealthy)]
}

fn marks() -> impl Strategy<Value = Marks> {
    (0_u8..16).prop_map(|bits| Marks::from_bits(bits).unwrap())
}

fn reason() -> impl Strategy<Value = Reason> {
    proptest::sample::select(vec![
        Reason::Registered,
        Reason::Beat,
        Reason::Silent,
        Reason::Guarded,
        Reason::Declared,
        Reason::ProbePassed,
        Reason::ProbeFailed,
        Reason::Operator,
        Reason::Deregistered,
        Reason::Expired,
        Reason::SessionClosed,
    ])
}

fn checker() -> impl Strategy<Value = Checker> {
    prop_oneof![
        Just(Checker::None),
        Just(Checker::Tcp),
        ("/[a-z]{0,9}", "[a-z:|]{0,9}", any::<u16>()).prop_map(|(path, headers, expected_status)| {
            Checker::Http {
                path,
                headers,
                expected_status,
            }
        }),
        (".{0,9}", ".{0,9}", ".{0,9}").prop_map(|(user, password, command)| Checker::Mysql {
            user,
            password,
            command
        }),
    ]
}

fn settings() -> impl Strategy<Value = ServiceSettings> {
    let cluster = (checker(), any::<u16>(), any::<bool>(), metadata()).prop_map(
        |(checker, check_port, use_instance_port, metadata)| ClusterSettings {
            checker,
            check_port,
            use_instance_port,
            metadata,
        },
    );
    (
        proptest::sample::select(vec![None, Some(Lifetime::Ephemeral), Some(Lifetime::Persistent)]),
        -1.0..2.0,
        metadata(),
        option::of("[a-z=]{0,20}"),
        btree_map("[a-z]{1,8}", cluster, 0..3),
        any::<bool>(),
        option::of((0_u64..=3_600_000, any::<bool>(), 1_u64..=100)),
    )
        .prop_map(
            |(lifetime, threshold, metadata, selector, clusters, expires, ramp)| ServiceSettings {
                lifetime,
                protect_threshold: Threshold::new(threshold).unwrap(),
                metadata,
                selector: selector.map_or(Selector::None, |expression| Selector::Label { expression }),
                clusters: clusters
                    .into_iter()
                    .map(|(name, settings)| (name.parse().unwrap(), settings))
                    .collect(),
                expires,
                slow_start: ramp.map(|(ms, linear, min)| {
                    let curve = if linear { Curve::Linear } else { Curve::Quadratic };
                    SlowStart::new(ms, curve, min).unwrap()
                }),
            },
        )
}

fn info() -> impl Strategy<Value = Arc<NamespaceInfo>> {
    ("[a-zä ]{0,20}", "[a-z ]{0,20}")
        .prop_map(|(name, description)| Arc::new(NamespaceInfo { name, description }))
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (key(), endpoint(), registration(), health(), lease()).prop_map(
            |(service, endpoint, registration, health, lease)| Mutation::Registered {
                service,
                endpoint,
                registration: Box::new(registration),
                health,
                lease,
            }
        ),
        (key(), endpoint(), reason()).prop_map(|(service, endpoint, reason)| Mutation::Removed {
            service,
            endpoint,
            reason
        }),
        (key(), endpoint(), health(), marks(), reason()).prop_map(
            |(service, endpoint, health, marks, reason)| Mutation::Measured {
                service,
                endpoint,
                health,
                marks,
                reason
            }
        ),
        (key(), endpoint(), option::of(declared())).prop_map(|(service, endpoint, declared)| {
            Mutation::Declared {
                service,
                endpoint,
                declared,
            }
        }),
        (key(), endpoint(), option::of(layer())).prop_map(|(service, endpoint, layer)| Mutation::Operated {
            service,
            endpoint,
            layer: layer.map(Box::new)
        }),
        (key(), settings()).prop_map(|(service, settings)| Mutation::ServiceDeclared {
            service,
            settings: Box::new(settings)
        }),
        key().prop_map(|service| Mutation::ServiceRemoved { service }),
        ("[a-z]{1,9}", info()).prop_map(|(namespace, info)| Mutation::NamespaceDeclared {
            namespace: namespace.parse().unwrap(),
            info
        }),
        "[a-z]{1,9}".prop_map(|namespace| Mutation::NamespaceRemoved {
            namespace: namespace.parse().unwrap()
        }),
        ("[a-z.]{1,9}", option::of(".{0,20}")).prop_map(|(name, value)| Mutation::SettingChanged {
            name: name.parse().unwrap(),
            value: value.map(Into::into),
        }),
        Just(Mutation::Warmed),
        (key(), vec((endpoint(), share()), 0..4))
            .prop_map(|(service, shares)| Mutation::Ramped { service, shares }),
        (key(), instance()).prop_map(|(service, piece)| Mutation::Imported {
            service,
            part: Box::new(Part::Instance(piece)),
        }),
        (key(), endpoint(), layer(), any::<bool>()).prop_map(|(service, endpoint, layer, next)| {
            let of = if next { LayerOf::Next } else { LayerOf::Run(None) };
            Mutation::Imported {
                service,
                part: Box::new(Part::Layer(LayerPiece { endpoint, layer, of })),
            }
        }),
    ]
}

fn committed() -> impl Strategy<Value = Committed> {
    let peer = option::of(any::<(std::net::IpAddr, u16)>().prop_map(Into::into));
    (
        any::<(u64, u64)>(),
        proptest::sample::select(Surface::ALL.to_vec()),
        peer,
        mutation(),
    )
        .prop_map(|((revision, at), surface, peer, mutation)| Committed {
            revision: Revision(revision),
            at: Wall(at),
            by: Origin { surface, peer },
            mutation,
        })
}

fn instance() -> impl Strategy<Value = InstancePiece> {
    let state = (health(), marks(), reason(), any::<(u64, u64, u32)>(), share()).prop_map(
        |(health, marks, reason, (revision, since, begun), share)| State {
            health,
            marks,
            reason,
            revision: Revision(revision),
            since: Wall(since),
            share,
            begun: Begun::from_bits(begun),
        },
    );
    (endpoint(), lease(), registration(), option::of(declared()), state).prop_map(
        |(endpoint, lease, registration, declared, state)| InstancePiece {
            endpoint,
            lease,
            registration,
            declared,
            state,
        },
    )
}

fn piece() -> impl Strategy<Value = Piece> {
    let of = prop_oneof![
        option::of("[!-~]{1,9}").prop_map(|run| LayerOf::Run(run.map(|run| run.parse().unwrap()))),
        Just(LayerOf::Next),
    ];
    let layer =
        (endpoint(), layer(), of).prop_map(|(endpoint, layer, of)| LayerPiece { endpoint, layer, of });
    prop_oneof![
        any::<u64>().prop_map(|as_of| Piece::Begin {
            as_of: Revision(as_of)
        }),
        ("[a-z]{1,9}", info()).prop_map(|(namespace, info)| Piece::Namespace {
            namespace: namespace.parse().unwrap(),
            info
        }),
        ("[a-z.]{1,9}", ".{0,20}").prop_map(|(name, value)| Piece::Setting {
            name: name.parse().unwrap(),
            value: value.into(),
        }),
        (
            key(),
            any::<(u64, u64)>(),
            option::of(settings()),
            option::of(reason()),
            vec(layer, 0..3)
        )
            .prop_map(
                |(key, (as_of, revision), settings, emptied_by, layers)| Piece::Service(Box::new(
                    ServicePiece {
                        key,
                        as_of: Revision(as_of),
                        revision: Revision(revision),
                        settings: settings.map(Arc::new),
                        emptied_by,
                        layers,
                    }
                ))
            ),
        vec(instance(), 0..4).prop_map(Piece::Instances),
    ]
}

fn block_of(records: &[Committed]) -> Vec<u8> {
    let mut block = Block::new(Kind::Log);
    for Committed {
        revision,
        at,
        by,
        mutation,
    } in records
    {
        block.add_at(*revision, *at, |out| {
            put_record(out, *revision, *at, *by, mutation);
        });
    }
    block.into_bytes(7)
}

/// The records before the first that is not whole, and whether there is one.
fn read(block: &[u8]) -> (Vec<Committed>, bool) {
    let Ok(frames) = Frames::new(block, Kind::Log) else {
        return (Vec::new(), true);
    };
    let mut records = Records::default();
    let mut found = Vec::new();
    for record in frames {
        match record.and_then(|record| records.read(record)) {
            Ok(committed) => found.push(committed),
            Err(_) => return (found, true),
        }
    }
    (found, false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 2_000 }))]

    #[test]
    fn every_mutation_reads_back(records in vec(committed(), 0..6)) {
        let block = block_of(&records);
        let header = Header::read(&block).unwrap();
        prop_assert_eq!(header.records as usize, records.len());
        prop_assert_eq!(header.offset, 7);
        prop_assert_eq!(read(&block), (records, false));
    }

    #[test]
    fn every_piece_reads_back(pieces in vec(piece(), 0..6)) {
        let mut block = Block::new(Kind::Checkpoint);
        for piece in &pieces {
            block.add(|out| put_piece(out, piece));
        }
        let block = block.into_bytes(0);
        let mut reader = Pieces::default();
        let read: Vec<_> = Frames::new(&block, Kind::Checkpoint)
            .unwrap()
            .map(|record| reader.read(record.unwrap()).unwrap())
            .collect();
        prop_assert_eq!(read, pieces);
    }

    /// The torn end of the issue: wherever a block is cut, what is left is a beginning of what was written.
    #[test]
    fn a_block_that_is_cut_anywhere_gives_a_beginning_and_says_so(records in vec(committed(), 1..4)) {
        let block = block_of(&records);
        for end in 0..block.len() {
            let (found, torn) = read(&block[..end]);
            prop_assert!(torn, "cut at {}", end);
            prop_assert_eq!(&records[..found.len()], &found[..]);
        }
    }

    #[test]
    fn a_flipped_bit_gives_a_beginning_and_says_so(records in vec(committed(), 1..3), at: prop::sample::Index, bit in 0_u32..8) {
        let mut block = block_of(&records);
        let at = at.index(block.len());
        block[at] ^= 1_u8 << bit;
        let (found, torn) = read(&block);
        prop_assert!(torn, "byte {}", at);
        prop_assert_eq!(&records[..found.len()], &found[..]);
    }

    /// Behind a right checksum, too: what a record holds is input.
    #[test]
    fn any_content_is_read_or_refused_and_nothing_panics(
        record in committed(), piece in piece(), at: prop::sample::Index, byte: u8, noise in vec(any::<u8>(), 0..40)
    ) {
        let mut bytes = Vec::new();
        put_record(&mut bytes, record.revision, record.at, record.by, &record.mutation);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(read) = Records::default().read(&bytes) {
            // What is taken obeys the rules of the model: it can be written, and is the same when it is read back.
            let mut again = Vec::new();
            put_record(&mut again, read.revision, read.at, read.by, &read.mutation);
            prop_assert_eq!(Records::default().read(&again), Ok(read));
        }
        let mut bytes = Vec::new();
        put_piece(&mut bytes, &piece);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = Pieces::default().read(&bytes);
        let _ = Pieces::default().read(&noise);
        let _ = Records::default().read(&noise);
        let _ = read(&noise);
    }
}

#[test]
fn zeros_are_no_record() {
    let mut bytes = block_of(&[]);
    bytes.extend_from_slice(&[0; 4096]);
    assert_eq!(read(&bytes), (Vec::new(), true));
    assert_eq!(read(&[0; 4096]), (Vec::new(), true));
}

#[test]
fn a_record_of_a_later_version_is_refused_by_name() {
    let mut bytes = Vec::new();
    let mutation = Mutation::NamespaceRemoved {
        namespace: "a".parse().unwrap(),
    };
    put_record(&mut bytes, Revision(1), Wall(2), Origin::REGISTRY, &mutation);
    bytes[0] = 200;
    let error = Records::default().read(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "the version 200 is unknown");
}

#[test]
fn a_block_says_when_it_is_full() {
    let mut block = Block::new(Kind::Log);
    assert!(block.is_empty() && !block.is_full());
    block.add(|out| out.resize(BLOCK_BYTES, 1));
    assert!(block.is_full() && !block.is_empty());
}
