//! Pod Security `restricted`, control by control. Source: Kubernetes, "Pod Security Standards", as of 1.37.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, ContainerPort, HTTPGetAction, HostPathVolumeSource,
    NFSVolumeSource, Probe, SELinuxOptions, SeccompProfile, Sysctl, Volume,
    WindowsSecurityContextOptions,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Rule, each, pod, pod_if, pod_mut, probes, security, security_mut};

/// The sysctls that Pod Security lets a Pod set.
const SAFE_SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// The SELinux types that Pod Security admits.
const SELINUX_TYPES: &[&str] = &[
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

/// Pod Security `restricted`: the `baseline` controls first, then its own.
pub const RESTRICTED: &[Rule] = &[
    Rule {
        name: "host-process",
        broken: |spec| {
            let asked = |options: Option<&WindowsSecurityContextOptions>| {
                options.is_some_and(|options| options.host_process == Some(true))
            };
            let mut places = each(spec, |it| {
                asked(security(it).and_then(|it| it.windows_options.as_ref()))
            });
            places.extend(pod_if(asked(
                pod(spec).and_then(|it| it.windows_options.as_ref()),
            )));
            places
        },
        examples: &[|spec| {
            let options = WindowsSecurityContextOptions {
                host_process: Some(true),
                ..Default::default()
            };
            pod_mut(spec).windows_options = Some(options);
        }],
    },
    Rule {
        name: "host-namespaces",
        broken: |spec| {
            pod_if([spec.host_network, spec.host_pid, spec.host_ipc].contains(&Some(true)))
        },
        examples: &[
            |spec| spec.host_network = Some(true),
            |spec| spec.host_pid = Some(true),
            |spec| spec.host_ipc = Some(true),
        ],
    },
    Rule {
        name: "privileged",
        broken: |spec| {
            each(spec, |it| {
                security(it).is_some_and(|it| it.privileged == Some(true))
            })
        },
        examples: &[|spec| security_mut(&mut spec.containers[0]).privileged = Some(true)],
    },
    Rule {
        name: "capabilities",
        broken: |spec| {
            each(spec, |it| {
                let capabilities = security(it).and_then(|it| it.capabilities.as_ref());
                let list = |of: fn(&Capabilities) -> &Option<Vec<String>>| {
                    capabilities
                        .and_then(|it| of(it).clone())
                        .unwrap_or_default()
                };
                let drops_all = list(|it| &it.drop).iter().any(|name| name == "ALL");
                !drops_all
                    || list(|it| &it.add)
                        .iter()
                        .any(|name| name != "NET_BIND_SERVICE")
            })
        },
        examples: &[
            |spec| security_mut(&mut spec.containers[0]).capabilities = None,
            |spec| {
                let add = Some(vec!["SYS_ADMIN".to_string()]);
                let capabilities = Capabilities {
                    add,
                    drop: Some(vec!["ALL".to_string()]),
                };
                security_mut(&mut spec.containers[0]).capabilities = Some(capabilities);
            },
        ],
    },
    Rule {
        name: "volume-types",
        broken: |spec| {
            let volumes = spec.volumes.iter().flatten();
            volumes
                .filter(|it| !admitted(it))
                .map(|it| format!("volume {}", it.name))
                .collect()
        },
        examples: &[
            |spec| {
                let host_path = Some(HostPathVolumeSource {
                    path: "/sys".to_string(),
                    type_: None,
                });
                spec.volumes = Some(vec![Volume {
                    name: "sys".to_string(),
                    host_path,
                    ..Default::default()
                }]);
            },
            |spec| {
                let nfs = Some(NFSVolumeSource::default());
                spec.volumes = Some(vec![Volume {
                    name: "nfs".to_string(),
                    nfs,
                    ..Default::default()
                }]);
            },
        ],
    },
    Rule {
        name: "host-ports",
        broken: |spec| {
            each(spec, |it| {
                it.ports
                    .iter()
                    .flatten()
                    .any(|port| port.host_port.is_some_and(|port| port != 0))
            })
        },
        examples: &[|spec| {
            let port = ContainerPort {
                container_port: 80,
                host_port: Some(80),
                ..Default::default()
            };
            spec.containers[0].ports = Some(vec![port]);
        }],
    },
    Rule {
        name: "probe-hosts",
        broken: |spec| each(spec, |it| probes(it).any(names_a_host)),
        examples: &[|spec| {
            let http_get = HTTPGetAction {
                host: Some("10.0.0.1".to_string()),
                port: IntOrString::Int(80),
                ..Default::default()
            };
            spec.containers[0].liveness_probe = Some(Probe {
                http_get: Some(http_get),
                ..Default::default()
            });
        }],
    },
    Rule {
        name: "apparmor",
        broken: |spec| {
            let off = |profile: Option<&AppArmorProfile>| {
                profile.is_some_and(|it| it.type_ == "Unconfined")
            };
            let mut places = each(spec, |it| {
                off(security(it).and_then(|it| it.app_armor_profile.as_ref()))
            });
            places.extend(pod_if(off(
                pod(spec).and_then(|it| it.app_armor_profile.as_ref())
            )));
            places
        },
        examples: &[|spec| {
            let profile = AppArmorProfile {
                type_: "Unconfined".to_string(),
                localhost_profile: None,
            };
            security_mut(&mut spec.containers[0]).app_armor_profile = Some(profile);
        }],
    },
    Rule {
        name: "selinux",
        broken: |spec| {
            let forced = |options: Option<&SELinuxOptions>| {
                options.is_some_and(|it| {
                    it.user.is_some()
                        || it.role.is_some()
                        || !SELINUX_TYPES.contains(&it.type_.as_deref().unwrap_or_default())
                })
            };
            let mut places = each(spec, |it| {
                forced(security(it).and_then(|it| it.se_linux_options.as_ref()))
            });
            places.extend(pod_if(forced(
                pod(spec).and_then(|it| it.se_linux_options.as_ref()),
            )));
            places
        },
        examples: &[
            |spec| {
                let options = SELinuxOptions {
                    type_: Some("spc_t".to_string()),
                    ..Default::default()
                };
                security_mut(&mut spec.containers[0]).se_linux_options = Some(options);
            },
            |spec| {
                let options = SELinuxOptions {
                    user: Some("system_u".to_string()),
                    ..Default::default()
                };
                pod_mut(spec).se_linux_options = Some(options);
            },
        ],
    },
    Rule {
        name: "proc-mount",
        broken: |spec| {
            each(spec, |it| {
                security(it)
                    .and_then(|it| it.proc_mount.as_deref())
                    .is_some_and(|mount| mount != "Default")
            })
        },
        examples: &[|spec| {
            security_mut(&mut spec.containers[0]).proc_mount = Some("Unmasked".to_string());
        }],
    },
    Rule {
        name: "sysctls",
        broken: |spec| {
            let set = pod(spec)
                .and_then(|it| it.sysctls.as_ref())
                .into_iter()
                .flatten();
            pod_if(
                set.into_iter()
                    .any(|sysctl| !SAFE_SYSCTLS.contains(&sysctl.name.as_str())),
            )
        },
        examples: &[|spec| {
            let sysctl = Sysctl {
                name: "vm.max_map_count".to_string(),
                value: "262144".to_string(),
            };
            pod_mut(spec).sysctls = Some(vec![sysctl]);
        }],
    },
    Rule {
        name: "privilege-escalation",
        broken: |spec| {
            each(spec, |it| {
                security(it).and_then(|it| it.allow_privilege_escalation) != Some(false)
            })
        },
        examples: &[
            |spec| security_mut(&mut spec.containers[0]).allow_privilege_escalation = None,
            |spec| security_mut(&mut spec.containers[0]).allow_privilege_escalation = Some(true),
        ],
    },
    Rule {
        name: "run-as-non-root",
        broken: |spec| {
            let of_pod = pod(spec).and_then(|it| it.run_as_non_root);
            each(spec, |it| {
                security(it).and_then(|it| it.run_as_non_root).or(of_pod) != Some(true)
            })
        },
        examples: &[
            |spec| security_mut(&mut spec.containers[0]).run_as_non_root = None,
            |spec| {
                pod_mut(spec).run_as_non_root = Some(true);
                security_mut(&mut spec.containers[0]).run_as_non_root = Some(false);
            },
        ],
    },
    Rule {
        name: "run-as-user",
        // The standard asks only that it is not 0; that it is set at all is the house's: a number needs no passwd.
        broken: |spec| {
            let of_pod = pod(spec).and_then(|it| it.run_as_user);
            each(spec, |it| {
                security(it)
                    .and_then(|it| it.run_as_user)
                    .or(of_pod)
                    .is_none_or(|user| user == 0)
            })
        },
        examples: &[
            |spec| security_mut(&mut spec.containers[0]).run_as_user = Some(0),
            |spec| security_mut(&mut spec.containers[0]).run_as_user = None,
        ],
    },
    Rule {
        name: "seccomp",
        broken: |spec| {
            let of_pod = pod(spec).and_then(|it| it.seccomp_profile.as_ref());
            each(spec, |it| {
                let profile = security(it)
                    .and_then(|it| it.seccomp_profile.as_ref())
                    .or(of_pod);
                profile.is_none_or(|it| it.type_ != "RuntimeDefault" && it.type_ != "Localhost")
            })
        },
        examples: &[
            |spec| pod_mut(spec).seccomp_profile = None,
            |spec| {
                let profile = SeccompProfile {
                    type_: "Unconfined".to_string(),
                    localhost_profile: None,
                };
                security_mut(&mut spec.containers[0]).seccomp_profile = Some(profile);
            },
        ],
    },
];

fn names_a_host(probe: &Probe) -> bool {
    let http = probe.http_get.as_ref().and_then(|it| it.host.as_deref());
    let tcp = probe.tcp_socket.as_ref().and_then(|it| it.host.as_deref());
    [http, tcp]
        .into_iter()
        .flatten()
        .any(|host| !host.is_empty())
}

fn admitted(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.csi.is_some()
        || volume.downward_api.is_some()
        || volume.empty_dir.is_some()
        || volume.ephemeral.is_some()
        || volume.persistent_volume_claim.is_some()
        || volume.projected.is_some()
        || volume.secret.is_some()
}
