//! Processes as `/proc` shows them: who was born when, and who is in a session.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal};

/// Which process a number meant when it was written down: numbers are used again, but not within the same clock tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) pid: Pid,
    /// In clock ticks since the machine started.
    pub(super) ticks: u64,
}

/// The fields of `/proc/<pid>/stat` that matter here.
struct Stat {
    birth: Birth,
    state: char,
    session: i32,
    /// CPU time of the process and of its children that have ended, in clock ticks.
    spent_ticks: u64,
    /// Memory in pages.
    resident_pages: u64,
}

fn parse(text: &str) -> Option<Stat> {
    let pid = Pid::from_raw(text.split(' ').next()?.parse().ok()?)?;
    // The name comes second, in parentheses, and may hold anything, even parentheses.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    let session = fields.get(3)?.parse().ok()?;
    let ticks = fields.get(19)?.parse().ok()?;
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let spent_ticks = (11..15).filter_map(number).sum();
    let resident_pages = number(21).unwrap_or(0);
    Some(Stat { birth: Birth { pid, ticks }, state, session, spent_ticks, resident_pages })
}

impl Birth {
    /// From the text of `/proc/<pid>/stat`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        parse(text).map(|stat| stat.birth)
    }

    /// Whether this process is still there, perhaps ended but not yet asked how.
    pub(super) fn exists(self) -> bool {
        read(self.pid.as_raw_pid()).is_some_and(|stat| stat.birth == self)
    }
}

fn read(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Names this start of the machine.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Kills everything in a session: its leader's process group at once, then whoever made a group of his own.
///
/// Only for a session whose number cannot have been given to others: while its leader is not reaped, or while it has a
/// member that is known.
pub(super) fn kill(leader: Pid) {
    let _may_be_empty = rustix::process::kill_process_group(leader, Signal::KILL);
    let mut killed = BTreeSet::new();
    // Someone may have made another process between our look and our blow: look again until all are known.
    loop {
        let fresh: Vec<Pid> =
            living_members(leader).into_iter().filter(|pid| killed.insert(pid.as_raw_pid())).collect();
        if fresh.is_empty() {
            return;
        }
        for pid in fresh {
            let _may_be_gone = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// The processes of a session that are not already dead.
pub(super) fn living_members(leader: Pid) -> Vec<Pid> {
    living(leader).map(|stat| stat.birth.pid).collect()
}

fn living(leader: Pid) -> impl Iterator<Item = Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let stats = pids.filter_map(read).filter(move |stat| stat.session == leader.as_raw_pid());
    stats.filter(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// The CPU time that a session has spent, and the bytes of memory that it holds.
pub(super) fn usage(leader: Pid) -> (Duration, u64) {
    let (mut ticks, mut pages) = (0, 0);
    for stat in living(leader) {
        ticks += stat.spent_ticks;
        pages += stat.resident_pages;
    }
    let spent = Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second().max(1));
    (spent, pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        for name in ["sh", "a b", "x) S 1 (y"] {
            let text = format!("42 ({name}) S 1 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9\n");
            let stat = parse(&text).unwrap();
            assert_eq!((stat.birth.pid.as_raw_pid(), stat.birth.ticks), (42, 123_456));
            assert_eq!((stat.state, stat.session), ('S', 39));
            assert_eq!((stat.spent_ticks, stat.resident_pages), (5 + 6 + 7 + 8, 9));
        }
        assert!(Birth::parse("").is_none());
        assert!(Birth::parse("42 (torn").is_none());
    }

    #[test]
    fn this_process_exists_and_an_older_namesake_does_not() {
        let own = read(i32::try_from(std::process::id()).unwrap()).unwrap().birth;
        assert!(own.exists());
        assert!(!Birth { ticks: own.ticks - 1, ..own }.exists());
    }
}
