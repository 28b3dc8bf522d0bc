//! Levels and versions, and what the labels of a namespace say.

use std::collections::BTreeMap;
use std::fmt;

use crate::field::{Errors, Path};

const PREFIX: &str = "pod-security.kubernetes.io/";

/// How much pods are held back; each level forbids more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything is allowed. The default.
    #[default]
    Privileged,
    /// What is known to break out of the pod is forbidden.
    Baseline,
    /// Only what is good practice is allowed.
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "privileged" => Ok(Self::Privileged),
            "baseline" => Ok(Self::Baseline),
            "restricted" => Ok(Self::Restricted),
            _ => Err("must be one of privileged, baseline, restricted"),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        })
    }
}

/// The minor version of Kubernetes whose standard is meant. Later ones than this server's mean this server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

impl Version {
    /// Whatever this server knows. The default.
    pub const LATEST: Self = Self(u32::MAX);

    fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "must be \"latest\" or \"v1.x\"";
        if text == "latest" {
            return Ok(Self::LATEST);
        }
        let minor = text.strip_prefix("v1.").ok_or(WRONG)?;
        let plain = minor.bytes().all(|byte| byte.is_ascii_digit()) && (minor == "0" || !minor.starts_with('0'));
        minor.parse().ok().filter(|_| plain).map(Self).ok_or(WRONG)
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::LATEST
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::LATEST { formatter.write_str("latest") } else { write!(formatter, "v1.{}", self.0) }
    }
}

/// A level as it was at a version: `restricted:v1.30`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelVersion {
    /// The level.
    pub level: Level,
    /// The version.
    pub version: Version,
}

impl LevelVersion {
    /// Whether both mean the same: everything is privileged alike, at every version.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        (self.level == Level::Privileged && other.level == Level::Privileged) || self == other
    }
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.level, self.version)
    }
}

/// What is done about pods of a namespace that violate some level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// They are refused.
    pub enforce: LevelVersion,
    /// They are noted in the audit log.
    pub audit: LevelVersion,
    /// Their writer is warned.
    pub warn: LevelVersion,
}

impl Policy {
    /// What the labels of a namespace say, and what is wrong with them. Labels that are wrong forbid as much as there is to
    /// forbid, but do not warn.
    #[must_use]
    pub fn of(labels: Option<&BTreeMap<String, String>>, defaults: Self) -> (Self, Errors) {
        let mut errors = Errors::new();
        let Some(labels) = labels else { return (defaults, errors) };
        let mut policy = defaults;
        let Policy { enforce, audit, warn } = &mut policy;
        let enforces = read(labels, "enforce", enforce, Level::Restricted, &mut errors);
        read(labels, "audit", audit, Level::Privileged, &mut errors);
        read(labels, "warn", warn, Level::Privileged, &mut errors);
        let says = |label: &str| labels.contains_key(&format!("{PREFIX}{label}"));
        // Who is refused is warned as well, which matters for the writers of workloads.
        if enforces && !says("warn") && enforce.level > warn.level {
            warn.level = enforce.level;
            if !says("warn-version") {
                warn.version = enforce.version;
            }
        }
        (policy, errors)
    }
}

/// Reads the level and version of one mode; says whether it has a level that is right.
fn read(
    labels: &BTreeMap<String, String>,
    mode: &str,
    into: &mut LevelVersion,
    otherwise: Level,
    errors: &mut Errors,
) -> bool {
    let mut refuse = |label: &str, value: &String, why: &str| {
        let path = Path::new("metadata.labels");
        errors.invalid(&path.key(label), value.as_str(), why);
    };
    let (level, version) = (format!("{PREFIX}{mode}"), format!("{PREFIX}{mode}-version"));
    let mut has_level = false;
    if let Some(text) = labels.get(&level) {
        let parsed = Level::parse(text);
        has_level = parsed.is_ok();
        into.level = parsed.unwrap_or_else(|why| {
            refuse(&level, text, why);
            otherwise
        });
    }
    if let Some(text) = labels.get(&version) {
        into.version = Version::parse(text).unwrap_or_else(|why| {
            refuse(&version, text, why);
            Version::LATEST
        });
    }
    has_level
}
