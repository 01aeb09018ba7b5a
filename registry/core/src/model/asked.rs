//! What is asked of a probed instance: its own question, or that of its cluster.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Checker, Cluster, ClusterSettings, ExpectedStatus, HttpMethod, HttpProbe, Invalid, MysqlProbe, Probe,
    ProbeKind, ProbePlan, ProbeSpec, ServiceSettings, Tls,
};

/// Nacos 2.x: how long its checkers wait for a connection, and for an answer.
const CHECK_TIMEOUT: Duration = Duration::from_millis(500);

/// Nacos 2.x: `checkTimes`, in both directions.
const CHECK_TIMES: u8 = 3;

impl Probe {
    /// What is asked of an instance in `cluster` of a service of which `settings` are said. `None` if nobody asks.
    #[must_use]
    pub fn spec(&self, cluster: &Cluster, settings: Option<&ServiceSettings>) -> Option<Arc<ProbeSpec>> {
        match self {
            Self::Own(spec) => Some(Arc::clone(spec)),
            Self::OfCluster => {
                let of_cluster = settings.and_then(|settings| settings.clusters.get(cluster));
                let spec = match of_cluster {
                    Some(settings) => settings.probe(),
                    None => ClusterSettings::default().probe(),
                };
                // Settings are checked when they are set.
                spec.ok().flatten().map(Arc::new)
            }
        }
    }
}

impl ClusterSettings {
    /// What its checker asks of an instance. `None` if nobody asks.
    ///
    /// Nacos 2.x: an HTTP checker takes nothing but 200 for good, whatever status it names; a MySQL checker asks at the
    /// instance's own port always. Port 0 is nobody's: such a cluster is asked at the instances' own ports.
    ///
    /// # Errors
    /// If the texts of the checker make no request.
    pub fn probe(&self) -> Result<Option<ProbeSpec>, Invalid> {
        let mut own_port = self.use_instance_port || self.check_port == 0;
        let kind = match &self.checker {
            Checker::None => return Ok(None),
            Checker::Tcp => ProbeKind::Tcp,
            Checker::Http { path, headers, .. } => ProbeKind::Http(http(path, headers)?),
            Checker::Mysql {
                user,
                password,
                command,
            } => {
                own_port = true;
                // Without a user nobody logs in, so that there is nothing to do with a password.
                let password = if user.is_empty() { "" } else { password };
                ProbeKind::Mysql(MysqlProbe::new(user, password, command)?)
            }
        };
        let plan = ProbePlan {
            port: (!own_port).then_some(self.check_port),
            interval: Some(ProbeSpec::INTERVAL_DEFAULT),
            timeout: Some(CHECK_TIMEOUT),
            rise: Some(CHECK_TIMES),
            fall: Some(CHECK_TIMES),
        };
        ProbeSpec::new(kind, plan).map(Some)
    }
}

/// Nacos 2.x: the path may lack its slash; headers are pairs `name:value`, with `|` between them, and what is no such
/// pair is passed over.
fn http(path: &str, headers: &str) -> Result<HttpProbe, Invalid> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let pairs = headers.split('|').filter_map(|pair| {
        let (name, value) = pair.split_once(':')?;
        let (name, value) = (name.trim(), value.trim());
        (!name.is_empty() && !value.contains(':')).then_some((name, value))
    });
    let expected: ExpectedStatus = "200".parse()?;
    HttpProbe::new(
        HttpMethod::Get,
        &format!("{slash}{path}"),
        pairs,
        expected,
        Tls::None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(checker: Checker) -> ClusterSettings {
        ClusterSettings {
            checker,
            ..ClusterSettings::default()
        }
    }

    fn http_checker(path: &str, headers: &str) -> ClusterSettings {
        checked(Checker::Http {
            path: path.into(),
            headers: headers.into(),
            expected_status: 204,
        })
    }

    #[test]
    fn a_cluster_of_which_nothing_is_said_is_asked_by_tcp_at_the_instances_own_ports() {
        let spec = Probe::OfCluster.spec(&Cluster::DEFAULT.parse().unwrap(), None);
        let spec = spec.unwrap();
        assert_eq!((spec.kind(), spec.port()), (&ProbeKind::Tcp, None));
        assert_eq!((spec.rise(), spec.fall()), (3, 3));
        assert_eq!(spec.interval(), Duration::from_secs(5));
    }

    #[test]
    fn nobody_asks_where_the_checker_is_none() {
        assert_eq!(checked(Checker::None).probe(), Ok(None));
    }

    #[test]
    fn the_port_is_the_clusters_if_the_instances_own_is_not_to_be_used_but_not_for_mysql() {
        let at = |checker, check_port| {
            let settings = ClusterSettings {
                check_port,
                use_instance_port: false,
                ..checked(checker)
            };
            settings.probe().unwrap().unwrap().port()
        };
        let mysql = Checker::Mysql {
            user: "u".into(),
            password: "p".into(),
            command: String::new(),
        };
        assert_eq!(at(Checker::Tcp, 8080), Some(8080));
        assert_eq!(at(Checker::Tcp, 0), None);
        assert_eq!(at(mysql, 8080), None);
    }

    #[test]
    fn an_http_checker_asks_with_its_headers_and_takes_200_only() {
        let spec = http_checker("health", "a:b|c: d |e|f:1:2|:g").probe().unwrap();
        let Some(ProbeKind::Http(http)) = spec.as_ref().map(ProbeSpec::kind) else {
            panic!("{spec:?}");
        };
        assert_eq!(http.path(), "/health");
        let headers: Vec<_> = http
            .headers()
            .map(|(name, value)| (name, value.reveal()))
            .collect();
        assert_eq!(headers, [("a", "b"), ("c", "d")]);
        assert!(http.expected().contains(200) && !http.expected().contains(204));
    }

    #[test]
    fn what_makes_no_request_is_refused() {
        assert_eq!(http_checker("/a#b", "").probe().unwrap_err().field, "path");
        let framing = http_checker("/", "Content-Length:5").probe();
        assert_eq!(framing.unwrap_err().field, "headers");
    }
}
