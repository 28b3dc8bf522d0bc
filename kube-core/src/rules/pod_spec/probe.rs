//! Probes and lifecycle hooks.

use super::Context;
use crate::field::{Errors, Path, format};
use crate::rules::check::{items, text};
use k8s_openapi::api::core::v1::{
    Container, ExecAction, GRPCAction, HTTPGetAction, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};

const STOP_SIGNALS_ON_LINUX: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];
const STOP_SIGNALS_ON_WINDOWS: &[&str] = &["SIGKILL", "SIGTERM"];

/// The ways to act on a container, of which a probe or hook has exactly one.
#[derive(Default)]
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

pub(super) fn validate_lifecycle_and_probes(
    container: &Container,
    context: &Context,
    path: &Path,
    errors: &mut Errors,
) {
    let grace_seconds = context.spec.termination_grace_period_seconds;
    if let Some(lifecycle) = &container.lifecycle {
        let path = path.field("lifecycle");
        for (field, handler) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
            if let Some(handler) = handler {
                validate_handler(&of_lifecycle(handler), grace_seconds, &path.field(field), errors);
            }
        }
        if let Some(signal) = &lifecycle.stop_signal {
            validate_stop_signal(signal, context, &path.field("stopSignal"), errors);
        }
    }
    let (liveness, readiness, startup) =
        (&container.liveness_probe, &container.readiness_probe, &container.startup_probe);
    validate_probe(liveness.as_ref(), grace_seconds, &path.field("livenessProbe"), errors);
    validate_succeeds_at_once(liveness.as_ref(), &path.field("livenessProbe"), errors);
    validate_probe(readiness.as_ref(), grace_seconds, &path.field("readinessProbe"), errors);
    if let Some(seconds) = readiness.as_ref().and_then(|probe| probe.termination_grace_period_seconds) {
        let path = path.field("readinessProbe");
        errors.invalid(&path.field("terminationGracePeriodSeconds"), seconds, "must not be set for readinessProbes");
    }
    validate_probe(startup.as_ref(), grace_seconds, &path.field("startupProbe"), errors);
    validate_succeeds_at_once(startup.as_ref(), &path.field("startupProbe"), errors);
}

fn validate_succeeds_at_once(probe: Option<&Probe>, path: &Path, errors: &mut Errors) {
    let threshold = probe.map_or(1, |probe| probe.success_threshold.unwrap_or(0));
    if threshold != 1 {
        errors.invalid(&path.field("successThreshold"), threshold, "must be 1");
    }
}

fn validate_probe(probe: Option<&Probe>, grace_seconds: Option<i64>, path: &Path, errors: &mut Errors) {
    let Some(probe) = probe else { return };
    let handler = Handler {
        exec: probe.exec.as_ref(),
        http_get: probe.http_get.as_ref(),
        tcp_socket: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref(),
        sleep: None,
    };
    validate_handler(&handler, grace_seconds, path, errors);
    for (field, number) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        errors.non_negative(&path.field(field), number);
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
        errors.invalid(&path.field("terminationGracePeriodSeconds"), seconds, "must be greater than 0");
    }
}

fn of_lifecycle(handler: &LifecycleHandler) -> Handler<'_> {
    Handler {
        exec: handler.exec.as_ref(),
        http_get: handler.http_get.as_ref(),
        tcp_socket: handler.tcp_socket.as_ref(),
        grpc: None,
        sleep: handler.sleep.as_ref(),
    }
}

fn validate_handler(handler: &Handler, grace_seconds: Option<i64>, path: &Path, errors: &mut Errors) {
    let mut found = 0;
    let mut first = |field: &str, given: bool, errors: &mut Errors| {
        found += usize::from(given);
        if given && found > 1 {
            errors.forbidden(&path.field(field), "may not specify more than 1 handler type");
        }
        given && found == 1
    };
    if let Some(exec) = handler.exec.filter(|_| first("exec", true, errors))
        && items(&exec.command).is_empty()
    {
        errors.required(&path.field("exec").field("command"), "");
    }
    if let Some(http) = handler.http_get.filter(|_| first("httpGet", true, errors)) {
        validate_http_get(http, &path.field("httpGet"), errors);
    }
    if let Some(tcp) = handler.tcp_socket.filter(|_| first("tcpSocket", true, errors)) {
        errors.port_or_name(&path.field("tcpSocket").field("port"), &tcp.port);
    }
    if let Some(grpc) = handler.grpc.filter(|_| first("grpc", true, errors)) {
        errors.port(&path.field("grpc").field("port"), grpc.port);
    }
    if let Some(sleep) = handler.sleep.filter(|_| first("sleep", true, errors))
        && let Some(grace) = grace_seconds
        && (sleep.seconds < 0 || sleep.seconds > grace)
    {
        let message = std::format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.invalid(&path.field("sleep"), sleep.seconds, message);
    }
    if found == 0 {
        errors.required(path, "must specify a handler type");
    }
}

fn validate_http_get(http: &HTTPGetAction, path: &Path, errors: &mut Errors) {
    errors.given(&path.field("path"), text(&http.path));
    errors.port_or_name(&path.field("port"), &http.port);
    errors.one_of(&path.field("scheme"), text(&http.scheme), &["HTTP", "HTTPS"]);
    for header in items(&http.http_headers) {
        errors.invalid_each(&path.field("httpHeaders"), &header.name, format::http_header_name(&header.name));
    }
}

/// A signal's name means something only on a known operating system.
fn validate_stop_signal(signal: &str, context: &Context, path: &Path, errors: &mut Errors) {
    match context.spec.os.as_ref().map(|os| os.name.as_str()) {
        None => errors.forbidden(path, "may not be set for containers with empty `spec.os.name`"),
        Some("windows") => errors.one_of(path, signal, STOP_SIGNALS_ON_WINDOWS),
        Some(_) => errors.one_of(path, signal, STOP_SIGNALS_ON_LINUX),
    }
}
