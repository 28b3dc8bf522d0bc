//! The table of checks.

use super::policy::{Level, LevelVersion};
use super::subject::{Check, Subject, Violation};
use super::{baseline, restricted};

/// One check as it is from some version on, until a later row of the same name.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in the standard.
    pub name: &'static str,
    /// The lowest level that has it.
    pub level: Level,
    /// The minor version from which on it is like this.
    pub since: u32,
    /// The check of the level below that it stands in for.
    pub instead_of: &'static str,
    /// Finds the violation.
    pub check: fn(Subject<'_>) -> Option<Violation>,
}

/// Every check up to 1.36: baseline before restricted, by name, each by version.
pub const CHECKS: &[Row] = &[
    row("appArmorProfile", Level::Baseline, 0, "", baseline::app_armor_profile),
    row("capabilities_baseline", Level::Baseline, 0, "", baseline::capabilities),
    row("hostNamespaces", Level::Baseline, 0, "", baseline::host_namespaces),
    row("hostPathVolumes", Level::Baseline, 0, "", baseline::host_path_volumes),
    row("hostPorts", Level::Baseline, 0, "", baseline::host_ports),
    row("hostProbesAndHostLifecycle", Level::Baseline, 34, "", baseline::probe_hosts),
    row("privileged", Level::Baseline, 0, "", baseline::privileged),
    row("procMount", Level::Baseline, 0, "", baseline::proc_mount),
    row("procMount", Level::Baseline, 35, "", baseline::proc_mount_of_host_users),
    row("seLinuxOptions", Level::Baseline, 0, "", baseline::selinux_options),
    row("seLinuxOptions", Level::Baseline, 31, "", baseline::selinux_options_with_engine),
    row("seccompProfile_baseline", Level::Baseline, 0, "", baseline::seccomp_annotations),
    row("seccompProfile_baseline", Level::Baseline, 19, "", baseline::seccomp_profile),
    row("sysctls", Level::Baseline, 0, "", baseline::sysctls::<5>),
    row("sysctls", Level::Baseline, 27, "", baseline::sysctls::<6>),
    row("sysctls", Level::Baseline, 29, "", baseline::sysctls::<10>),
    row("sysctls", Level::Baseline, 32, "", baseline::sysctls::<12>),
    row("windowsHostProcess", Level::Baseline, 0, "", baseline::windows_host_process),
    row("allowPrivilegeEscalation", Level::Restricted, 8, "", restricted::privilege_escalation),
    row("allowPrivilegeEscalation", Level::Restricted, 25, "", restricted::privilege_escalation_but_on_windows),
    row("capabilities_restricted", Level::Restricted, 22, "capabilities_baseline", restricted::capabilities),
    row(
        "capabilities_restricted",
        Level::Restricted,
        25,
        "capabilities_baseline",
        restricted::capabilities_but_on_windows,
    ),
    row("procMount_restricted", Level::Restricted, 35, "procMount", baseline::proc_mount),
    row("restrictedVolumes", Level::Restricted, 0, "hostPathVolumes", restricted::volumes),
    row("runAsNonRoot", Level::Restricted, 0, "", restricted::run_as_non_root),
    row("runAsNonRoot", Level::Restricted, 35, "", restricted::run_as_non_root_of_host_users),
    row("runAsUser", Level::Restricted, 23, "", restricted::run_as_user),
    row("runAsUser", Level::Restricted, 35, "", restricted::run_as_user_of_host_users),
    row("seccompProfile_restricted", Level::Restricted, 19, "seccompProfile_baseline", restricted::seccomp_profile),
    row(
        "seccompProfile_restricted",
        Level::Restricted,
        25,
        "seccompProfile_baseline",
        restricted::seccomp_but_on_windows,
    ),
];

const fn row(name: &'static str, level: Level, since: u32, instead_of: &'static str, check: Check) -> Row {
    Row { name, level, since, instead_of, check }
}

/// The checks of a level at a version.
pub(super) fn of(wanted: LevelVersion) -> impl Iterator<Item = Check> {
    let LevelVersion { level, version } = wanted;
    let in_force = move |row: &&'static Row| row.level <= level && row.since <= version.0;
    let rows = move || CHECKS.iter().filter(in_force);
    let is_last =
        move |row: &&'static Row| rows().rfind(|other| other.name == row.name).is_some_and(|it| it.since == row.since);
    let stands = move |row: &&'static Row| !rows().any(|other| other.instead_of == row.name);
    rows().filter(move |row| level > Level::Privileged && is_last(row) && stands(row)).map(|row| row.check)
}
