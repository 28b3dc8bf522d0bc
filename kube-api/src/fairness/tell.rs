//! Numbers of fairness in `/metrics`, and `/debug/api_priority_and_fairness`.
//!
//! Source: `flowcontrol/metrics`, `apf_controller_debug.go` (without `dump_requests`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Fairness;
use super::level::{Level, State};
use super::queues::Refusal;
use super::tally::Tally;
use crate::http::exposition::{Exposition, Histogram};

/// Requests and seats now: waiting, and carried out.
#[derive(Clone, Copy, Default)]
struct Present {
    waiting: (usize, usize),
    executing: (usize, usize),
}

fn present(state: &State) -> BTreeMap<Arc<str>, Present> {
    let mut present: BTreeMap<Arc<str>, Present> =
        state.tallies.keys().map(|schema| (schema.clone(), Present::default())).collect();
    for (_, request) in state.queues.requests() {
        let of_schema = present.entry(request.ticket.schema.clone()).or_default();
        let counted = if request.began.is_some() { &mut of_schema.executing } else { &mut of_schema.waiting };
        counted.0 += 1;
        counted.1 += request.work.seats_max();
    }
    present
}

/// A number of each level.
type OfLevel = (&'static str, &'static str, fn(&State) -> f64);

const OF_LEVELS: [OfLevel; 8] = [
    ("nominal_limit_seats", "Seats by shares.", |state| state.bounds.nominal as f64),
    ("lower_limit_seats", "Seats that are never lent.", |state| state.bounds.min as f64),
    ("upper_limit_seats", "Seats at most, with those borrowed.", |state| state.bounds.max as f64),
    ("current_limit_seats", "Seats now.", |state| state.queues.limit() as f64),
    ("demand_seats_high_watermark", "The highest demand of the last period.", |state| state.demand.past().high as f64),
    ("demand_seats_average", "The average demand of the last period.", |state| state.demand.past().average),
    ("demand_seats_stdev", "How much demand varied in the last period.", |state| state.demand.past().deviation),
    ("demand_seats_smoothed", "Demand that rises at once and falls slowly.", |state| state.demand.past().smoothed),
];

/// A number of each schema now.
type OfSchema = (&'static str, &'static str, fn(&Present) -> usize);

const OF_SCHEMAS: [OfSchema; 4] = [
    ("current_inqueue_requests", "Requests that wait in queues.", |present| present.waiting.0),
    ("current_inqueue_seats", "Seats that those need who wait.", |present| present.waiting.1),
    ("current_executing_requests", "Requests that have seats.", |present| present.executing.0),
    ("current_executing_seats", "Seats that are taken.", |present| present.executing.1),
];

/// A histogram of each schema, and a label of its own.
type Spread = (&'static str, &'static str, Option<(&'static str, &'static str)>, fn(&Tally) -> &Histogram);

const WAITED: &str = "request_wait_duration_seconds";
const EXECUTED: &str = "request_execution_seconds";
const SPREADS: [Spread; 5] = [
    (WAITED, "Seconds in a queue.", Some(("execute", "true")), |tally| &tally.waited),
    (WAITED, "", Some(("execute", "false")), |tally| &tally.gave_up),
    (EXECUTED, "Seconds with seats.", Some(("type", "regular")), |tally| &tally.regular),
    (EXECUTED, "", Some(("type", "watch")), |tally| &tally.watches),
    ("work_estimated_seats", "Seats that requests were thought to take.", None, |tally| &tally.seats),
];

fn family<'a>(text: &'a mut Exposition, name: &str, kind: &str, help: &str) -> &'a mut Exposition {
    text.family(&format!("apiserver_flowcontrol_{name}"), kind, help)
}

impl Fairness {
    /// Appends the numbers.
    pub(crate) fn tell(&self, text: &mut Exposition) {
        let levels: Vec<Arc<Level>> = self.config.load().levels.values().cloned().collect();
        for (name, help, number) in OF_LEVELS {
            family(text, name, "gauge", help);
            for level in &levels {
                text.sample(&[("priority_level", &level.name)], number(&level.lock()));
            }
        }
        for (name, help, number) in OF_SCHEMAS {
            family(text, name, "gauge", help);
            for level in &levels {
                for (schema, present) in present(&level.lock()) {
                    text.sample(&labels(level, &schema), number(&present));
                }
            }
        }
        tell_counts(&levels, text);
        for (name, help, extra, histogram) in SPREADS {
            if !help.is_empty() {
                family(text, name, "histogram", help);
            }
            each_tally(&levels, |level, schema, tally| {
                let histogram = histogram(tally);
                if histogram.count() > 0 {
                    let labels: Vec<_> = labels(level, schema).into_iter().chain(extra).collect();
                    histogram.tell(&labels, text);
                }
            });
        }
    }

