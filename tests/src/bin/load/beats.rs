//! Beats: Nacos beats one a request, light or full, and native beats in batches.

use anyhow::ensure;
use beatrix_tests::http1::Request;
use beatrix_wire::BeatRequest;
use bytes::Bytes;
use clap::{Args, ValueEnum};

use crate::fleet::{Fleet, Times};
use crate::pump::pump;
use crate::report::Report;
use crate::target::{Api, Bounds, Target};

/// The answer to a beat that renewed something holds this code.
const RENEWED: &[u8] = b"10200";

/// Where a Nacos client puts parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// In a form body.
    Body,
    /// In the query.
    Query,
}

/// How much a Nacos beat says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Who beats.
    Light,
    /// The whole instance as JSON, for a registry that does not know it.
    Full,
}

/// Nacos beats, one a request.
#[derive(Debug, Args)]
pub(crate) struct NacosBeat {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    fleet: Fleet,
    /// Where the parameters stand.
    #[arg(long, value_enum, default_value_t = Place::Body)]
    parameters: Place,
    /// How much a beat says.
    #[arg(long, value_enum, default_value_t = Form::Light)]
    form: Form,
}

impl NacosBeat {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            bounds,
            fleet,
            parameters,
            form,
        } = self;
        fleet.register(target.addr, Api::Nacos, Times::LONG).await?;
        let beats: Vec<Bytes> = (0..fleet.instances)
            .map(|number| beat(&fleet, number, parameters, form))
            .collect();

        let before = target.cpu_time()?;
        let outcome = pump(
            target.addr,
            bounds,
            move |number| beats[(number % fleet.instances) as usize].clone(),
            |_, answer| answer.status() == 200 && contains(&answer.body, RENEWED),
        )
        .await?;
        let used = target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        let requests = outcome.latencies.len() as u64;
        Report::new("nacos-beat")
            .rate("requests", requests, outcome.elapsed)
            .cpu_each("cpu_us_each", used, requests)
            .count("refused", outcome.refused)
            .latencies("", outcome.latencies)
            .print();
        Ok(())
    }
}

fn beat(fleet: &Fleet, number: u64, place: Place, form: Form) -> Bytes {
    const PATH: &str = "/nacos/v1/ns/instance/beat";
    let mut parameters = format!("namespaceId=public&clusterName=DEFAULT&{}", fleet.form(number));
    if form == Form::Full {
        parameters.push_str("&beat=");
        parameters.push_str(&full(fleet, number));
    }
    let request = match place {
        Place::Body => Request::new("PUT", PATH).form(parameters),
        Place::Query => Request::new("PUT", format!("{PATH}?{parameters}")),
    };
    request.into_bytes().into()
}

/// The JSON of a full beat as clients send it, percent-encoded, with the metadata of the registration.
fn full(fleet: &Fleet, number: u64) -> String {
    let json = format!(
        "{{\"serviceName\":\"DEFAULT_GROUP@@{}\",\"cluster\":\"DEFAULT\",\"ip\":\"{}\",\"port\":8080,\"weight\":1.0,\
         \"ephemeral\":true,\"metadata\":{{\"version\":\"v{}\",\"zone\":\"zone-{}\"}},\"scheduled\":false,\
         \"period\":5000,\"stopped\":false}}",
        fleet.service(number),
        Fleet::ip(number),
        number % 10,
        number % 3,
    );
    json.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Native beats, many leases a request.
#[derive(Debug, Args)]
pub(crate) struct NativeBeat {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    fleet: Fleet,
    /// How many leases a request carries.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    leases: u64,
}

impl NativeBeat {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            bounds,
            fleet,
            leases,
        } = self;
        ensure!(
            leases <= fleet.instances,
            "a request cannot carry more leases than there are instances"
        );
        let (cluster, all) = fleet.lease(target.addr, Times::LONG).await?;
        let batches = batches(&cluster, &all, leases)?;
        let count = batches.len() as u64;

        let before = target.cpu_time()?;
        let outcome = pump(
            target.addr,
            bounds,
            move |number| batches[(number % count) as usize].clone(),
            // Cheap to tell: an answer that names no unknown lease is short.
            |_, answer| answer.status() == 200 && contains(&answer.body, b"\"unknown\":[]"),
        )
        .await?;
        let used = target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        let requests = outcome.latencies.len() as u64;
        let renewed = requests * leases;
        Report::new("native-beat")
            .rate("leases", renewed, outcome.elapsed)
            .count("requests", requests)
            .cpu_each("cpu_us_each", used, renewed)
            .number(
                "leases_per_core_second",
                used.map_or(0.0, |used| renewed as f64 / used.as_secs_f64()),
            )
            .count("refused", outcome.refused)
            .latencies("", outcome.latencies)
            .print();
        Ok(())
    }
}

/// Requests of `size` leases each; what does not fill one is left out, so that all cost the same.
pub(crate) fn batches(cluster: &str, leases: &[String], size: u64) -> anyhow::Result<Vec<Bytes>> {
    let requests = leases.chunks_exact(usize::try_from(size)?).map(|leases| {
        let beat = BeatRequest {
            cluster_id: cluster.to_owned(),
            leases: leases.to_vec(),
            ..BeatRequest::default()
        };
        let body = serde_json::to_vec(&beat)?;
        anyhow::Ok(Bytes::from(
            Request::new("POST", "/api/v1/beats").json(body).into_bytes(),
        ))
    });
    requests.collect()
}
