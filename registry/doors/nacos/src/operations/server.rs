//! The server as a whole: how much it holds, and its switches.

use beatrix_core::model::SettingName;

use crate::door::Nacos;
use crate::error::Error;
use crate::params::{Param, Params};
use crate::switches;
use crate::wire::{CountsJson, MetricsJson};

/// The state of the server, and if it was asked for how much it holds. Nacos 2.x: the state alone is the default.
///
/// # Errors
/// If a parameter breaks its rule.
pub(crate) fn metrics(nacos: &Nacos, params: &Params<'_>, responsible: bool) -> Result<MetricsJson, Error> {
    let counts = if params.is_true(Param::OnlyStatus, true)? {
        None
    } else {
        let status = nacos.registry.status();
        let clients = status.instances + status.subscribers;
        Some(CountsJson {
            service_count: status.services,
            instance_count: status.instances,
            subscribe_count: status.subscribers,
            responsible_instance_count: responsible.then_some(status.instances),
            client_count: clients,
            responsible_client_count: clients,
        })
    };
    let overridden = nacos.unusual().and_then(|switches| switches.server_status);
    let status = match overridden {
        Some(status) => status.as_str(),
        None if nacos.registry.complete() => "UP",
        None => "STARTING",
    };
    Ok(MetricsJson { status, counts })
}

/// Sets a switch. Nacos: an entry that it does not know is no mistake. `debug` would set it on one node only; here every
/// switch is the registry's.
///
/// # Errors
/// If a parameter is missing, or the value is none for this entry.
pub(crate) async fn set_switch(nacos: &Nacos, params: &Params<'_>) -> Result<(), Error> {
    let (entry, value) = (params.require(Param::Entry)?, params.require(Param::Value)?);
    params.is_true(Param::Debug, false)?;
    let Some(change) = switches::change(&entry, &value)? else {
        return Ok(());
    };
    let name: SettingName = change.setting.parse()?;
    nacos.registry.set(name, change.value.map(Into::into)).await?;
    Ok(())
}
