//! When Kubernetes objects are ready, read off their status. It touches nothing.

use serde_json::Value;

use crate::base::text::{cut, one_line};

/// So much of what a controller says is passed on; bytes.
const SAID: usize = 200;

/// What an object's status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// Not yet, because.
    Not(String),
    /// It never will be, because.
    Failed(String),
}

impl Readiness {
    /// Says which of several objects it is about.
    #[must_use]
    pub(super) fn named(self, name: &str) -> Self {
        match self {
            Self::Ready => Self::Ready,
            Self::Not(words) => Self::Not(format!("{name}: {words}")),
            Self::Failed(words) => Self::Failed(format!("{name}: {words}")),
        }
    }
}

/// All have to be ready; what failed counts first.
pub(super) fn all(judged: impl Iterator<Item = Readiness>) -> Readiness {
    let mut worst = Readiness::Ready;
    for one in judged {
        match one {
            Readiness::Failed(_) => return one,
            Readiness::Not(_) if worst == Readiness::Ready => worst = one,
            Readiness::Not(_) | Readiness::Ready => {}
        }
    }
    worst
}

/// The name of an object.
pub(super) fn name(object: &Value) -> String {
    one_line(object["metadata"]["name"].as_str().unwrap_or_default())
}

fn is_leaving(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// A condition of an object by its type.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn is_true(condition: Option<&Value>) -> bool {
    condition.is_some_and(|condition| condition["status"] == "True")
}

/// Reason and message, as far as they are given.
fn words(object: &Value) -> String {
    let text = |name: &str| {
        object[name]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(one_line)
    };
    let parts: Vec<String> = [text("reason"), text("message")]
        .into_iter()
        .flatten()
        .collect();
    cut(&parts.join(": "), SAID)
}

fn with_words(gist: &str, words: &str) -> String {
    if words.is_empty() {
        gist.to_string()
    } else {
        format!("{gist}: {words}")
    }
}

/// Ready, or done. That it failed is final for a Pod that was named: no controller replaces it.
pub(super) fn pod(object: &Value, is_named: bool) -> Readiness {
    let status = &object["status"];
    let phase = status["phase"].as_str().unwrap_or("Unknown");
    if phase == "Succeeded" {
        return Readiness::Ready;
    }
    if phase == "Failed" {
        let text = with_words("the Pod has failed", &words(status));
        return if is_named {
            Readiness::Failed(text)
        } else {
            Readiness::Not(text)
        };
    }
    if is_leaving(object) {
        return Readiness::Not("it is being deleted".to_string());
    }
    let ready = condition(object, "Ready");
    if is_true(ready) {
        return Readiness::Ready;
    }
    let words = ready.map(words).unwrap_or_default();
    Readiness::Not(with_words(
        &format!("phase {}, not Ready", one_line(phase)),
        &words,
    ))
}

/// Of several Pods those that failed or leave are left out; at least one has to remain.
pub(super) fn pods(listed: &[Value]) -> Readiness {
    let remaining: Vec<&Value> = listed
        .iter()
        .filter(|pod| pod["status"]["phase"] != "Failed" && !is_leaving(pod))
        .collect();
    if remaining.is_empty() {
        return Readiness::Not("all the Pods have failed or are being deleted".to_string());
    }
    all(remaining
        .into_iter()
        .map(|object| pod(object, false).named(&name(object))))
}

/// A Job just made has no condition yet.
pub(super) fn job(object: &Value) -> Readiness {
    if is_true(condition(object, "Complete")) {
        return Readiness::Ready;
    }
    let failed = condition(object, "Failed");
    if is_true(failed) {
        let words = failed.map(words).unwrap_or_default();
        return Readiness::Failed(with_words("the Job has failed", &words));
    }
    let count = |name: &str| object["status"][name].as_u64().unwrap_or(0);
    Readiness::Not(format!(
        "not complete: {} active, {} succeeded, {} failed",
        count("active"),
        count("succeeded"),
        count("failed")
    ))
}

/// Each Service needs an endpoint that is ready; one that does not say so is.
pub(super) fn services(names: &[String], slices: &[Value]) -> Readiness {
    all(names.iter().map(|name| {
        let own = slices.iter().filter(|slice| {
            slice["metadata"]["labels"]["kubernetes.io/service-name"] == name.as_str()
        });
        let endpoints = own.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        let (mut known, mut ready) = (0, 0);
        for endpoint in endpoints {
            known += 1;
            ready += i32::from(endpoint["conditions"]["ready"].as_bool().unwrap_or(true));
        }
        match ready {
            0 => Readiness::Not(format!("{name}: none of {known} endpoints is ready")),
            _ => Readiness::Ready,
        }
    }))
}