    /// A page below `/debug/api_priority_and_fairness/`.
    pub(crate) fn debug_page(&self, name: &str) -> Option<String> {
        let config = self.config.load();
        let levels = config.levels.values();
        let (head, rows): (&[&str], Vec<Vec<String>>) = match name {
            "dump_priority_levels" => (&LEVEL_COLUMNS, levels.map(|level| level_row(level)).collect()),
            "dump_queues" => (&QUEUE_COLUMNS, levels.flat_map(|level| queue_rows(level)).collect()),
            _ => return None,
        };
        let head = head.iter().map(|column| (*column).to_owned()).collect();
        Some(aligned(&[vec![head], rows].concat()))
    }
}

fn labels<'a>(level: &'a Level, schema: &'a str) -> [(&'static str, &'a str); 2] {
    [("flow_schema", schema), ("priority_level", &level.name)]
}

fn each_tally(levels: &[Arc<Level>], mut each: impl FnMut(&Level, &str, &Tally)) {
    for level in levels {
        level.lock().tallies.iter().for_each(|(schema, tally)| each(level, schema, tally));
    }
}

fn tell_counts(levels: &[Arc<Level>], text: &mut Exposition) {
    family(text, "dispatched_requests_total", "counter", "Requests that got seats.");
    each_tally(levels, |level, schema, tally| {
        text.sample(&labels(level, schema), tally.dispatched);
    });
    family(text, "rejected_requests_total", "counter", "Requests that were refused, by why.");
    each_tally(levels, |level, schema, tally| {
        for (refusal, count) in &tally.rejected {
            let [schema, level] = labels(level, schema);
            text.sample(&[schema, level, ("reason", refusal.reason())], count);
        }
    });
}

const LEVEL_COLUMNS: [&str; 10] = [
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
    "DispatchedRequests",
    "RejectedRequests",
    "TimedoutRequests",
    "CancelledRequests",
];

fn level_row(level: &Level) -> Vec<String> {
    let state = level.lock();
    let executing = state.queues.requests().filter(|(_, request)| request.began.is_some()).count();
    let waiting = state.queues.requests().count() - executing;
    let active = state.queues.queues().filter(|(_, queue)| queue.waiting > 0).count();
    let rejected = |refusal: Option<Refusal>| -> u64 {
        let of_tally = |tally: &Tally| -> u64 {
            tally
                .rejected
                .iter()
                .filter(|(why, _)| refusal.is_none_or(|refusal| **why == refusal))
                .map(|(_, n)| n)
                .sum()
        };
        state.tallies.values().map(of_tally).sum()
    };
    let dispatched: u64 = state.tallies.values().map(|tally| tally.dispatched).sum();
    let is_idle = executing == 0 && waiting == 0;
    let mut row = vec![level.name.to_string(), active.to_string(), is_idle.to_string(), "false".to_owned()];
    row.extend([waiting, executing].map(|number| number.to_string()));
    // Whoever gave up is counted as cancelled, as upstream does.
    row.extend([dispatched, rejected(None), 0, rejected(Some(Refusal::TimeOut))].map(|number| number.to_string()));
    row
}

const QUEUE_COLUMNS: [&str; 9] = [
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
];

/// Queues that hold a request; the others are not kept.
fn queue_rows(level: &Level) -> Vec<Vec<String>> {
    let state = level.lock();
    let rows = state.queues.queues().map(|(index, queue)| {
        let of_queue = || state.queues.requests().map(|(_, request)| request).filter(|one| one.queue == Some(index));
        let waiting = || of_queue().filter(|request| request.began.is_none());
        let in_use: usize = of_queue().filter(|one| one.began.is_some()).map(|one| one.work.seats_max()).sum();
        let initial: usize = waiting().map(|request| request.work.seats).sum();
        let most: usize = waiting().map(|request| request.work.seats_max()).sum();
        let seat_seconds = |nanoseconds: i128| format!("{:.8}ss", nanoseconds as f64 / 1e9);
        let mut row = vec![level.name.to_string(), index.to_string()];
        row.extend([queue.waiting, queue.executing, in_use].map(|number| number.to_string()));
        row.push(seat_seconds(queue.next_begins_at));
        row.extend([initial, most].map(|number| number.to_string()));
        row.push(seat_seconds(queue.waiting_work));
        row
    });
    rows.collect()
}

/// Rows as Go's tabwriter aligns them: cells end in a comma and are at least eight wide.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(|column| (widest(column) + 2).max(8)).collect();
    let line = |row: &Vec<String>| {
        let last = row.len().saturating_sub(1);
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == last { cell.clone() } else { format!("{:width$}", format!("{cell},")) }
        });
        cells.collect::<String>() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_tables() {
        let fairness = Fairness::new(600);
        let page = fairness.debug_page("dump_priority_levels").unwrap();
        let expected = "\
PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, ExecutingRequests, DispatchedRequests, RejectedRequests, TimedoutRequests, CancelledRequests
catch-all,         0,            true,   false,       0,               0,                 0,                  0,                0,                0
exempt,            0,            true,   false,       0,               0,                 0,                  0,                0,                0
";
        assert_eq!(page, expected);
        assert!(fairness.debug_page("dump_queues").unwrap().starts_with("PriorityLevelName, Index,  PendingRequests"));
        assert!(fairness.debug_page("other").is_none());
    }
}
