//! Memory and CPU of a process as the kernel counts them.

use std::time::Duration;

use anyhow::Context;

/// The kernel counts CPU time in hundredths of a second towards programs, whatever it does inside.
const TICK: Duration = Duration::from_millis(10);

/// How much memory a process has resident, in bytes.
///
/// # Errors
///
/// When there is no such process.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    const FIELD: &str = "VmRSS:";
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("no such process")?;
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix(FIELD))
        .and_then(|value| value.trim().strip_suffix(" kB"))
        .and_then(|value| value.parse().ok())
        .with_context(|| format!("no {FIELD} in the status of process {pid}"))?;
    Ok(kib * 1024)
}

/// How much CPU time a process has used, in user mode and in the kernel.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("no such process")?;
    // The name in brackets may hold anything, blanks too: the numbers follow the last bracket.
    let (_, numbers) = stat.rsplit_once(')').context("a stat line without a name")?;
    let ticks: u32 = numbers
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<u32>().ok())
        .sum();
    Ok(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        assert!(resident_bytes(std::process::id()).unwrap() > 0);
        cpu_time(std::process::id()).unwrap();
    }
}