/// Rolled out: what was asked for has been seen, every replica is new, ready and available.
pub(super) fn deployment(object: &Value) -> Readiness {
    let (spec, status) = (&object["spec"], &object["status"]);
    let count = |name: &str| status[name].as_u64().unwrap_or(0);
    let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
    if count("observedGeneration") < generation {
        return Readiness::Not("its latest change has not been seen yet".to_string());
    }
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    if wanted == 0 {
        return Readiness::Not("it is scaled to 0".to_string());
    }
    let (updated, ready, available, all) = (
        count("updatedReplicas"),
        count("readyReplicas"),
        count("availableReplicas"),
        count("replicas"),
    );
    if [updated, ready, available, all] == [wanted; 4] {
        return Readiness::Ready;
    }
    let old = match all.saturating_sub(updated) {
        0 => String::new(),
        old => format!(", {old} old left"),
    };
    let gist = format!(
        "of {wanted} replicas {updated} updated, {ready} ready, {available} available{old}"
    );
    let progress = condition(object, "Progressing")
        .filter(|condition| condition["reason"] == "ProgressDeadlineExceeded");
    Readiness::Not(with_words(&gist, &progress.map(words).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn not(readiness: Readiness) -> String {
        match readiness {
            Readiness::Not(words) => words,
            other => panic!("{other:?}"),
        }
    }

    fn a_pod(phase: &str, ready: &str) -> Value {
        json!({"metadata": {"name": "p"}, "status": {"phase": phase, "conditions": [
            {"type": "Ready", "status": ready, "reason": "ContainersNotReady", "message": "app"}]}})
    }

    fn leaving(mut pod: Value) -> Value {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        pod
    }

    #[test]
    fn a_pod_is_ready_or_done() {
        assert_eq!(pod(&a_pod("Running", "True"), true), Readiness::Ready);
        assert_eq!(pod(&a_pod("Succeeded", "False"), true), Readiness::Ready);
        assert_eq!(
            not(pod(&a_pod("Running", "False"), true)),
            "phase Running, not Ready: ContainersNotReady: app"
        );
        assert_eq!(
            not(pod(&leaving(a_pod("Running", "True")), true)),
            "it is being deleted"
        );
        assert!(matches!(
            pod(&a_pod("Failed", "False"), true),
            Readiness::Failed(_)
        ));
        assert!(matches!(pod(&json!({}), true), Readiness::Not(_)));
    }

    #[test]
    fn of_several_pods_the_dead_are_left_out() {
        let (good, bad) = (a_pod("Running", "True"), a_pod("Pending", "False"));
        let dead = [a_pod("Failed", "False"), leaving(a_pod("Running", "True"))];
        assert_eq!(
            pods(&[&[good.clone()][..], &dead].concat()),
            Readiness::Ready
        );
        assert!(not(pods(&[good, bad])).starts_with("p: phase Pending"));
        assert!(not(pods(&dead)).contains("all the Pods"));
    }

    #[test]
    fn a_job_is_complete_failed_or_neither() {
        let with = |kind: &str, status: &str| {
            json!({"status": {"active": 1, "conditions": [{"type": kind, "status": status,
                "reason": "BackoffLimitExceeded"}]}})
        };
        assert_eq!(job(&with("Complete", "True")), Readiness::Ready);
        assert_eq!(
            job(&with("Failed", "True")),
            Readiness::Failed("the Job has failed: BackoffLimitExceeded".into())
        );
        for open in [
            with("Complete", "False"),
            with("Suspended", "True"),
            json!({"status": {}}),
        ] {
            assert!(not(job(&open)).starts_with("not complete"));
        }
    }

    #[test]
    fn a_service_needs_one_ready_endpoint() {
        let slice = |conditions: Value| {
            json!({"metadata": {"labels": {"kubernetes.io/service-name": "db"}},
                "endpoints": [{"conditions": {"ready": false}}, {"conditions": conditions}]})
        };
        let db = ["db".to_string()];
        assert_eq!(
            services(&db, &[slice(json!({"ready": true}))]),
            Readiness::Ready
        );
        assert_eq!(services(&db, &[slice(json!({}))]), Readiness::Ready);
        assert_eq!(
            not(services(&db, &[slice(json!({"ready": false}))])),
            "db: none of 2 endpoints is ready"
        );
        let both = ["db".to_string(), "web".to_string()];
        assert!(not(services(&both, &[slice(json!({}))])).starts_with("web: none of 0"));
        assert!(matches!(
            services(&db, &[json!({"endpoints": null})]),
            Readiness::Not(_)
        ));
    }

    #[test]
    fn a_deployment_is_rolled_out_whole() {
        let with = |wanted: u64, counts: [u64; 4], observed: u64| {
            let [updated, ready, available, all] = counts;
            json!({"metadata": {"generation": 2}, "spec": {"replicas": wanted}, "status": {
                "observedGeneration": observed, "updatedReplicas": updated, "readyReplicas": ready,
                "availableReplicas": available, "replicas": all, "conditions": [{"type": "Progressing",
                "status": "False", "reason": "ProgressDeadlineExceeded"}]}})
        };
        assert_eq!(deployment(&with(2, [2, 2, 2, 2], 2)), Readiness::Ready);
        assert!(not(deployment(&with(2, [2, 2, 2, 2], 1))).contains("latest change"));
        assert!(not(deployment(&with(0, [0, 0, 0, 0], 2))).contains("scaled to 0"));
        assert!(not(deployment(&with(2, [2, 2, 2, 3], 2))).contains("1 old left"));
        let late = not(deployment(&with(2, [2, 1, 1, 2], 2)));
        assert!(
            late.contains("1 ready") && late.ends_with("ProgressDeadlineExceeded"),
            "{late}"
        );
    }
}
